"""The commands import-predictions, threshold, verify, compare, calibrate and predict --operating-point."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import wilson
from tests.conftest import REPOSITORY
from tests.metrics.examples import P, Y
from tests.test_command_line import core


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """600 studies; the elbow has too few abnormal ones to show 95%."""
    random = np.random.default_rng(3)
    bone = np.where(np.arange(600) % 6 == 0, "elbow", "wrist")
    label = (random.random(600) < 0.5).astype(int)
    frame = pd.DataFrame({"bone": bone, "truth": label, "p": random.beta(2 + 3 * label, 5 - 3 * label).round(6)})
    frame["study"], frame["patient"] = [f"s{i}" for i in range(600)], np.arange(600) // 2
    frame["split"] = np.where(frame["patient"] % 2 == 0, "tune", "test")
    file = tmp_path_factory.mktemp("table") / "scores.csv"
    frame.to_csv(file, index=False)
    return file, frame


@pytest.fixture(scope="module")
def imported(home, table):
    return json.loads(
        core(
            home, "import-predictions", table[0], "--name", "other", "--label", "truth", "--score", "p",
            "--study", "study", "--patient", "patient", "--bone", "bone", "--split", "split", "--json",
        )
    )  # fmt: skip


def test_import_reports_its_counts(imported, table):
    assert (imported["rows"], imported["studies"], imported["patients"]) == (600, 600, 300)
    assert imported["abnormal"] == table[1]["truth"].sum() and imported["splits"] == {"tune": 300, "test": 300}
    assert imported["bones"] == {"wrist": 500, "elbow": 100} and imported["reference"].startswith("other@")


def test_imported_scores_are_evaluated_like_a_checkpoint(home, imported, table):
    facts = json.loads(core(home, "evaluate", "other", "--split", "test", "--by", "bone", "--threshold", 0.4, "--json"))
    part = table[1].query("split == 'test'")
    at = counts_at(counts_table(part["p"], part["truth"]), 0.4)
    assert {name: facts[name] for name in at} == at and [group["bone"] for group in facts["groups"]] == [
        "wrist",
        "elbow",
    ]


def test_threshold_is_exact_and_counted_per_bone(home, imported, table):
    facts = json.loads(core(home, "threshold", "other", "--rule", "sensitivity>=0.95", "--by", "bone", "--json"))
    part = table[1].query("split == 'tune'")
    n1 = int(part["truth"].sum())
    meets = [t for t in part["p"] if wilson(part.query("truth == 1")["p"].ge(t).sum(), n1)[0] >= 0.95]
    assert facts["feasible"] and facts["threshold"] == max(meets) and facts["split"] == "tune"
    at = counts_at(counts_table(part["p"], part["truth"]), facts["threshold"])
    assert {name: facts[name] for name in at} == at
    assert facts["sensitivity"] == at["tp"] / n1 and facts["sensitivity_low"] >= 0.95
    wrist, elbow = facts["groups"]
    few = int(part.query("bone == 'elbow'")["truth"].sum())
    assert not elbow["feasible"] and elbow["threshold"] is None
    assert elbow["reason"] == f"{few} abnormal elbow studies cannot show 95%: 73 are needed"
    assert wrist["feasible"] and wrist["pooled"]["threshold"] == facts["threshold"]
    assert wrist["pooled"]["tp"] + elbow["pooled"]["tp"] == facts["tp"] and "offset" in wrist and "own_why" in elbow


@pytest.mark.parametrize("bound", ["wilson", "clopper-pearson", "none"])
def test_an_infeasible_rule_is_reported_and_no_error(home, imported, bound):
    facts = json.loads(core(home, "threshold", "other", "--rule", "sensitivity>=0.999", "--bound", bound, "--json"))
    if bound == "none":
        assert facts["feasible"] and facts["sensitivity"] == 1
    else:
        assert not facts["feasible"] and facts["threshold"] is None and "are needed" in facts["reason"]


def test_prevalence_changes_only_the_figures_that_depend_on_it(home, imported):
    here, there = (
        json.loads(core(home, "threshold", "other", "--rule", "youden", *more, "--json"))
        for more in ((), ("--prevalence", 0.05))
    )
    assert here["threshold"] == there["threshold"] and here["sensitivity"] == there["sensitivity"]
    odds = 0.05 * here["sensitivity"] / (0.05 * here["sensitivity"] + 0.95 * (1 - here["specificity"]))
    assert there["ppv"] == pytest.approx(odds, abs=1e-12) and there["prevalence"] == 0.05


def test_a_point_is_locked_verified_and_refused_once_altered(home, imported, table):
    rule = ("--rule", "sensitivity>=0.9", "--lock", "--author", "Ada", "--note", "for the night shift")
    facts = json.loads(core(home, "threshold", "other", *rule, "--json"))
    found = json.loads(core(home, "verify", "other", "--split", "test", "--json"))
    assert found["point"]["id"] == facts["point"]["id"] and found["point"]["author"] == "Ada"
    assert found["chosen"]["tp"] == facts["tp"] and found["looks_before"] == 0
    part = table[1].query("split == 'test'")
    at = counts_at(counts_table(part["p"], part["truth"]), facts["threshold"])
    assert {name: found["verified"][name] for name in at} == at
    text = core(home, "verify", "other", "--split", "test")
    assert "chosen on tune" in text and "verified on test" in text
    assert json.loads(core(home, "verify", "other", "--split", "test", "--json"))["looks_before"] == 2
    assert "[verified-on-own-split]" in core(home, "verify", "other", "--split", "tune", status=1)
    assert "[point-of-other-aggregation]" in core(
        home, "verify", "other", "--split", "test", "--aggregation", "max", status=1
    )
    file = home / "imported" / "other" / "operating_points.json"
    text, written = file.read_text(), repr(facts["threshold"])
    file.write_text(
        text.replace(f'"threshold": {written}', f'"threshold": {written[:-1]}{(int(written[-1]) + 1) % 10}', 1)
    )
    assert "threshold" in core(home, "verify", "other", "--split", "test", status=1)
    assert "[operating-point-altered]" in core(home, "threshold", "other", *rule, status=1)
    file.write_text(text)
    core(home, "verify", "other", "--split", "test", "--json")


def test_predict_applies_the_operating_point_of_its_own_scores_only(home, mura, tmp_path):
    core(home, "index", mura, "--name", "tree", "--folds", 4)
    model = tmp_path / "model"
    shutil.copytree(REPOSITORY / "checkpoints" / "original-cnn-64", model)
    text = core(home, "predict", model, "--data", "tree", "--operating-point", "latest", status=1)
    assert "model" in text and "[no-operating-point]" in text
    rule = ("--data", "tree", "--rule", "youden")
    facts = json.loads(core(home, "threshold", model, *rule, "--split", "train", "--lock", "--author", "Ada", "--json"))
    out = tmp_path / "scores.parquet"
    arguments = ("predict", model, "--data", "tree", "--split", "valid", "--out", out, "--operating-point", "latest")
    found = json.loads(core(home, *arguments, "--json"))
    table = pd.read_csv(found["decisions_file"])
    assert found["operating_point"] == facts["point"]["id"] and len(table) == 8
    assert ((table["score"] >= facts["threshold"]) == (table["decision"] == "abnormal")).all()
    assert sum(found["decisions"].values()) == 8
    assert "[point-of-other-aggregation]" in core(home, *arguments, "--aggregation", "max", status=1)
    other = tmp_path / "other"
    shutil.copytree(REPOSITORY / "checkpoints" / "resnet-narrow-128", other)
    assert not (model / "operating_points.json").exists()  # a lock is written to the workspace
    shutil.copy(facts["file"], other)  # where earlier versions wrote it
    assert "[point-of-other-scores]" in core(home, "predict", other, *arguments[2:], status=1)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["import-predictions", "none.csv", "--name", "x", "--label", "y", "--score", "p"], 1, "[table-missing]"),
        (["import-predictions", "none.csv", "--name", "x", "--label", "y"], 2, "Missing option '--score'"),
        (["threshold", "none", "--rule", "youden"], 1, "[source-unknown]"),
        (["threshold", "other", "--rule", "sensitivity>=95"], 1, "[rule-share-range]"),
        (["threshold", "other", "--rule", "best"], 1, "[rule-unknown]"),
        (["threshold", "other", "--rule", "youden", "--bound", "wald"], 1, "[bound-unknown]"),
        (["threshold", "other", "--rule", "youden", "--split", "valid"], 1, "[split-unknown]"),
        (["threshold", "other", "--rule", "youden", "--prevalence", "5"], 1, "[prevalence-range]"),
        (["threshold", "other", "--rule", "youden", "--by", "hospital"], 1, "[group-column-unknown]"),
        (["threshold", "other", "--rule", "youden", "--aggregation", "sum"], 1, "[aggregation-unknown]"),
        (["threshold", "other", "--rule", "youden", "--data", "tree"], 1, "[scores-of-other-dataset]"),
        (["threshold", "other", "--rule", "youden", "--data", "none"], 1, "[dataset-missing]"),
        (["verify", "none", "--split", "test"], 1, "[source-unknown]"),
    ],
)
def test_bad_input_is_one_sentence_and_its_status(home, imported, arguments, status, text):
    assert text in core(home, *arguments, status=status)


def test_every_rule_on_the_small_example(home, tmp_path):
    pd.DataFrame({"y": Y.astype(int), "p": P}).to_csv(tmp_path / "t20.csv", index=False)
    core(home, "import-predictions", tmp_path / "t20.csv", "--name", "t20", "--label", "y", "--score", "p")
    chosen = {"youden": 0.45, "cost=1": 0.45, "cost=2": 0.3, "cost=5": 0.12, "miss<=0.1": 0.12, "miss<=0.2": 0.3}
    for rule, threshold in chosen.items():
        facts = json.loads(core(home, "threshold", "t20", "--rule", rule, "--json"))
        assert facts["threshold"] == threshold and facts["split"] == "valid"
    text = core(home, "threshold", "t20", "--rule", "rule_out 0.12 rule_in 0.80")
    assert "0 of 4 ruled out are abnormal, 3 of 3 ruled in are abnormal, 13 of 20 are referred" in text


def test_compare_pairs_two_models_at_their_own_thresholds(home, imported, table):
    worse = table[1].assign(p=(table[1]["p"] * 7919 % 1).round(6)).iloc[:580]
    file = table[0].with_name("worse.csv")
    worse.to_csv(file, index=False)
    core(
        home, "import-predictions", file, "--name", "worse", "--label", "truth", "--score", "p",
        "--study", "study", "--patient", "patient", "--bone", "bone", "--split", "split", "--json",
    )  # fmt: skip
    facts = json.loads(
        core(home, "compare", "other", "worse", "--split", "test", "--threshold-a", 0.4, "--by", "bone", "--json")
    )
    part = table[1].iloc[:580].query("split == 'test'").assign(q=worse["p"])
    assert (facts["n"], facts["only_a"], facts["only_b"]) == (len(part), 300 - len(part), 0)
    right = [(part[name] >= at) == (part["truth"] == 1) for name, at in (("p", 0.4), ("q", 0.5))]
    assert facts["fixed"] == (~right[0] & right[1]).sum() and facts["broken"] == (right[0] & ~right[1]).sum()
    assert facts["b"]["threshold"] == 0.5 and "nothing is locked" in facts["b"]["threshold_from"]
    assert (
        len(facts["discordant"])
        == facts["fixed"] + facts["broken"]
        == sum(group["fixed"] + group["broken"] for group in facts["groups"])
    )
    text = core(home, "compare", "other", "worse", "--split", "test")
    assert "other ranks better" in text and "left out: 10 scored only by other" in text
    point = json.loads(core(home, "threshold", "worse", "--rule", "youden", "--lock", "--author", "A", "--json"))
    facts = json.loads(core(home, "compare", "other", "worse", "--split", "test", "--json"))
    assert facts["b"]["threshold"] == point["threshold"] and point["point"]["id"] in facts["b"]["threshold_from"]


def test_models_are_compared_on_the_half_that_no_threshold_was_chosen_on(home, table, tmp_path):
    whole = table[1].drop(columns="split")
    for name, scores in (("first", whole["p"]), ("second", (whole["p"] * 7919 % 1).round(6))):
        whole.assign(p=scores).to_csv(tmp_path / f"{name}.csv", index=False)
        columns = ("--label", "truth", "--score", "p", "--study", "study", "--patient", "patient", "--bone", "bone")
        core(home, "import-predictions", tmp_path / f"{name}.csv", "--name", name, *columns)
    before = json.loads(core(home, "compare", "first", "second", "--json"))
    assert (before["split"], before["n"], before["split_note"]) == ("valid", 600, "")
    core(home, "threshold", "second", "--rule", "youden", "--lock", "--author", "A")
    facts = json.loads(core(home, "compare", "first", "second", "--json"))
    assert facts["split"] == "valid:verify" and 250 < facts["n"] < 350
    assert "valid:verify" in core(home, "compare", "first", "second").splitlines()[1]
    # Who names the whole split gets it, with the reason against it; who states a threshold chose none here.
    named = json.loads(core(home, "compare", "first", "second", "--split", "valid", "--json"))
    assert named["n"] == 600 and "too good" in named["b"]["threshold_from"] and named["split_note"] == ""
    assert json.loads(core(home, "compare", "first", "second", "--threshold-b", 0.5, "--json"))["split"] == "valid"


def test_scores_that_cannot_be_compared_are_refused(home, imported, table):
    assert "[same-scores]" in core(home, "compare", "other", "other", status=1)
    file = table[0].with_name("strangers.csv")
    table[1].assign(study=[f"x{i}" for i in range(600)]).to_csv(file, index=False)
    columns = ("--label", "truth", "--score", "p", "--study", "study", "--split", "split")
    core(home, "import-predictions", file, "--name", "strangers", *columns)
    assert "[no-shared-studies]" in core(home, "compare", "other", "strangers", "--split", "test", status=1)
    table[1].assign(truth=1 - table[1]["truth"]).to_csv(file, index=False)
    core(home, "import-predictions", file, "--name", "reversed", *columns, "--patient", "patient", "--bone", "bone")
    assert "[labels-contradict]" in core(home, "compare", "other", "reversed", "--split", "test", status=1)


def test_calibrate_fits_on_one_split_and_evaluates_on_another(home, imported, table):
    facts = json.loads(
        core(home, "calibrate", "other", "--method", "platt", "--fit-split", "tune", "--split", "test", "--json")
    )
    tune, test = (table[1].query(f"split == '{name}'") for name in ("tune", "test"))
    x = np.log(tune["p"] / (1 - tune["p"]))
    peer = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(x.to_numpy()[:, None], tune["truth"])
    assert facts["slope"] == pytest.approx(peer.coef_[0, 0], abs=1e-4) and facts["temperature"] is None
    assert facts["before"]["brier"] == pytest.approx(((test["p"] - test["truth"]) ** 2).mean(), abs=1e-12)
    after = 1 / (1 + np.exp(-facts["intercept"] - facts["slope"] * np.log(test["p"] / (1 - test["p"]))))
    assert facts["after"]["log_loss"] == pytest.approx(log_loss(test["truth"], after), abs=1e-9)
    assert facts["log_loss_gain"] == pytest.approx(facts["before"]["log_loss"] - facts["after"]["log_loss"], abs=1e-12)
    assert facts["fit"] == {"split": "tune", "n": len(tune), "n_abnormal": int(tune["truth"].sum())}
    assert facts["shared_patients"] == 0 and facts["note"] == ""
    assert "log-loss lower by" in core(home, "calibrate", "other", "--split", "test")
    assert "[calibrated-on-own-split]" in core(home, "calibrate", "other", "--split", "tune", status=1)
    by_default = json.loads(core(home, "calibrate", "other", "--json"))
    assert (by_default["fit"]["split"], by_default["split"]) == ("tune", "test")
    assert "with --fit-split" in core(home, "calibrate", "other", "--fit-split", "train", "--split", "test", status=1)


@pytest.mark.parametrize(("patient", "shared", "text"), [("patient", 0, ""), ("shared", 60, "60 of")])
def test_verify_names_the_patients_in_both_splits(home, imported, table, patient, shared, text):
    frame = table[1].assign(shared=np.where(table[1]["patient"] < 120, table[1]["patient"] // 2, table[1]["patient"]))
    file = table[0].with_name("sides.csv")
    frame.to_csv(file, index=False)
    name = f"sides-{patient}"
    core(
        home, "import-predictions", file, "--name", name, "--label", "truth", "--score", "p",
        "--study", "study", "--patient", patient, "--split", "split",
    )  # fmt: skip
    core(home, "threshold", name, "--rule", "youden", "--lock", "--author", "A")
    facts = json.loads(core(home, "verify", name, "--split", "test", "--json"))
    both = frame.groupby(patient)["split"].nunique()
    assert facts["shared_patients"] == (both == 2).sum() == shared
    total = frame.query("split == 'test'")[patient].nunique()
    assert facts["shared"].startswith(f"{shared} of {total} patients" if text else "")


def test_verify_without_named_patients_says_that_it_is_not_known(home, imported, table):
    core(
        home, "import-predictions", table[0], "--name", "nameless", "--label", "truth", "--score", "p",
        "--study", "study", "--split", "split",
    )  # fmt: skip
    core(home, "threshold", "nameless", "--rule", "youden", "--lock", "--author", "A")
    facts = json.loads(core(home, "verify", "nameless", "--split", "test", "--json"))
    assert facts["shared_patients"] is None and "not known" in facts["shared"]
