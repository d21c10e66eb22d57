"""The Threshold page in Streamlit's AppTest: rules, bands, operating points. tests/browser tests the dragging."""

import json
import math
import shutil
from dataclasses import replace
from html import escape
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.metrics.counts import counts_at, counts_of, counts_table
from core.metrics.rates import rates_at
from core.metrics.studies import study_table
from core.metrics.thresholds import PerBone, ThresholdChoice, band_table, choose, cost_sentence, per_bone
from core.paths import predictions_folder
from core.review.store import open_store
from core.review.threshold_meeting import list_decisions
from core.scores.import_frame import Columns
from core.scores.operating_points import POINTS, read_points
from core.scores.operating_points import lock as lock_point
from core.scores.predictions import read_file
from core.scores.source import find_source, find_source_on
from core.scores.verification_log import verifications_of
from core.scores.view import View
from core.workflows.import_scores import import_scores
from core.workflows.thresholds import Criterion, choose_threshold
from core.workflows.verify import verify
from dashboard.shared.selection import BY_HAND
from dashboard.shared.widgets import estimate_text
from dashboard.threshold import lock as lock_dialogue
from dashboard.threshold import meeting, points
from dashboard.threshold.bones import bones_html
from dashboard.threshold.work import band_html, workload
from tests.dashboard.conftest import HOME, House, end_run_after, enter, made_up_view, open_page, words
from tests.reading import read_as


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:
    """A copy of the workspace that may be written to."""
    house = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, house.home)
    enter(house, monkeypatch)
    return house


def valid():
    return study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'"))


