"""The pages of readers: verdicts by key, blind mode, filters, and a review database that cannot be used."""

import re
import shutil
import sqlite3
from types import SimpleNamespace

import numpy as np
import pytest

from core.explain.map_store import maps_folder
from core.review import walkthroughs
from core.review.cases import neutral_name
from core.review.database import FILE, open_store
from core.review.store import add_verdict, verdicts_table
from core.review.vocabulary import Verdict
from core.scores.view import View
from core.workflows.walkthroughs import sort_for_reading
from dashboard.shared import maps
from dashboard.shared.case import loader, verdict_panel
from tests.dashboard.conftest import House, enter, open_page, words
from tests.dashboard.maps_here import MapsHere
from tests.reading import read_as

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def workspace(built, tmp_path, monkeypatch) -> House:
    """A copy of the workspace, with a review database of its own."""
    copy = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, copy.home)
    enter(copy, monkeypatch)
    return copy


def missed() -> list[str]:
    """The missed studies in the order of the page."""
    from core.data.index import read_dataset
    from dashboard.shared import loaders

    source = loaders.sources(read_dataset("demo"))["alpha"]
    table = loader.cases(View(source, "valid")).table
    return sort_for_reading(table[table["outcome"] == "FN"], "FN")


def read(study: str, **more: str):
    return open_page("errors", study=study, **more)


def key_of(study: str, value: str) -> str:
    return f"enter_{neutral_name(study)}_{value}"


def test_a_verdict_is_stored_with_its_details_and_the_next_case_opens(workspace):
    first, second = missed()[:2]
    app = read(first)
    assert app.button(key=key_of(first, "label_wrong")).disabled
    read_as(app, "  Ana  Ruiz ")
    app.text_area(key=f"note_{neutral_name(first)}").set_value(HOSTILE).run()
    app.button(key=key_of(first, "label_wrong")).click().run()
    assert not app.exception and app.text_input(key="study").value == second
    row = verdicts_table(open_store()).iloc[0]
    assert (row["study_id"], row["reviewer"], row["verdict"], row["note"]) == (
        first,
        "Ana Ruiz",
        "label_wrong",
        HOSTILE,
    )
    assert row["score_visible"] and row["label_visible"] and row["given_label"] == 1 and row["read"] == "normal"
    assert row["threshold"] == 0.5 and row["checkpoint"].startswith("alpha@")
    app.button(key="previous").click().run()
    assert "&lt;script&gt;" in words(app) and "<script>" not in words(app)
    app.button(key="undo").click().run()
    assert app.text_input(key="study").value == first and verdicts_table(open_store()).empty
    assert len(verdicts_table(open_store(), history=True)) == 2


def test_the_facts_of_a_study_say_that_it_is_a_phantom(workspace):
    assert re.search(r"<span>\w+, \d radiographs?, phantom</span>", words(read(missed()[0])))


def test_a_note_of_100_kb_is_refused_and_stays_in_its_field(workspace):
    study = missed()[0]
    app = read(study)
    read_as(app, "Ana")
    app.text_area(key=f"note_{neutral_name(study)}").set_value("n" * 100_000).run()
    app.button(key=key_of(study, "true_miss")).click().run()
    assert "100,000" in app.error[0].value and "4,000" in app.error[0].value
    assert app.text_input(key="study").value == study
    assert len(app.text_area(key=f"note_{neutral_name(study)}").value) == 100_000
    assert verdicts_table(open_store()).empty


def test_a_blind_page_and_its_address_hide_label_score_and_file(workspace, films):
    study = missed()[0]
    add_verdict(open_store(), Verdict("demo", study, "Ben", "label_wrong", given_label=1.0, note="seen before"))
    app = read(study)
    app.toggle(key="blind").set_value(True).run()
    assert app.text_input(key="study").value == neutral_name(study)
    read_as(app, "Ana")
    page = words(app)
    assert study not in page and "Missed" not in page and "seen before" not in page and "Truth" not in page
    assert all(film["score"] is None and not film["details"] and not film["note"] for film in films[-1])
    assert not any("positive" in film["alt"] or "negative" in film["alt"] for film in films[-1])
    app.button(key=key_of(study, "normal")).click().run()
    row = verdicts_table(open_store(), reviewer="Ana").iloc[0]
    assert row["blind"] and row["read"] == "normal" and row["verdict"] != row["verdict"]
    assert app.text_input(key="study").value.startswith("case-")


