"""The page and the command line write the same record: every workflow is done both ways and compared."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from core import jobs
from core.audit.audit import audit_file
from core.checksums import read_json
from core.data.index import read_dataset, read_index
from core.data.labels import read_labels
from core.paths import predictions_folder
from core.review import tables
from core.review.database import transaction
from core.review.reading_state import reveal_case, take_lead
from core.review.store import add_verdict, open_store
from core.review.threshold_meeting import list_decisions
from core.review.vocabulary import Verdict
from core.review.walkthroughs import WalkthroughCase, create_walkthrough, list_walkthroughs, read_walkthrough
from core.scores.import_frame import Columns
from core.scores.json_values import json_values
from core.scores.operating_points import POINTS
from core.scores.predictions import store_predictions
from core.scores.source import find_source, source_of
from core.scores.stored_scores import read_predictions
from core.scores.verification_log import LOOKS
from core.scores.view import View, changes_since, view_from_record
from core.workflows.import_scores import import_scores
from core.workflows.walkthroughs import find_walkthrough
from dashboard.calibration import loader as calibration_loader
from dashboard.compare import loader as compare_loader
from dashboard.shared import loaders
from tests.dashboard.conftest import made_up_scores, open_page, words
from tests.reading import read_as
from tests.refusals import refused
from tests.workflows.conftest import run_command

ALPHA = ("--model", "alpha", "--data", "demo", "--author", "Ana")
TIMES = {"date", "created", "sha256"}
# Hashes over a record that holds the time.
OF_TIME = {"id", "hash", "seals"}


def without(record, *names):
    """A JSON value without some keys, however deep."""
    if isinstance(record, dict):
        return {key: without(value, *names) for key, value in record.items() if key not in names}
    return [without(value, *names) for value in record] if isinstance(record, list) else record


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def lock_on_page(**query: str):
    app = open_page("threshold", **query)
    app.button(key="lock_open").click().run()
    read_as(app, "Ana")
    app.text_input(key="lock_note").set_value("for the night").run()
    app.button(key="lock_now").click().run()
    assert not app.exception
    return app


def test_a_decision_is_the_same_record_and_in_the_minutes(own):
    make = ("--outcome", "missed", "--threshold", 0.9, "--cases", 2)
    run_command("walkthrough", "make", "Monday", *ALPHA, *make)
    app = open_page("threshold", threshold="0.3", split="valid", prevalence="5.0", rule="Youden")
    app.session_state["reviewer"] = "Ana"
    app.run()
    app.button(key="meeting_join").click().run()
    app.button(key="meeting_decide").click().run()
    app.text_input(key="meeting_why").set_value("two misses fewer").run()
    app.button(key="meeting_keep").click().run()
    assert not app.exception
    told = ("--why", "two misses fewer", "--author", "Ana", "--present", "Ben", "--prevalence", 0.05)
    run_command("decide", "alpha", "--data", "demo", "--threshold", 0.3, "--split", "valid", *told)
    by_page, by_command = list_decisions(open_store(), "demo")
    assert (by_page.present, by_command.present) == (("Ana",), ("Ana", "Ben"))
    records = [without(json_values(asdict(one)), *TIMES, "id", "present") for one in (by_page, by_command)]
    assert records[0] == records[1] and records[0]["figures"]["cost_in_words"]
    page = own.home / "minutes.html"
    run_command("walkthrough", "minutes", "Monday", "--data", "demo", "--out", page)
    assert page.read_text("utf-8").count("two misses fewer") == 2


def test_a_lock_is_the_same_record(own):
    file = find_source("alpha").file_to_write(POINTS)
    lock_on_page(rule="Youden", split="valid", prevalence="5.0", threshold="0.5")
    by_page = json.loads(file.read_text())
    file.unlink()
    # On the page, what is locked is the panel's threshold until the rule's answer is taken.
    common = ("--data", "demo", "--split", "valid", "--prevalence", 0.05, "--lock", "--author", "Ana")
    run_command("threshold", "alpha", "--rule", "threshold=0.5", *common, "--note", "for the night")
    by_command = json.loads(file.read_text())
    assert without(by_page, *TIMES, *OF_TIME) == without(by_command, *TIMES, *OF_TIME)
    assert "threshold_given" in by_page["points"][0]["figures"]


def test_a_verification_is_the_same_record(own):
    lock_on_page(split="train", threshold="0.45")
    log = find_source("alpha").file_to_write(LOOKS)
    app = open_page("threshold", split="train")
    app.selectbox(key="verify_on").set_value("valid").run()
    by_page = app.button(key="verify_now").click().run().session_state["verified"]
    logged = json.loads(log.read_text())
    log.unlink()
    by_command = run_command("verify", "alpha", "--data", "demo", "--split", "valid")
    assert json_values(by_page) == by_command
    assert without(logged, *TIMES) == without(json.loads(log.read_text()), *TIMES)


def test_scoring_stores_the_same_scores(own, monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    file = predictions_folder("cold") / "alpha.parquet"
    app = open_page("errors", data="cold", model="alpha")
    assert not app.button(key="score_now").click().run().exception
    jobs.work("scores")
    by_page = pd.read_parquet(file)
    file.unlink()
    facts = run_command("predict", "alpha", "--data", "cold")
    assert facts["file"] == str(file)
    pd.testing.assert_frame_equal(by_page, pd.read_parquet(file))


def test_an_audit_is_the_same_record(own, monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    file = audit_file(read_dataset("cold"))
    assert not open_page("audit", data="cold").button(key="audit_now").click().run().exception
    jobs.work("light")
    by_page = read_json(file)
    file.unlink()
    facts = run_command("audit", "cold", status=int(bool(by_page["patient_overlap"])))
    assert by_page == read_json(file) == {name: facts[name] for name in by_page}


def test_a_queued_run_is_the_same_record(own, monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    app = open_page("runs")
    app.text_input(key="job_out").set_value("mine")
    app.text_area(key="job_settings").set_value("epochs=2\nbalance=weight")
    assert not app.button(key="job_start").click().run().exception
    (by_page,) = jobs.list_jobs()
    jobs.stop(by_page.id)
    recipe = by_page.arguments["recipe"]
    common = ("--set", "epochs=2", "--set", "balance=weight")
    job = run_command("train", recipe, "--data", "demo", "--out", "mine", *common, "--queue")["job"]
    by_command = next(found for found in jobs.list_jobs() if found.id == job["id"])
    assert (by_command.kind, by_command.arguments) == (by_page.kind, by_page.arguments)
    assert by_command.about == by_page.about


def test_accepted_labels_are_the_same_revision(own):
    study = missed()[0]
    store = open_store()
    add_verdict(store, Verdict("demo", study, reviewer="Ana", verdict="label_wrong", given_label=1.0))
    app = open_page("labels")
    read_as(app, "Ana")
    app.button(key="accept").click().run()
    by_page = app.session_state["revision"]
    facts = run_command("labels", "accept", "--data", "demo", "--author", "Ben")
    # Nothing has changed since, so the command finds the page's revision and adds none.
    assert facts["reference"] == by_page and facts["outcomes"] == {"corrected": 1}
    assert read_labels("demo", by_page).to_dict("records")[0]["study_id"] == study


def missed() -> list[str]:
    """The missed studies, the most confident errors first."""
    made = run_command("walkthrough", "make", "all", *ALPHA, "--cases", 5000)
    return [case["study_id"] for case in made["cases"]]


def stored(name: str):
    store = open_store()
    return read_walkthrough(store, list_walkthroughs(store, "demo").set_index("name").at[name, "id"])


def test_a_walkthrough_is_the_same_record(own):
    for which, flags in (("the first of this list", ()), ("at random", ("--at-random",))):
        app = open_page("errors", threshold="0.6")
        read_as(app, "Ana")
        app.segmented_control(key="walk_which").set_value(which).run()
        app.text_input(key="walk_name").set_value(f"page, {which}").run()
        app.number_input(key="walk_cases").set_value(3).run()
        app.number_input(key="walk_controls").set_value(2).run()
        assert not app.button(key="walk_make").click().run().exception
        more = ("--threshold", 0.6, "--cases", 3, "--controls", 2, *flags)
        run_command("walkthrough", "make", f"command, {which}", *ALPHA, *more)
        page, command = stored(f"page, {which}"), stored(f"command, {which}")
        assert page.cases == command.cases and len(page.cases) == 5
        assert page.record == command.record and page.record["view"]["threshold"] == 0.6
        assert (page.made_from, page.author) == (command.made_from, command.author)


def test_studies_named_by_hand_are_the_same_record(own, tmp_path):
    first, second = missed()[:2]
    text = f"{second} | look at the scaphoid\n\n{first}\n"
    app = open_page("walkthroughs")
    read_as(app, "Ana")
    app.text_input(key="hand_name").set_value("page").run()
    app.text_area(key="hand_cases").set_value(text).run()
    assert not app.button(key="hand_make").click().run().exception
    (tmp_path / "studies.txt").write_text(text)
    run_command("walkthrough", "make", "command", *ALPHA, "--studies", tmp_path / "studies.txt")
    page, command = stored("page"), stored("command")
    assert page.cases == command.cases and [case.note for case in page.cases] == ["look at the scaphoid", ""]
    assert page.record == command.record and page.made_from == command.made_from
    assert {row["name"] for row in run_command("walkthrough", "list", "--data", "demo")["walkthroughs"]} > {"page"}


def test_opening_a_walkthrough_restores_the_view_it_was_made_in(own):
    run_command("walkthrough", "make", "Monday", *ALPHA, "--threshold", 0.4, "--split", "valid", "--cases", 2)
    app = open_page("walkthroughs", walk="Monday", model="beta", threshold="0.7")
    assert not app.exception
    chosen = (app.selectbox(key="model").value, app.selectbox(key="split").value, app.slider(key="threshold").value)
    assert chosen == ("alpha", "valid", 0.4)
    # The walkthrough keeps its own view, whatever is selected afterwards.
    app.slider(key="threshold").set_value(0.6).run()
    app.selectbox(key="model").set_value("beta").run()
    assert not app.exception and "alpha" in words(app) and "threshold 0.400" in words(app)


def test_a_walkthrough_shows_its_cases_as_they_were_and_as_they_are(own, films):
    run_command("walkthrough", "make", "Monday", *ALPHA, "--cases", 2)
    source = find_source("alpha", read_dataset("demo"))
    app = open_page("walkthroughs", walk="Monday")
    assert "Missed" in words(app) and "another score" not in words(app)
    scores = read_predictions(source_of(source.model, source).dataset)
    # The missed studies are found by the new scores, and their films would once have changed places.
    store_predictions(scores.assign(logit=scores["logit"] + 9.0))
    before = [film["src"] for film in films[-1]]
    app = open_page("walkthroughs", walk="Monday")
    assert "2 studies have another score." in words(app) and "Missed" in words(app)
    app.segmented_control(key="when").set_value("As it is now").run()
    assert not app.exception and "Found" in words(app) and "Missed" not in words(app)
    assert [film["src"] for film in films[-1]] == before
    # The scores can be gone altogether.
    shutil.rmtree(own.checkpoints / "alpha")
    app = open_page("walkthroughs", walk="Monday")
    assert not app.exception and "The scores of alpha are not here any more." in words(app)
    assert "Missed" in words(app)


def test_minutes_are_the_same_file_and_have_only_who_was_there(own, tmp_path):
    run_command("walkthrough", "make", "Monday", *ALPHA, "--cases", 2, "--blind")
    store, walk = open_store(), stored("Monday")
    first, second = (case.study_id for case in walk.cases)
    for reader, study, walkthrough_id in (("Ben", first, walk.id), ("Stranger", first, None)):
        add_verdict(store, Verdict("demo", study, reader, reading="normal", walkthrough_id=walkthrough_id))
    take_lead(store, walk, "Ana")
    reveal_case(store, walk, "Ana", first)
    app = open_page("walkthroughs", walk="Monday", part="Summary")
    read_as(app, "Ana")
    app.text_input(key="action_text").set_value("Ask <b>again</b>")
    app.text_input(key="action_owner").set_value("Ben")
    press(app, "Add")
    # Of the case that is still read blind, nothing is shown but its place.
    assert first in words(app) and second not in words(app) and "1 case not revealed yet" in words(app)
    app.button(key="minutes").click().run()
    assert not app.exception
    facts = run_command("walkthrough", "minutes", "Monday", "--data", "demo", "--out", tmp_path / "minutes.html")
    page, table = (tmp_path / name for name in ("minutes.html", "minutes.csv"))
    assert app.session_state["minutes_made"] == (walk.id, page.read_text(), table.read_text())
    assert (facts["cases"], facts["hidden"], facts["table"]) == (1, 1, str(table))
    text = page.read_text()
    assert "Stranger" not in text and "Ben" in facts["participants"] and "Ask &lt;b&gt;again" in text
    assert second not in text and text.count("data:image/jpeg;base64,") >= 1
    with refused("walkthrough-missing", "'Friday'", "Monday"):
        find_walkthrough(store, "demo", "Friday")


def test_a_record_says_what_has_changed_since(own):
    run_command("walkthrough", "make", "Monday", *ALPHA)
    record = stored("Monday").record["view"]

    def find(data, name):
        return find_source(name, read_dataset(data))

    assert changes_since(record, view_from_record(record, find)) == []
    record["source"]["digest"] = "0" * 64
    (sentence,) = changes_since(record, view_from_record(record, find))
    assert "00000000" in sentence and "alpha" in sentence


def test_a_database_from_before_the_records_opens_and_takes_new_walkthroughs(own):
    store = open_store()
    create_walkthrough(store, "demo", "old", "Ana", [WalkthroughCase("valid/elbow/patient00001/study1")])
    with transaction(store, write=True) as connection:
        tables.records.drop(connection)
    assert stored("old").record == {}
    assert not open_page("walkthroughs", walk="old").exception
    run_command("walkthrough", "make", "new", *ALPHA)
    assert stored("new").record["view"]["source"]["name"] == "alpha" and stored("old").name == "old"


def test_a_calibration_has_the_same_figures(own, tmp_path):
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 400)
    rows = {"y": label, "p": random.beta(2 + 2 * label, 4 - 2 * label).round(4), "study": np.arange(400)}
    frame = pd.DataFrame({**rows, "split": np.where(np.arange(400) < 200, "tune", "valid")})
    frame.to_csv(tmp_path / "scores.csv", index=False)
    import_scores(tmp_path / "scores.csv", "other", Columns("y", "p", study="study", split="split"))
    (source,) = loaders.sources(loaders.choosable()["other (scores only)"]).values()
    view = View(source, "valid")
    by_page = calibration_loader.calibrated(replace(view, split="tune"), "platt", view, 10)
    by_command = run_command("calibrate", "other", "--method", "platt")
    assert json_values(by_page.after) == by_command["after"]
    assert json_values(calibration_loader.before(view, 10)) == by_command["before"]
    assert by_page.fitted.slope.value == by_command["slope"] and by_page.shared == by_command["shared_patients"]
    assert by_page.gains["log_loss"].value == by_command["log_loss_gain"]


def test_a_comparison_has_the_same_figures(own):
    demo = read_dataset("demo")
    beta = find_source("beta", demo).model
    store_predictions(made_up_scores(beta, demo).assign(logit=lambda rows: -rows["logit"]))
    view = View(find_source("alpha", demo), "valid", threshold=0.4)
    by_page = compare_loader.called(view, find_source("beta", demo), 0.6)
    common = ("--data", "demo", "--split", "valid", "--threshold-a", 0.4, "--threshold-b", 0.6)
    by_command = run_command("compare", "alpha", "beta", *common)
    assert by_page.facts and json_values(by_page.facts) == {name: by_command[name] for name in by_page.facts}
    assert json_values(by_page.changed.to_dict("records")) == by_command["discordant"]


def test_imported_scores_are_the_same_record(own, tmp_path):
    """Percentages with labels of their own, matched to a data set by paths with another folder before them."""
    known = read_index("demo")[["image_id", "label"]].assign(p=lambda frame: 100 * (0.3 + 0.4 * frame["label"]))
    known["image_id"] = "elsewhere/" + known["image_id"]
    known.rename(columns={"label": "truth"}).to_csv(tmp_path / "scores.csv", index=False)
    app = open_page("import_scores")
    app.segmented_control(key="scores_origin").set_value("On the server").run()
    app.text_input[-1].set_value(str(tmp_path / "scores.csv")).run()
    fields = {one.label: one for one in [*app.selectbox, *app.text_input, *app.checkbox, *app.multiselect]}
    assert fields["Percentages"].value is True  # guessed
    fields["Match to"].set_value("demo")
    fields["Labels are of"].set_value("image")
    fields["A study is abnormal if"].set_value("all")
    fields["Name"].set_value("other")
    app.run()
    assert not press(app, "Keep these scores").exception
    by_page = json.loads((own.home / "imported" / "other" / "imported.json").read_text())
    frame = pd.read_parquet(own.home / "imported" / "other" / "predictions.parquet")
    shutil.rmtree(own.home / "imported" / "other")
    columns = ("--score", "p", "--label", "truth", "--image", "image_id", "--percent")
    rule = ("--label-level", "image", "--study-rule", "all", "--data", "demo")
    run_command("import-predictions", tmp_path / "scores.csv", "--name", "other", *columns, *rule)
    by_command = json.loads((own.home / "imported" / "other" / "imported.json").read_text())
    assert without(by_page, *TIMES) == without(by_command, *TIMES)
    assert by_page["joins"][0]["matched"] == len(known) and by_page["label_level"] == "image"
    pd.testing.assert_frame_equal(frame, pd.read_parquet(own.home / "imported" / "other" / "predictions.parquet"))


def test_each_message_of_a_job_begins_with_one_of_its_steps(own, mura, tmp_path, monkeypatch):
    """The estimate of what is left knows the steps by these words."""
    told: dict[str, set[str]] = {}
    report = jobs.Reporter.report

    def listen(reporter, done, total, what):
        told.setdefault(job(reporter).kind, set()).add(what)
        return report(reporter, done, total, what)

    def job(reporter):
        return next(found for found in jobs.list_jobs() if found.id == reporter._id)

    monkeypatch.setattr(jobs.Reporter, "report", listen)
    shutil.make_archive(str(tmp_path / "tree"), "zip", mura)
    run_command("index", tmp_path / "tree.zip", "--name", "packed")
    run_command("predict", "alpha", "--data", "packed")
    run_command("audit", "packed")
    assert set(told) == {"index", "score", "audit"}
    for kind, messages in told.items():
        known = jobs.KINDS[kind].steps
        assert not [text for text in messages if not text.startswith(known)], kind
        assert {name for name in known if any(text.startswith(name) for text in messages)} == set(known), kind
