"""Files outside of a data set's folder are taken only with --allow-outside, and the index records it."""

import json

import numpy as np
import pytest

from core.data.index import build_index, read_dataset, write_dataset
from core.data.outside import outside_paths
from core.data.source_rows import SourceTables
from tests.conftest import write_radiograph
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path):
    """A folder with two radiographs, a link to one of them, and one radiograph beside the folder."""
    random = np.random.default_rng(0)
    for place in ("set/a.png", "set/deep/b.png", "other/c.png"):
        write_radiograph(tmp_path / place, random, False)
    (tmp_path / "set" / "again.png").symlink_to("a.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "other" / "c.png")
    return tmp_path


def manifest(folder, *paths: str):
    file = folder / "set" / "labels.csv"
    file.write_text("path,label,bone\n" + "".join(f"{path},1,wrist\n" for path in paths))
    return file


def test_what_leads_out_of_the_folder_is_known(folder):
    inside = ["a.png", "deep/b.png", "deep/../a.png", "again.png", str(folder / "set" / "a.png"), "../none.png"]
    outside = ["../other/c.png", str(folder / "other" / "c.png"), "link.png", "linked/c.png", "deep/../../other/c.png"]
    assert outside_paths(folder / "set", [*inside, *outside]) == outside
    (folder / "entry").symlink_to(folder / "set")
    assert outside_paths(folder / "entry", inside) == []


@pytest.mark.parametrize("path", ["../other/c.png", "link.png", "linked/c.png"])
def test_such_a_file_is_refused_unless_it_is_allowed(folder, workspace, path):
    file = manifest(folder, "a.png", path)
    with refused("path-outside", "1 file is", path, "--allow-outside"):
        build_index(file)
    result = build_index(file, SourceTables(allow_outside=True))
    assert write_dataset("open", result).outside and len(result.frame) == 2
    assert read_dataset("open").outside and [note.code for note in read_dataset("open").notes()].count("path-outside")


def test_a_folder_that_holds_its_files_needs_no_flag(folder, workspace):
    write_dataset("closed", build_index(manifest(folder, "a.png", "deep/b.png", "again.png")))
    assert not read_dataset("closed").outside
    assert json.loads((workspace / "datasets" / "closed" / "dataset.json").read_text())["outside"] is False