def test_the_list_is_filtered_by_verdict(workspace):
    first, second = missed()[:2]
    store = open_store()
    add_verdict(store, Verdict("demo", first, "Ben", "label_wrong", given_label=1.0))
    add_verdict(store, Verdict("demo", first, "Ana", "true_miss", given_label=1.0))
    add_verdict(store, Verdict("demo", second, "Ana", "poor_image", given_label=1.0))
    everything = len(missed())
    app = open_page("errors")
    for verdict, count in (
        ("no verdict yet", everything - 2),
        ("any verdict", 2),
        ("poor image", 1),
        ("readers differ", 1),
    ):
        app.selectbox(key="verdict").set_value(verdict).run()
        assert words(app).count('class="card"') == count, verdict
    assert "Ben: label wrong" in words(app)


def test_near_the_threshold_the_nearest_study_is_first(workspace):
    app = open_page("errors", outcome="Near threshold")
    shown = words(app)
    near = re.findall(r'<small class="near">([+-][.0-9]+(?:e-[0-9]+)?)</small>', shown)
    assert len(near) > 10 and "nearest first" in shown
    assert [abs(float(one)) for one in near] == sorted(abs(float(one)) for one in near)


def test_a_missing_study_gives_a_message_and_the_list_stays(workspace):
    app = read("<b>gone</b>")
    assert not app.exception
    assert "This study is not here" in words(app) and "<b>gone</b>" not in words(app)
    assert app.segmented_control(key="outcome").value == "Missed"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda file: sqlite3.connect(file).execute("UPDATE overread_schema SET version = 99").connection.commit(),
            "99",
        ),
        (lambda file: file.write_bytes(b"no database at all" * 300), "damaged"),
    ],
)
def test_a_database_that_cannot_be_used_gives_a_message(workspace, damage, reason):
    study = missed()[0]
    open_store().engine.dispose()
    for file in workspace.home.glob(f"{FILE}-*"):
        file.unlink()
    damage(workspace.home / FILE)
    app = read(study)
    assert not app.exception and "This cannot be shown" in words(app) and reason in words(app)