RULES = {
    "Specificity first": ("specificity>=0.8", {"specificity_target": 80.0, "bound": "None"}),
    "Sensitivity first": ("sensitivity>=0.9", {"sensitivity_target": 90.0, "bound": "None"}),
    "Alerts": ("alerts<=30", {"alerts": 30.0}),
    "Cost": ("cost=3", {"cost": 3.0}),
    "Youden": ("youden", {}),
    "Guarantee on misses": ("miss<=0.2", {"miss": 20.0}),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_on_the_page_is_the_rule_of_the_command_line(house, name):
    text, settings = RULES[name]
    app = open_page("threshold", rule=name, **{key: str(value) for key, value in settings.items()})
    expected = choose(valid(), text, "none")
    assert not app.exception and expected.feasible and expected.reason in words(app)
    app.button(key="rule_use").click().run()
    assert app.slider(key="threshold").value == min(expected.threshold, 1.0)


def test_two_thresholds_offer_both(house):
    app = open_page("threshold", rule="Two thresholds", bound="None", rule_out="80.0", rule_in="80.0")
    expected = choose(valid(), "rule_out sensitivity>=0.8 rule_in specificity>=0.8", "none")
    assert not app.exception and expected.reason in words(app)
    app.button(key="rule_use_high").click().run()
    assert app.slider(key="threshold").value == expected.high


def test_the_page_shows_exact_figures_at_the_stated_prevalence(house):
    app = open_page("threshold", threshold="0.4", prevalence="5.0")
    rates = rates_at(counts_of(valid()), 0.4, 0.05)
    for name, kind in (("number_needed_to_review", "number"), ("mcc", "auroc")):
        assert estimate_text(rates[name], kind)[0] in words(app)
    assert f"{10 * rates['alerts_per_100'].value:,.0f} are called abnormal" in words(app)
    assert "Enter the prevalence of the clinic" in words(open_page("threshold", threshold="0.4"))


def test_the_workload_of_a_thousand_studies_follows_from_the_rates():
    # 420 found, 118 missed, 66 false alarms, 595 cleared, at 5%: 13.389 alerts per 100, 3.43 reviews a find.
    counts = counts_table([1.0] * 486 + [0.0] * 713, [1] * 420 + [0] * 66 + [1] * 118 + [0] * 595)
    text = workload(rates_at(counts, 0.5, 0.05), 0.05)
    assert "50 are abnormal: 39.0 are found and 11.0 missed" in text
    assert "134 are called abnormal, 3.4 for each that is found; 95 of them are false alarms" in text
    assert "not estimable" in workload(rates_at(counts_table([0.5], [1]), 0.5, 0.05), 0.05)
    assert "0 are called abnormal; 0 of them" in workload(rates_at(counts, 2.0, 0.05), 0.05)


def test_each_bone_is_shown_with_the_threshold_for_all_bones(house):
    app = open_page("threshold", rule="Youden")
    found = per_bone(valid(), "youden")
    assert not app.exception and f"One for all: {found.pooled.threshold:.4f}" in words(app)
    for row in found.table.itertuples():
        assert f'<span class="mark missed">{row.fn}</span><small>of {row.n_abnormal}</small>' in words(app)
    assert "No bone is shifted" in words(app) if found.why else "The shifts are offsets" in words(app)
    for rule, text in (("By hand", "Choose a constraint that gives one"), ("Sensitivity first", "cannot be met")):
        app = open_page("threshold", rule=rule)
        assert not app.exception and text in words(app)


def test_a_bone_with_its_own_threshold_shows_the_gain():
    row = {"bone": "<wrist>", "n": 300, "n_abnormal": 100, "offset": -0.25, "own": True, "own_threshold": 0.3123}
    row |= {"own_gain": 0.05, "own_gain_low": 0.01, "own_gain_high": 0.09, "threshold_shifted": 0.4512, "why": ""}
    row |= {"fn": 3, "fp": 9, "shifted_fn": 2, "shifted_fp": math.nan}
    choice = ThresholdChoice(0.4, True, "", "")
    html = bones_html(PerBone(choice, choice, 0.2, 1.0, "", pd.DataFrame([row])))
    assert "0.3123<small>balanced accuracy +5.0 points (1.0 to 9.0)" in html and "-0.25 log-odds" in html
    assert "<wrist>" not in html and "nan" not in html


def test_a_band_with_swapped_ends_is_a_message(house):
    app = open_page("threshold", band_low="0.7", band_high="0.2")
    assert not app.exception and "The band is empty" in words(app)


def test_the_band_names_each_bone_and_links_to_its_errors():
    studies = valid_like()
    table = band_table(studies, 0.2, 0.8, by="bone")
    html = band_html(table, made_up_view("a&b"), 0.2, 0.8)
    assert html.count("<tr>") == 1 + len(table) and "<script" not in html
    link = html.split('href="')[1].split('"')[0].replace("&amp;", "&")
    query = parse_qs(urlsplit(link).query)
    assert query["data"] == ["a&b"] and query["threshold"] == ["0.8"] and query["outcome"] == ["Missed"]
    assert "href" not in band_html(table, made_up_view(images=False), 0.2, 0.8)


def valid_like():
    import pandas as pd

    return pd.DataFrame(
        {
            "bone": ["wrist", "wrist", "<script>"] * 8,
            "label": [1.0, 0.0, 1.0] * 8,
            "score": [0.3, 0.5, 0.9] * 8,
        }
    )


def lock(app, author: str = "A. Reader"):
    """Open the dialogue and lock as this reader."""
    app.button(key="lock_open").click().run()
    read_as(app, author)
    return app.button(key="lock_now").click().run()


def test_the_page_locks_the_threshold_of_the_panel(own):
    app = lock(open_page("threshold", threshold="0.45"))
    assert not app.exception
    (point,) = read_points(find_source("alpha"))
    assert (point.threshold, point.rule, point.split, point.author) == (0.45, "threshold=0.45", "valid", "A. Reader")
    assert point.figures["n_abnormal"] > 0 and "Chosen on valid" in words(app)
    # The locked point is the one in use from then on.
    assert app.selectbox(key="point").value == point.id
    app = open_page("threshold", rule="Youden", threshold="0.3")
    app.button(key="rule_use").click().run()
    lock(app)
    points = read_points(find_source("alpha"))
    assert [point.rule for point in points] == ["threshold=0.45", "youden"]
    # Where the threshold of the rule is a locked one, taking it takes that point.
    app.slider(key="threshold").set_value(0.2).run()
    assert app.selectbox(key="point").value == BY_HAND
    app.button(key="rule_use").click().run()
    assert app.selectbox(key="point").value == points[-1].id and app.button(key="rule_use").disabled


def test_the_dialogue_says_what_the_threshold_costs_and_needs_a_reader(own):
    app = open_page("threshold", threshold="0.45", prevalence="5.0")
    app.button(key="lock_open").click().run()
    at = counts_at(counts_of(valid()), 0.45)
    assert not app.exception and cost_sentence(at, 0.05) in words(app) and "at a prevalence of 5.0%" in words(app)
    assert "calls the same studies abnormal" in words(app) and app.button(key="lock_now").disabled
    # `alpha` has an interval of its tuning AUROC that begins at .5.
    assert any("learned anything" in warning.value for warning in app.warning)
    app.number_input(key="lock_prevalence").set_value(20.0).run()
    assert cost_sentence(at, 0.2) in words(app) and not read_points(find_source("alpha"))
    app.button(key="lock_cancel").click().run()
    assert not app.exception and not [one for one in app.button if one.key == "lock_now"]


def test_a_run_that_ends_early_locks_and_withdraws_once(own, monkeypatch):
    app = open_page("threshold", threshold="0.45")
    end_run_after(monkeypatch, lock_dialogue, "lock")
    end_run_after(monkeypatch, points, "withdraw")
    lock(app)
    (point,) = read_points(find_source("alpha"))
    # The dialogue is closed and the point chosen, although the run that locked it did neither.
    assert not app.exception and not app.error and not [one for one in app.button if one.key == "lock_now"]
    assert app.selectbox(key="point").value == point.id
    # The point of other scores is not chosen here.
    app.session_state["kept_by_clicks"]["locking"] = ("other scores", replace(point, threshold=0.2))
    app.run()
    assert not app.exception and app.selectbox(key="point").value == point.id
    assert app.slider(key="threshold").value == 0.45
    app.button(key="withdraw_open").click().run()
    app.text_input(key="withdraw_reason").set_value("wrong prevalence").run()
    app.button(key="withdraw_now").click().run()
    assert not app.exception and not [one for one in app.button if one.key == "withdraw_now"]
    assert "wrong prevalence" in app.error[0].value


def test_a_run_that_ends_early_writes_one_decision_down(own, monkeypatch):
    app = open_page("threshold", threshold="0.45")
    app.session_state["reviewer"] = "Ana"
    app.run()
    end_run_after(monkeypatch, meeting, "decide_threshold")
    app.button(key="meeting_join").click().run()
    app.button(key="meeting_decide").click().run()
    app.text_input(key="meeting_why").set_value("two misses fewer").run()
    app.button(key="meeting_keep").click().run()
    assert not app.exception and not [one for one in app.button if one.key == "meeting_keep"]
    assert [one.why for one in list_decisions(open_store(), "demo")] == ["two misses fewer"]
    # A threshold that is locked in a meeting is its decision, also where the run of the lock ends early.
    end_run_after(monkeypatch, lock_dialogue, "lock")
    app.button(key="lock_open").click().run()
    app.button(key="lock_now").click().run()
    (point,) = read_points(find_source("alpha"))
    assert [one.point for one in list_decisions(open_store(), "demo")] == ["", point.id]


def test_a_field_never_locks(own):
    app = open_page("threshold")
    app.button(key="lock_open").click().run()
    read_as(app, "Ana")
    app.text_input(key="lock_note").set_value("why").run()
    assert not app.exception and not read_points(find_source("alpha"))


def test_a_duplicate_is_refused_and_a_withdrawn_point_is_not_used(own):
    app = lock(open_page("threshold", threshold="0.45"))
    (point,) = read_points(find_source("alpha"))
    app = lock(open_page("threshold", threshold="0.45"))
    assert not app.exception and point.id in app.error[0].value and len(read_points(find_source("alpha"))) == 1
    app = open_page("threshold")
    assert app.selectbox(key="point").value == point.id and app.slider(key="threshold").value == 0.45
    app.button(key="withdraw_open").click().run()
    read_as(app, "Ana")
    assert app.button(key="withdraw_now").disabled
    app.text_input(key="withdraw_reason").set_value("wrong prevalence").run()
    app.button(key="withdraw_now").click().run()
    assert not app.exception and "wrong prevalence" in app.error[0].value
    # The list stays open under its new title, else nobody would see the reason.
    assert [one.proto.expanded for one in app.expander if one.label == "Operating points: 0 in use, 1 withdrawn"] == [
        True
    ]
    (ended,) = read_points(find_source("alpha"))
    assert ended.withdrawn.author == "Ana" and app.selectbox(key="point").value != point.id
    assert not [one for one in app.button if one.key in ("verify_now", "point_use")]


def test_verified_figures_are_beside_those_of_the_choice_and_verifications_are_listed(own):
    app = lock(open_page("threshold", threshold="0.45", split="train"))
    app.selectbox(key="verify_on").set_value("valid").run()
    app.button(key="verify_now").click().run()
    assert not app.exception and "Chosen on train" in words(app) and "Verified on valid" in words(app)
    shown = estimate_text(rates_at(counts_of(valid()), 0.45)["sensitivity"])[0]
    assert shown in words(app).split("Verified on valid")[1]
    again = open_page("threshold", split="train")
    assert any("already used for verification once" in warning.value for warning in again.warning)
    # The stored verification is shown again without another one.
    assert "Verified on valid" in words(again)
    assert len(verifications_of(find_source("alpha"), read_points(find_source("alpha"))[0].id)) == 1


def test_a_point_altered_by_one_digit_is_refused(own):
    lock(open_page("threshold", threshold="0.45"))
    file = find_source("alpha").file_to_write(POINTS)
    content = json.loads(file.read_text())
    content["points"][0]["threshold"] = 0.46
    file.write_text(json.dumps(content))
    app = open_page("threshold")
    assert not app.exception and "was altered after it was locked" in words(app)
    assert not [button for button in app.button if button.key == "lock_open"]


# ---- the split for choosing


@pytest.fixture
def halved(workspace, tmp_path):
    """Imported scores of 200 patients without a split: thresholds are chosen on one half of valid."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200)
    frame = pd.DataFrame({"y": label, "p": random.beta(2 + 2 * label, 4 - 2 * label).round(4)})
    frame["study"], frame["patient"], frame["bone"] = np.arange(200), np.arange(200), "wrist"
    frame.to_csv(tmp_path / "scores.csv", index=False)
    columns = Columns("y", "p", study="study", patient="patient", bone="bone")
    import_scores(tmp_path / "scores.csv", "outside", columns)
    return "outside (scores only)"


def test_the_page_opens_on_the_split_for_choosing_and_others_keep_theirs(halved):
    app = AppTest.from_file(HOME, default_timeout=60)
    app.query_params["data"] = halved
    app.run()
    assert app.selectbox(key="split").value == "valid"
    app.switch_page("threshold/page.py").run()
    assert not app.exception and app.selectbox(key="split").value == "valid:choose"
    assert app.selectbox(key="split").options == ["valid", "valid:choose", "valid:verify"]
    app.switch_page("bones/page.py").run()
    assert not app.exception and app.selectbox(key="split").value == "valid"


def test_a_link_keeps_its_split_and_the_page_offers_the_one_for_choosing(halved):
    app = open_page("threshold", data=halved, split="valid:verify")
    assert app.selectbox(key="split").value == "valid:verify"
    assert "Choose on valid:choose and verify on valid:verify" in app.warning[-1].value.replace("\\", "")
    app.button(key="to_choice").click().run()
    assert not app.exception and app.selectbox(key="split").value == "valid:choose"
    assert not [one for one in app.button if one.key == "to_choice"]


def test_imported_scores_are_locked_on_the_split_for_choosing_and_verified_on_the_other(halved):
    app = AppTest.from_file(HOME, default_timeout=60)
    app.query_params["data"] = halved
    app.run().switch_page("threshold/page.py").run()
    lock(app)
    assert not app.exception
    (point,) = read_points(find_source("outside"))
    assert point.split == "valid:choose" and app.selectbox(key="verify_on").options == ["valid:verify"]
    assert not app.button(key="verify_now").click().run().exception
    assert "Verified on valid:verify" in words(app)


def test_whether_the_rule_holds_is_said_as_the_command_says_it(own):
    source = find_source_on("alpha", "demo")
    view = View(source, "train", threshold=0.5)
    criterion = Criterion("sensitivity>=0.5", bound="none")
    point = lock_point(choose_threshold(view, criterion), "Ana")
    (sentence,) = verify(source, "valid", point.id)["held"]
    assert "sensitivity>=0.5" in sentence
    assert escape(sentence) in words(open_page("threshold", split="train")).replace("\n", " ")
