"""The split of another data set is taken over for the same radiographs in other files."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import (
    SourceTables,
    build_index,
    read_dataset,
    read_earlier_index,
    read_index,
    write_dataset,
)
from core.jobs.kinds import KINDS
from core.workflows.data_request import DataRequest, arguments_of
from tests.conftest import write_radiograph
from tests.refusals import refused

FILES = 60


def write_set(root, numbers, ending="png", side=60, folder="films", **columns):
    """Radiographs without patients, in a manifest."""
    for number in numbers:
        file = write_radiograph(root / folder / f"{number}.png", np.random.default_rng(number), number % 3 == 0)
        if ending != "png" or side != 60:
            Image.open(file).resize((side, side)).save(file.with_suffix(f".{ending}"))
    rows = [
        {"path": f"{folder}/{number}.{ending}", "label": int(number % 3 == 0), "bone": "hand"} for number in numbers
    ]
    pd.DataFrame(rows).assign(**columns).to_csv(root / "labels.csv", index=False)
    return root


@pytest.fixture
def original(tmp_path, workspace):
    write_dataset("original", build_index(write_set(tmp_path / "original", range(FILES)), folds=5))
    return by_number("original")


def by_number(name):
    index = read_index(name)
    return index.set_index(index["path"].str.extract(r"(\d+)\.", expand=False).astype(int))[["split", "fold"]]


def test_smaller_copies_are_dealt_otherwise_unless_the_split_is_taken(original, tmp_path):
    copies = write_set(tmp_path / "small", range(FILES), "jpg", 40)
    own = build_index(copies, folds=5).frame.sort_values("image_id")["split"]
    assert (own.to_numpy() != read_index("original").sort_values("image_id")["split"].to_numpy()).any()
    found = build_index(copies, SourceTables(split_of="original"), folds=5)
    dataset = write_dataset("small", found)
    assert by_number("small").loc[original.index].equals(original)
    assert dataset.splits_from == f"as in {read_dataset('original').reference}"
    assert (found.joins[-1].matched, found.joins[-1].items_without_row) == (FILES, 0)
    (note,) = [note for note in found.notes if note.code == "split-taken"]
    assert note == f"{FILES} of {FILES} radiographs are in the same split as in original"
    again = build_index(copies, folds=5, earlier=read_earlier_index("small", copies))
    assert again.frame.attrs["splits_from"] == dataset.splits_from
    assert again.frame.set_index("image_id")["split"].equals(read_index("small").set_index("image_id")["split"])


def test_other_folders_are_matched_by_file_name_and_new_radiographs_are_dealt(original, tmp_path):
    more = write_set(tmp_path / "more", range(10, FILES + 20), side=40, folder="elsewhere")
    found = build_index(more, SourceTables(split_of="original"), folds=5)
    write_dataset("more", found)
    kept = by_number("more").loc[10 : FILES - 1]
    assert kept.equals(original.loc[10:])
    assert set(by_number("more").loc[FILES:, "split"]) == {"train", "valid"}
    report = found.joins[-1]
    assert (report.matched, report.unmatched_rows, report.items_without_row) == (FILES - 10, 10, 20)
    note = next(note for note in found.notes if note.code == "split-taken")
    assert f"{FILES - 10} of {FILES + 10}" in note and "20 radiographs are not in original" in note


def test_copies_stay_together_and_a_test_split_stays_a_test_split(tmp_path, workspace):
    splits = ["train", "valid", "test", "train"] * (FILES // 4)
    write_dataset("given", build_index(write_set(tmp_path / "given", range(FILES), split=splits)))
    root = write_set(tmp_path / "copies", range(FILES), side=40)
    (root / "films" / "1.png").write_bytes((root / "films" / "0.png").read_bytes())
    found = build_index(root, SourceTables(split_of="given"), valid_fraction=0)
    split = found.frame.set_index("path")["split"]
    assert split["films/0.png"] == split["films/1.png"] == "train"
    others = [split[f"films/{number}.png"] for number in range(2, FILES)]
    assert others == splits[2:]
    assert "1 radiograph is in another split" in next(note for note in found.notes if note.code == "split-taken")


def test_a_split_that_cannot_be_taken_is_refused(original, tmp_path):
    with refused("split-matches-nothing", "original", 3):
        build_index(write_set(tmp_path / "other", range(100, 103)), SourceTables(split_of="original"))
    given = write_set(tmp_path / "given", range(4), split=["train", "valid"] * 2)
    with refused("split-given", "--split-of"):
        build_index(given, SourceTables(split_of="original"))
    with refused("dataset-missing", "nowhere"):
        build_index(write_set(tmp_path / "third", range(4)), SourceTables(split_of="nowhere"))


def test_the_command_and_the_queue_take_the_split(original, tmp_path):
    copies = write_set(tmp_path / "small", range(FILES), side=40)
    arguments = ["index", str(copies), "--name", "small", "--folds", "5", "--split-of", "original"]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    facts = json.loads(result.stdout)
    assert facts["splits_from"].startswith("as in original@") and by_number("small").loc[original.index].equals(
        original
    )
    request = DataRequest(str(copies), "small", split_of="original")
    command = KINDS["index"].command({**arguments_of(request), "preview": False})
    assert command[command.index("--split-of") + 1] == "original"