def test_a_locked_database_keeps_the_case_open_and_gives_a_message(workspace, monkeypatch):
    study = missed()[0]
    monkeypatch.setattr("core.review.database.open_store", lambda url: open_store(url, timeout=0.2))
    app = read(study)
    read_as(app, "Ana")
    holder = sqlite3.connect(workspace.home / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    app.button(key=key_of(study, "true_miss")).click().run()
    assert "locked by another program" in app.error[0].value and app.text_input(key="study").value == study
    holder.execute("ROLLBACK")
    app.button(key=key_of(study, "true_miss")).click().run()
    assert len(verdicts_table(open_store())) == 1


def test_the_page_computes_embeddings_and_shows_similar_studies(workspace):
    study = missed()[0]
    app = read(study)
    app.button(key="embed").click().run()
    assert not app.exception and "most similar training studies are labelled" in words(app)


def test_a_walkthrough_is_made_from_the_list_with_correctly_classified_studies(workspace):
    studies = missed()
    app = open_page("errors")
    app.button(key="walk_make").click().run()
    assert "Type your name first" in app.error[0].value
    # The form asks for the name, which is the reader's from then on.
    app.text_input(key="walk_reader").set_value("Ana").run()
    app.text_input(key="walk_name").set_value("Monday").run()
    app.number_input(key="walk_cases").set_value(2).run()
    app.number_input(key="walk_controls").set_value(1).run()
    app.button(key="walk_make").click().run()
    assert not app.exception
    store = open_store()
    walk = walkthroughs.read_walkthrough(store, walkthroughs.list_walkthroughs(store, "demo")["id"].iloc[0])
    assert [case.study_id for case in walk.cases if case.stratum == "chosen"] == studies[:2]
    mixed = [case for case in walk.cases if case.stratum == "agreements"]
    assert len(mixed) == 1 and 0 < mixed[0].probability < 0.5
    assert walk.author == app.session_state["reviewer"] == "Ana"
    # It opens at once.
    assert app.number_input(key="place").value == 1 and app.session_state["walk"] == "Monday"
    again = open_page("errors")
    read_as(again, "Ana")
    again.text_input(key="walk_name").set_value("Monday").run()
    again.button(key="walk_make").click().run()
    assert "already" in again.error[0].value
    # Without a name it gets one that says nothing of the outcome.
    again.text_input(key="walk_name").set_value("").run()
    again.button(key="walk_make").click().run()
    names = set(walkthroughs.list_walkthroughs(store, "demo")["name"]) - {"Monday"}
    assert len(names) == 1 and names.pop().startswith("All bones, ")


def test_a_walkthrough_is_read_in_order_and_a_missing_case_gives_a_message(workspace, films):
    first, second = missed()[:2]
    store = open_store()
    cases = [
        walkthroughs.WalkthroughCase(second, HOSTILE),
        walkthroughs.WalkthroughCase("<i>gone</i>"),
        walkthroughs.WalkthroughCase(first),
    ]
    walk = walkthroughs.create_walkthrough(store, "demo", "Monday", "Ana", cases)
    app = open_page("walkthroughs", reviewer="Ana")
    read_as(app, "Ana")
    app.button(key=f"open_{walk.id}").click().run()
    assert not app.exception and app.number_input(key="place").value == 1
    assert "&lt;script&gt;" in words(app) and "<script>" not in words(app)
    app.button(key=key_of(second, "label_wrong")).click().run()
    assert app.number_input(key="place").value == 2 and "is not in demo any more" in words(app)
    assert "<i>gone</i>" not in words(app)
    app.button(key="walk_next").click().run()
    assert app.number_input(key="place").value == 3 and app.button(key="walk_next").disabled
    row = verdicts_table(store).iloc[0]
    assert (row["study_id"], row["walkthrough_id"]) == (second, walk.id)
    app.segmented_control(key="part").set_value("Summary").run()
    assert not app.exception and "correct the label to normal" in words(app)
    assert "no longer in the index" in words(app)


def test_a_walkthrough_of_unknown_studies_is_not_made(workspace):
    app = open_page("walkthroughs")
    assert "No walkthrough yet" in words(app)
    app.text_area(key="hand_cases").set_value("nobody/1 | look\n").run()
    app.button(key="hand_make").click().run()
    assert "'nobody/1'" in app.error[0].value and "Nothing was made" in app.error[0].value


def test_a_third_reader_decides_where_two_differ(workspace):
    study = missed()[0]
    store = open_store()
    add_verdict(store, Verdict("demo", study, "Ana", "label_wrong", given_label=1.0))
    add_verdict(store, Verdict("demo", study, "Ben", "true_miss", given_label=1.0))
    app = open_page("agreement")
    assert not app.exception and "1 study on which readers differ" in words(app)
    assert "Ana: normal; Ben: abnormal" in words(app)
    read_as(app, "Cleo")
    app.text_input(key="study").set_value(study).run()
    app.button(key=key_of(study, "abnormal")).click().run()
    row = verdicts_table(store, reviewer="Cleo").iloc[0]
    assert (row["kind"], row["read"]) == ("adjudication", "abnormal")
    app.text_input(key="study").set_value("").run()
    assert "0 studies on which readers differ" in words(app)


def test_verdicts_are_imported_with_the_report_of_their_join(workspace):
    one, other = missed()[:2]
    add_verdict(open_store(), Verdict("demo", one, "Ana", "true_miss", given_label=1.0))
    rows = f"study_id,reviewer,verdict\n{one},Ben,label_wrong\n{other},Ben,true_miss\nnobody/1,Ben,true_miss\n"
    app = open_page("agreement")
    app.file_uploader[0].set_value(("reads.csv", rows.encode(), "text/csv")).run()
    app.button(key="import_verdicts").click().run()
    (said,) = [box.value for box in app.error]
    assert "nobody/1" in said and "'Leave invalid rows out'" in said and "--" not in said
    assert verdicts_table(open_store(), reviewer="Ben").empty
    app.checkbox(key="verdicts_skip").check().run()
    app.button(key="import_verdicts").click().run()
    assert not app.exception and app.success[0].value == "2 entries imported, 0 imported before, 1 row left out."
    joins = next(table.value for table in app.dataframe if "Rows matched" in table.value).iloc[0]
    assert (joins["Rows matched"], joins["Rows that match nothing"]) == (2, 1)
    assert "1 study on which readers differ" in words(app)
    assert sorted(verdicts_table(open_store(), reviewer="Ben")["study_id"]) == sorted([one, other])


def test_planted_wrong_labels_are_ranked_and_corrected_in_a_revision(workspace):
    app = open_page("labels")
    assert not app.exception and "Suspicious labels" in words(app)
    read_as(app, "Ana")
    assert app.button(key="accept").disabled
    shown = words(app)
    first = re.search(r'data-study="([^"]+)"', shown).group(1)
    app.text_input(key="study").set_value(first).run()
    assert "Number 1: labelled" in words(app)
    app.button(key=key_of(first, "label_wrong")).click().run()
    app.text_input(key="study").set_value("").run()
    app.button(key="accept").click().run()
    assert not app.exception and "As adjudicated" in words(app) and "1 of " in words(app)
    reference = app.selectbox(key="revision").value
    from core.data.labels import read_labels

    assert read_labels("demo", reference)["outcome"].tolist() == ["corrected"]


def test_weights_of_the_first_listed_studies_are_stored_and_offered_to_a_training(workspace, monkeypatch):
    from core.data.index import read_index
    from core.data.radiograph_weights import read_weights, weight_references
    from core.review.label_issues import rank_suspects

    app = open_page("labels")
    # This model has learned from every study of train, so it ranks none of them.
    assert app.button(key="store_weights").disabled and "No study of this list is in train" in words(app)
    index = read_index("demo")
    studies = index[(index["split"] == "train") & index["label"].notna()]
    studies = studies[["study_id", "label", "bone"]].drop_duplicates("study_id")
    ranked = rank_suspects(studies.assign(score=np.linspace(0, 1, len(studies))).reset_index(drop=True))
    monkeypatch.setattr(loader, "suspects", lambda source, by_features, order: ranked)
    app = open_page("labels")
    app.radio(key="weights_how").set_value("The first studies: one weight").run()
    app.number_input(key="weights_first").set_value(2)
    app.number_input(key="weights_weight").set_value(0.5)
    app.text_input(key="weights_name").set_value("halves").run()
    app.button(key="store_weights").click().run()
    (reference,) = weight_references("demo")
    kept = read_weights("demo", reference)
    assert not app.exception and reference.startswith("halves@") and reference in words(app)
    first = index[index["study_id"].isin(ranked["study_id"].head(2))]
    assert set(kept) == {0.5} and set(kept.index) == set(first["image_id"])
    app.session_state["weights_said"] = ("other@00000000", "Stored for another data set")
    assert "Stored for another data set" not in words(app.run())
    app.text_input(key="weights_name").set_value("a/b").run()
    app.button(key="store_weights").click().run()
    assert not app.exception and app.error and len(weight_references("demo")) == 1


def test_the_labels_page_offers_to_score_a_data_set_without_scores(workspace):
    app = open_page("labels", model="beta")
    assert not app.exception and app.button(key="score_now")


def test_the_list_is_filtered_by_image_quality(workspace):
    from core.data.decode import measures_table
    from core.data.index import read_dataset, read_index
    from core.data.measure_store import measures_folder

    dataset, index = read_dataset("demo"), read_index("demo")
    # Another test may have stored measures in the shared workspace.
    shutil.rmtree(measures_folder(dataset), ignore_errors=True)
    app = open_page("errors", outcome="Found")
    app.segmented_control(key="outcome").set_value("Missed").run()
    everything = words(app).count('class="card"')
    app.selectbox(key="quality").set_value("tenth with the least contrast").run()
    assert words(app).count('class="card"') == 0
    measured = measures_table(dataset, index)["contrast"]
    app = open_page("errors")
    app.selectbox(key="quality").set_value("tenth with the least contrast").run()
    valid = index[index["split"] == "valid"]
    contrast = valid["sha1"].map(measured)
    low = set(valid.loc[contrast <= contrast.quantile(0.1), "study_id"])
    assert words(app).count('class="card"') == len(low & set(missed())) < everything


def test_a_callback_that_runs_twice_gives_one_entry_and_one_undo(workspace, monkeypatch):
    """Streamlit runs a callback again if another run interrupts its own."""
    first = missed()[0]
    for name in ("_enter_verdict", "_undo_verdict"):
        once = getattr(verdict_panel, name)
        monkeypatch.setattr(verdict_panel, name, lambda *args, once=once: (once(*args), once(*args)))
    app = read(first)
    read_as(app, "Ana")
    app.text_area(key=f"note_{neutral_name(first)}").set_value("a fissure").run()
    for study in missed()[:2]:
        app.button(key=key_of(study, "label_wrong")).click().run()
    stored = verdicts_table(open_store(), history=True)
    assert stored["study_id"].tolist() == missed()[:2] and stored["note"].tolist() == ["a fissure", ""]
    app.button(key="undo").click().run()
    assert verdicts_table(open_store())["study_id"].tolist() == missed()[:1]


def test_an_unknown_study_is_named_and_the_nearest_is_one_click_away(workspace):
    first = missed()[0]
    app = read(first[:-1] + "X")
    assert repr(first[:-1] + "X").replace("'", "&#x27;") in words(app) or first[:-1] + "X" in words(app)
    app.button(key="study_near").click().run()
    assert not app.exception and app.text_input(key="study").value.startswith(first[:10])
    blind = read(first[:-1] + "X", blind="true")
    assert not any(first[:-2] in button.label for button in blind.button)


def test_two_presses_that_arrive_late_are_two_steps(workspace):
    third = missed()[2]
    app = read(missed()[0])
    button = app.button(key="next")
    app.session_state["study"] = missed()[1]
    button.click().run()
    assert app.text_input(key="study").value == third


def test_saliency_is_laid_over_the_films_until_the_next_case(workspace, films, monkeypatch):
    """The map first, with its checks under way; then the verdict, and plain films where no map holds up."""
    shutil.rmtree(maps_folder(), ignore_errors=True)  # what other tests have made
    service = MapsHere(checks=False)
    monkeypatch.setattr(maps, "map_service", lambda: service)
    app = read(missed()[0])
    assert not any(film.get("over") for film in films[-1])
    app.button(key="saliency_button").click().run()
    assert not app.exception and all(film["over"].startswith("data:image/png") for film in films[-1])
    assert all("Checking this map" in film["verdict"]["words"] for film in films[-1])
    assert "HiRes-CAM of the study" in words(app) and "Checking whether the maps hold up" in words(app)
    service.checks = True
    app.run()  # as the fragment does that follows the maps
    app.run()
    # The network is untrained, so no map holds up.
    assert not any(film.get("over") for film in films[-1]) and "shown without" in words(app)
    assert all("Map not shown" in film["verdict"]["words"] for film in films[-1])
    app.button(key="saliency_all").click().run()
    assert all(film["over"] and "Do not trust this map" in film["verdict"]["words"] for film in films[-1])
    app.button(key="next").click().run()
    assert not any(film.get("over") for film in films[-1])
    app.toggle(key="blind").set_value(True).run()
    assert "saliency_button" not in {button.key for button in app.button}


def test_a_configured_login_is_required_and_gives_the_readers_name(workspace, monkeypatch):
    visitor = SimpleNamespace(is_logged_in=False)
    monkeypatch.setattr("streamlit.user", visitor)
    study = missed()[0]
    app = read(study)
    assert not app.exception and app.button(key="log_in") and study not in words(app)
    visitor.is_logged_in, visitor.get = True, {"name": "Ana Ruiz", "email": "ana@example.org"}.get
    app.run()
    assert "Reader: Ana Ruiz" in words(app) and app.text_input(key="study").value == study
    app.button(key=key_of(study, "true_miss")).click().run()
    assert verdicts_table(open_store())["reviewer"].tolist() == ["Ana Ruiz"]
