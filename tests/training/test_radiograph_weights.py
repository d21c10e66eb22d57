"""Weights of radiographs in the loss: stored by the label audit, named in a recipe, compared by a question."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import read_index
from core.data.radiograph_weights import (
    read_weights,
    weigh_radiographs,
    weight_references,
    weights_file,
    write_weights,
)
from core.models.checkpoint import read_checkpoint
from core.parquet_files import write_parquet
from core.training import loop
from core.training.balance import effective_prior, sample_weights
from core.training.loop import train
from core.training.options import RunOptions
from core.training.questions import Scope, find_question, run_question, scope_variants
from core.workflows.label_audit import WeightOrder, keep_weights
from tests.refusals import refused
from tests.training.test_questions import SHORT, knees  # noqa: F401
from tests.training.test_recipe import ROWS

CPU = RunOptions(device="cpu")


def listed(**weights: float) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(weights), "weight": list(weights.values())})


def test_a_list_is_read_by_its_hash_alone(workspace):
    reference = write_weights("set", "doubts", listed(a=0.5, b=0))
    assert read_weights("set", reference).to_dict() == {"a": 0.5, "b": 0.0}
    assert write_weights("set", "doubts", listed(b=0, a=0.5)) == reference
    other = write_weights("set", "doubts", listed(a=0.25))
    assert sorted(weight_references("set")) == sorted([reference, other]) and weight_references("none") == []
    rows = weigh_radiographs(pd.DataFrame({"image_id": list("abc")}), "set", reference)
    assert rows["image_id"].tolist() == ["a", "c"] and rows["weight"].tolist() == [0.5, 1.0]
    write_parquet(weights_file("set", reference), listed(a=1.0))
    with refused("weights-altered", reference):
        read_weights("set", reference)


def test_a_list_that_cannot_be_used_is_refused(workspace):
    reference = write_weights("set", "doubts", listed(a=0.5))
    with refused("weights-missing", "doubts@00000000", reference):
        read_weights("set", "doubts@00000000")
    with refused("weights-reference-invalid", "doubts"):
        read_weights("set", "doubts")
    with refused("weights-of-other-data", reference, "1 radiograph"):
        weigh_radiographs(pd.DataFrame({"image_id": ["b"]}), "set", reference)
    for table in (listed(a=-1), listed(a=np.nan), listed(a=np.inf), pd.concat([listed(a=1), listed(a=1)])):
        with refused("weights-invalid"):
            write_weights("set", "bad", table)


def test_weights_multiply_those_of_the_balance():
    rows = ROWS.assign(weight=np.where(ROWS["label"] == 1, 0.5, 1.0))
    assert sample_weights(rows, "none").tolist() == rows["weight"].tolist()
    assert sample_weights(rows, "weight") == pytest.approx(sample_weights(ROWS, "weight") * rows["weight"])
    # Three of eight are abnormal; each counts half.
    assert effective_prior(rows, "none") == pytest.approx(1.5 / 6.5)
    assert effective_prior(rows, "sampler") == pytest.approx(1 / 3)


def test_a_radiograph_of_weight_0_is_not_learned_from_and_others_have_theirs(knees, tmp_path, monkeypatch):  # noqa: F811
    index = read_index("knees").query("split == 'train' and fold != 0")
    out, half = index["image_id"].iloc[0], index["image_id"].iloc[1]
    reference = write_weights("knees", "doubts", pd.DataFrame({"image_id": [out, half], "weight": [0, 0.5]}))
    seen, said, real = {}, [], loop.training_batches

    def remembered(*arguments):
        for batch in real(*arguments):
            seen.update(zip(batch.image_ids, batch.weight.tolist()))
            yield batch

    monkeypatch.setattr(loop, "training_batches", remembered)
    recipe = replace(SHORT, radiograph_weights=reference)
    found = train(recipe, knees[0], tmp_path / "checkpoints" / "w", RunOptions(device="cpu", say=said.append))
    assert set(index["image_id"]) - set(seen) == {out} and seen.pop(half) == 0.5 and set(seen.values()) == {1.0}
    assert found.manifest["radiograph_weights"] == found.recipe["radiograph_weights"] == reference
    assert any("1 radiograph left out, 1 with" in text for text in said)
    # The patient was learned from through the other view, so no score of the view that was left out is out of fold.
    assert out not in set(pd.read_parquet(found.folder / "predictions.parquet")["image_id"])
    with refused("radiograph-weights-unfit", reference):
        replace(recipe, pooling="max")


def test_the_list_of_the_audit_becomes_weights_of_train(knees):  # noqa: F811
    index = read_index("knees")
    abnormal = index[index["label"] == 1]
    first, second = abnormal[abnormal["split"] == "train"]["image_id"].iloc[:2]
    valid = abnormal[abnormal["split"] == "valid"]["image_id"].iloc[0]
    ranked = index.set_index("image_id").loc[[valid, first, second], ["study_id"]].reset_index()
    ranked = ranked.assign(score=[0.1, 0.2, 0.3], drives=[False, False, True], rank=[1, 2, 3])
    kept = keep_weights(ranked, knees[0], WeightOrder("left", first=2))
    assert read_weights("knees", kept.reference).to_dict() == {first: 0.0, second: 0.0}
    assert (kept.radiographs, kept.left_out) == (2, 2)
    kept = keep_weights(ranked, knees[0], WeightOrder("score"))
    assert read_weights("knees", kept.reference).to_dict() == {first: 0.2}
    studies = ranked[["study_id", "rank"]].assign(suspect=[True, True, True], self_confidence=[0.1, 0.2, 0.2])
    kept = keep_weights(studies.drop_duplicates("study_id"), knees[0], WeightOrder("studies"))
    of_study = index[index["study_id"] == ranked["study_id"].iloc[1]]["image_id"]
    assert read_weights("knees", kept.reference).to_dict() == dict.fromkeys(of_study, 0.2)
    with refused("suspects-none"):
        keep_weights(ranked.assign(drives=True), knees[0], WeightOrder("score"))


def test_the_question_of_suspects_has_a_variant_for_each_list(knees):  # noqa: F811
    asked = find_question("suspects")
    ids = read_index("knees").query("split == 'train' and label == 1")["image_id"]
    lists = [
        write_weights("knees", name, ids.to_frame().assign(weight=weight)) for name, weight in (("a", 0.5), ("b", 0.1))
    ]
    names = [one.name for one in scope_variants(asked, Scope(weights=(*lists, "b@00000000"), own_labels=knees[1]))]
    assert names == ["study_labels", "a", lists[1].replace("@", "-"), "b-00000000", "own_labels"]
    with refused("question-weights", "suspects"):
        scope_variants(asked, Scope())
    with refused("question-weights", "2 lists"):
        scope_variants(find_question("labels"), Scope(weights=tuple(lists)))
    table = run_question(SHORT, knees[0], "q", asked, Scope(1, "valid", weights=tuple(lists[:1])), CPU)
    assert list(table["variant"].unique()) == ["study_labels", "a"]
    assert read_checkpoint("q-a-seed0").manifest["radiograph_weights"] == lists[0]


def test_commands_store_weights_and_train_with_them(knees, tmp_path):  # noqa: F811
    train(SHORT, knees[0], tmp_path / "checkpoints" / "q", CPU)
    run = CliRunner().invoke
    audit = ["label-audit", "q", "--data", "knees", "--level", "image", "--json"]
    result = run(app, [*audit, "--weights", "doubts", "--first", "2", "--weight", "0.5"], catch_exceptions=False)
    reference = json.loads(result.stdout)["weights"]
    assert read_weights("knees", reference).tolist() == [0.5, 0.5]
    by_study = ["label-audit", "q", "--data", "knees", "--json", "--weights", "studies", "--first", "1"]
    reference = json.loads(run(app, by_study, catch_exceptions=False).stdout)["weights"]
    assert read_weights("knees", reference).tolist() == [0.0, 0.0]
    assert run(app, [*audit, "--first", "2"]).exit_code == 2
    sweep = ["sweep", "fast-cpu", "--data", "knees", "--name", "s", "--weights", reference]
    assert run(app, [*sweep, "--grid", "size=16"]).exit_code == 2
