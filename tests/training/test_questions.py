"""A question trains its variants, and its table compares each figure with that of the first variant."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from core import paths
from core.__main__ import app
from core.data.index import SourceTables, build_index, read_dataset, write_dataset
from core.data.label_levels import LabelRule
from core.training.options import RunOptions
from core.training.questions import QUESTIONS, Scope, find_question, run_question, variant_recipe
from tests.refusals import refused
from tests.training.test_loop import RECIPE
from tests.training.test_study_samples import manifest

SHORT = replace(RECIPE, epochs=1)


@pytest.fixture
def knees(mura, workspace):
    """The tree with labels of studies and a truth that is the second view's label in every study."""
    file = manifest(mura, lambda count: 0)
    table = pd.read_csv(file)
    table["image_label"] = table["label"] * table["study"].duplicated()
    table.to_csv(file, index=False)
    dataset = write_dataset("knees", build_index(file, SourceTables(rule=LabelRule("study")), folds=4))
    own = build_index(file, SourceTables(columns={"label": "image_label"}, rule=LabelRule("image")), folds=4)
    return dataset, write_dataset("knees-truth", own)


def test_every_question_has_a_reference_and_known_variants():
    for asked in QUESTIONS.values():
        names = [one.name for one in asked.variants]
        assert len(set(names)) == len(names) and not asked.variants[0].of
        assert all(one.of in names for one in asked.variants if one.of)
    with refused("question-unknown", "colour", "pooling"):
        find_question("colour")


def test_a_batch_of_studies_holds_as_many_radiographs(knees):
    variant = next(one for one in find_question("pooling").variants if one.name == "max")
    found = variant_recipe(SHORT, variant, knees[0])
    assert (found.pooling, found.batch_size) == ("max", SHORT.batch_size // 2)


def test_the_question_of_labels_is_trained_compared_and_read_again(knees, monkeypatch):
    said = []
    asked = find_question("labels")
    table = run_question(
        SHORT, knees[0], "q", asked, Scope(1, "valid", knees[1]), RunOptions(device="cpu", say=said.append)
    )
    assert sum("run " in text for text in said) == 4
    assert set(table["variant"]) == {one.name for one in asked.variants}
    assert set(table["figure"]) == set(asked.figures)
    first = table[table["variant"] == "study_labels"]
    assert first["difference"].isna().all() and table["n"].max() == 16
    stored = pd.read_csv(paths.home() / "sweeps" / "q.csv")
    assert stored["value"].tolist() == pytest.approx(table["value"].tolist())
    monkeypatch.setattr("core.training.sweep.train", None)  # nothing is trained again
    again = run_question(
        SHORT, knees[0], "q", asked, Scope(1, "valid", knees[1]), RunOptions(resume=True, device="cpu")
    )
    pd.testing.assert_frame_equal(again, table)


def test_the_command_takes_a_question_or_a_grid(knees, monkeypatch):
    arguments = ["sweep", "fast-cpu", "--data", "knees", "--name", "q2", "--split", "valid", "--seeds", "1", "--json"]
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert CliRunner().invoke(app, [*arguments, "--grid", "size=16", "--question", "balance"]).exit_code == 2
    small = ["--set", "weights=", "--set", "epochs=1", "--set", "size=16", "--set", "batch_size=8"]
    result = CliRunner().invoke(app, [*arguments, *small, "--question", "balance"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert {row["variant"] for row in rows} == {"none", "weight", "sampler"}
    assert CliRunner().invoke(app, ["poolings", "q2-none-seed0", "--data", "knees", "--json"]).exit_code == 0


def test_prevalence_leaves_out_abnormal_studies(knees):
    from core.training.preflight import select_rows, training_rows

    rows = training_rows(read_dataset("knees"))
    few = select_rows(rows, replace(SHORT, prevalence=0.25))
    studies = few.drop_duplicates("study_id")["label"]
    assert studies.mean() == pytest.approx(0.25, abs=0.03) and (studies == 0).sum() == (rows["label"] == 0).sum() // 2
    assert few.groupby("study_id").size().eq(2).all()
    assert select_rows(rows, replace(SHORT, prevalence=0.25)).equals(few)
    with refused("prevalence-unreachable", "0.9"):
        select_rows(rows, replace(SHORT, prevalence=0.9))
