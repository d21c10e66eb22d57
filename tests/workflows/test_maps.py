"""One record for every surface: what a command makes, a page reads, and the other way round."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from core import paths
from core.__main__ import app
from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import build_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.explain import map_store
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights, write_manifest
from core.models.networks import build
from core.scores.source import source_of
from core.scores.view import View
from core.training.recipe import Recipe
from core.workflows import trust


@pytest.fixture(scope="module")
def house(tmp_path_factory, mura):
    """The small tree, indexed, and a checkpoint with random weights."""
    root = tmp_path_factory.mktemp("maps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(root / "workspace"))
        patch.setattr(paths, "CHECKPOINTS", root / "checkpoints")
        dataset = write_dataset("tree", build_index(mura, folds=4))
        recipe = Recipe("random", "resnet10t", {}, size=32)
        torch.manual_seed(0)
        folder = root / "checkpoints" / "random"
        learned = pd.DataFrame(columns=["sha1", "part"], dtype="str")
        manifest = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec(), learned)
        manifest |= {"dataset": "other", "index_hash": "", "phantom": False, "parameters": 1}
        write_manifest(folder, save_weights(folder, manifest, build("resnet10t").state_dict()))
        yield source_of(read_checkpoint(folder), dataset)


def explain(source, image, *more: str) -> dict:
    done = CliRunner().invoke(app, ["explain", str(source.folder), str(image), "--json", *more])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def row_of(source, place: int = 0) -> pd.Series:
    return read_index(source.data).iloc[place]


def test_the_command_and_the_page_have_one_record(house):
    row = row_of(house)
    facts = explain(house, f"{house.dataset.root}/{row['path']}", "--method", "saliency")
    assert facts["data"] == "tree"  # found by the bytes of the image
    task = trust.radiograph_task(house, ("/moved/elsewhere.png", row["sha1"]), "saliency")
    record = trust.read_maps(house, task)[row["sha1"]]
    assert facts["maps"] == [record.to_dict()]


def test_the_command_reads_what_a_page_has_made(house, monkeypatch):
    row = row_of(house, 1)
    image = f"{house.dataset.root}/{row['path']}"
    made = trust.make_records(house, trust.radiograph_task(house, (image, row["sha1"]), "saliency"))[row["sha1"]]
    monkeypatch.setattr(trust, "_network", lambda *_: pytest.fail("a kept record needs no network"))
    assert explain(house, image, "--method", "saliency")["maps"] == [made.to_dict()]


def test_the_study_of_one_view_has_the_record_of_its_radiograph(house):
    """The mean of one view is the view's own logit, so Errors and Saliency show one map."""
    index = read_index("tree")
    alone, several = index.head(1), index.head(2)
    file = (f"{house.dataset.root}/{alone['path'].iloc[0]}", alone["sha1"].iloc[0])
    assert trust.study_task(house, alone) == trust.radiograph_task(house, file, trust.FILM_METHOD)
    assert trust.study_task(house, several).keys == trust.study_task(house, several.iloc[::-1]).keys


def test_kept_maps_are_those_of_the_films(house):
    studies = read_index("tree")["study_id"].unique()[:2].tolist()
    seen = []
    count = trust.keep_maps(View(house, "valid"), studies, lambda done, total, what: seen.append((done, what)))
    assert count == 2 and seen[0] == (0, "making saliency maps") and seen[-1][0] == 4
    index = read_index("tree")
    for study in studies:
        records = trust.read_maps(house, trust.study_task(house, index[index["study_id"] == study]))
        assert records and all(record.complete for record in records.values())


def test_a_setting_that_the_method_does_not_read_makes_no_second_record(house):
    file = ("a.png", "0" * 40)
    settings = trust.MapSettings(layer="layer4", baseline="blur")
    assert trust.radiograph_task(house, file, "occlusion", settings).layer == ""
    assert trust.radiograph_task(house, file, "hires_cam", settings).baseline == "black"
    assert trust.radiograph_task(house, file, "occlusion", settings).keys != (
        trust.radiograph_task(house, file, "occlusion").keys
    )


def test_other_weights_have_other_records(house):
    key = trust.radiograph_task(house, ("a.png", "0" * 40), "saliency").keys[0]
    assert key.digest == house.digest and key.name in str(map_store._file(key, "json"))


def test_boxes_that_readers_drew_are_known_findings(house):
    row = row_of(house)
    boxes = pd.DataFrame(
        [(row["image_id"], 0.25, 0.25, 0.5, 0.75), ("not indexed", 0, 0, 1, 1)],
        columns=["image_id", "x0", "y0", "x1", "y1"],
    )
    masks = AbnormalityMasks.of(house.dataset, boxes)
    assert masks.image_ids() == [row["image_id"]]
    mask = masks.mask(row["image_id"], InputSpec(64, fit="stretch"))
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    assert [columns[0], columns[-1], rows[0], rows[-1]] == pytest.approx([16, 32, 16, 48], abs=2)
