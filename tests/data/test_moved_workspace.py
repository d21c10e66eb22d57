"""A workspace that is moved as a whole still finds its own radiographs; those outside of it stay where they are."""

import json
import shutil
from pathlib import Path

import pytest

from core import checksums
from core.data.datasets import DESCRIPTION_KEY, list_datasets, read_dataset, read_index
from core.data.index import build_index, write_dataset
from core.parquet_files import write_parquet
from core.phantom import write_phantoms


@pytest.fixture
def drawn(workspace):
    """A data set whose radiographs are in the workspace."""
    report = write_phantoms(workspace / "phantoms" / "demo", 6, 3, processes=1)
    return write_dataset("demo", build_index(report.folder))


def move(workspace, monkeypatch, tmp_path):
    """Rename the workspace, as a restore on another machine does."""
    shutil.move(workspace, tmp_path / "elsewhere" / "workspace")
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path / "elsewhere" / "workspace"))
    return tmp_path / "elsewhere" / "workspace"


def readable(dataset) -> bool:
    return all((Path(dataset.root) / path).is_file() for path in read_index(dataset.name)["path"])


def test_radiographs_in_the_workspace_move_with_it(drawn, workspace, monkeypatch, tmp_path):
    stored = json.loads((drawn.folder / "dataset.json").read_text())
    assert stored["root"] == "phantoms/demo/MURA-v1.1" and Path(drawn.root).is_absolute()
    moved = move(workspace, monkeypatch, tmp_path)
    dataset = read_dataset("demo")
    assert Path(dataset.root).is_relative_to(moved) and readable(dataset) and list_datasets() == [dataset]
    assert dataset.reference == drawn.reference
    # The same index again is no change.
    assert write_dataset("demo", build_index(dataset.root)).index_hash == drawn.index_hash


def test_a_workspace_of_an_earlier_version_moves_too(drawn, workspace, monkeypatch, tmp_path):
    described = {**json.loads((drawn.folder / "dataset.json").read_text()), "root": drawn.root}
    described.pop("sha256")
    checksums.write_json(drawn.folder / "dataset.json", described)
    write_parquet(drawn.folder / "index.parquet", read_index("demo"), {DESCRIPTION_KEY: json.dumps(described).encode()})
    assert read_dataset("demo").root == drawn.root
    move(workspace, monkeypatch, tmp_path)
    assert readable(read_dataset("demo"))


def test_radiographs_outside_stay_where_they_are(mura, workspace, monkeypatch, tmp_path):
    before = write_dataset("tree", build_index(mura))
    assert json.loads((before.folder / "dataset.json").read_text())["root"] == str(mura)
    move(workspace, monkeypatch, tmp_path)
    assert read_dataset("tree") == before and readable(before)


def test_links_to_dicom_in_the_workspace_move_with_it(workspace, monkeypatch, tmp_path):
    from tests.data.test_dicom import write

    for place in range(3):
        write(workspace / "uploads" / "films" / f"{place}.dcm", PatientID=f"p{place}")
    write_dataset("films", build_index(workspace / "uploads" / "films"))
    assert readable(read_dataset("films"))
    move(workspace, monkeypatch, tmp_path)
    assert not workspace.exists() and readable(read_dataset("films"))
