"""Adding a data set: from a zip, by preview and commit, stopped and gone on with, and one name for one visitor."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import jobs
from core.data import file_facts
from core.data.index import build_index, list_datasets, read_dataset, read_index, write_dataset
from core.data.uploads import store_upload, upload_folder
from core.paths import home
from core.workflows import add_data, adding
from core.workflows.data_request import DataRequest, adding_folder
from tests.conftest import write_radiograph
from tests.refusals import refused
from tests.workflows.conftest import run_command

SAME = ["image_id", "study_id", "patient_id", "bone", "label", "split", "fold", "sha1"]


@pytest.fixture
def no_worker(monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)


def zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder.parent))
    return file


def names() -> list[str]:
    return [dataset.name for dataset in list_datasets()]


def left() -> list[str]:
    folders = [home() / "uploads", home() / "adding"]
    return [path.name for folder in folders if folder.exists() for path in folder.iterdir() if path.suffix != ".lock"]


def test_a_zip_gives_the_index_of_the_folder_it_was_packed_from(workspace, mura, tmp_path):
    write_dataset("plain", build_index(mura))
    file = zipped(mura, tmp_path / "tree.zip")
    facts = run_command("index", file, "--name", "packed")
    assert facts["radiographs"] == 60 and facts["added"] == 60
    pd.testing.assert_frame_equal(read_index("plain")[SAME], read_index("packed")[SAME])
    assert Path(read_dataset("packed").root).is_relative_to(upload_folder("packed"))
    # Again: the zip is not unpacked anew and no file is read anew.
    before = upload_folder("packed").stat().st_mtime_ns
    assert run_command("index", file, "--name", "packed")["unchanged"] == 60
    assert upload_folder("packed").stat().st_mtime_ns == before


def test_a_preview_writes_no_data_set_and_tells_what_the_data_set_will_be(workspace, mura):
    facts = run_command("index", mura, "--name", "tree", "--preview")
    assert names() == [] and facts["radiographs"] == 60
    request = DataRequest(str(mura), "tree")
    found = adding.read_preview(request)
    assert [waiting.name for waiting in adding.unfinished()] == ["tree"]
    assert (found.kind, found.radiographs, found.studies, found.patients) == ("mura", 60, 30, 30)
    assert found.labels == {"abnormal": 16, "normal": 14, "unknown": 0}
    adding.add(request)
    frame = read_index("tree")
    assert {row["split"]: row["patients"] for row in found.splits} == frame.groupby("split")[
        "patient_id"
    ].nunique().to_dict()
    assert {row["bone"]: row["radiographs"] for row in found.bones} == frame["bone"].value_counts().to_dict()
    assert adding.unfinished() == [] and adding.read_preview(request) is None and left() == []


def test_a_preview_of_other_settings_is_none(workspace, mura):
    adding.look(DataRequest(str(mura), "tree"))
    assert adding.read_preview(DataRequest(str(mura), "tree", seed=1)) is None


def test_the_page_and_the_command_make_the_same_index(workspace, mura, no_worker):
    """The page queues a look, then the addition; a person types one command."""
    request = DataRequest(str(mura), "tree", new=True, seed=3)
    adding.enqueue_look(request)
    jobs.work("data")
    assert adding.read_preview(request).radiographs == 60, jobs.log_of(adding.find_job("tree").id)
    adding.enqueue_add(request)
    jobs.work("data")
    by_page, made = read_index("tree"), read_dataset("tree")
    shutil.rmtree(made.folder)
    run_command("index", mura, "--name", "tree", "--seed", 3)
    pd.testing.assert_frame_equal(by_page, read_index("tree"))
    assert made.index_hash == read_dataset("tree").index_hash


def test_images_with_a_table_of_unusual_columns_are_mapped(workspace, tmp_path):
    for number in range(12):
        write_radiograph(tmp_path / "set" / "films" / f"{number}.png", np.random.default_rng(number), number % 2 == 0)
    rows = [f"films/{number}.png,{int(number % 2 == 0)},hand,p{number}" for number in range(12)]
    (tmp_path / "set" / "list.csv").write_text("\n".join(["File,Abnormal,Region,Subject", *rows]))
    columns = {"path": "File", "label": "Abnormal", "bone": "Region", "patient": "Subject"}
    file = zipped(tmp_path / "set", tmp_path / "set.zip")
    request = DataRequest(str(file), "mine", columns)
    with refused("column-missing", "File"):
        add_data.prepare(DataRequest(str(file), "mine"))
    found = add_data.preview_of(add_data.prepare(request))
    assert (found.kind, found.radiographs, found.patients) == ("manifest", 12, 12)
    assert found.joins[0].matched == 12 and [row["split"] for row in found.splits] == ["train", "valid"]


def test_a_name_is_taken_or_being_added(workspace, mura, no_worker, tmp_path):
    request = DataRequest(str(mura), "tree", new=True)
    adding.enqueue_look(request)
    with refused("job-busy", "tree"):
        adding.enqueue_look(request)
    with refused("name-busy", "tree", mura):
        adding.enqueue_look(DataRequest(str(tmp_path), "tree", new=True))
    jobs.work("data")
    adding.enqueue_add(request)
    jobs.work("data")
    for again in (request, DataRequest(str(tmp_path), "tree", new=True)):
        with refused("name-taken", "tree"):
            adding.enqueue_look(again)
    with refused("name-taken", "tree"):
        add_data.prepare(request)
    before = read_dataset("tree")
    facts = run_command("index", mura, "--name", "tree")  # a person may index again
    assert facts["unchanged"] == 60 and read_dataset("tree").index_hash == before.index_hash


def test_a_name_that_is_taken_while_it_is_prepared_is_not_replaced(workspace, mura):
    mine = add_data.prepare(DataRequest(str(mura), "tree", new=True))
    theirs = write_dataset("tree", build_index(mura, seed=5, folds=3))
    with refused("name-taken", "tree"):
        add_data.commit(mine)
    assert read_dataset("tree") == theirs


def test_a_stop_leaves_no_data_set_and_keeps_the_files_that_were_read(workspace, mura, monkeypatch):
    monkeypatch.setattr("core.data.file_facts._KEPT_EVERY", 16)
    for file in mura.rglob("*.png"):
        os.utime(file, (1e9, 1e9))  # long settled
    request, read = DataRequest(str(mura), "tree"), []
    with pytest.raises(KeyboardInterrupt):
        add_data.prepare(request, interrupt)
    kept = len(pd.read_parquet(adding_folder("tree") / "files.parquet"))
    assert kept == 48 and names() == []  # the last multiple of 16 before the first report, which is at the end
    inspect = file_facts.inspect_file
    monkeypatch.setattr(file_facts, "inspect_file", lambda path: read.append(path) or inspect(path))
    adding.add(request)
    assert len(read) == 12 and names() == ["tree"]


def interrupt(done, total, what):
    raise KeyboardInterrupt


def test_an_addition_is_stopped_by_anybody(workspace, mura, tmp_path):
    file = zipped(mura, tmp_path / "tree.zip")
    seen = []

    def stop(done, total, what):
        jobs.stop(adding.find_job("tree").id)
        seen.append(what)

    with pytest.raises(KeyboardInterrupt):
        adding.add(DataRequest(str(file), "tree"), stop)
    assert len(seen) == 1 and adding.find_job("tree").state == "stopped" and names() == left() == []


def test_an_unfinished_addition_is_discarded_with_its_files(workspace, mura, tmp_path):
    packed = store_upload("mine", [("tree.zip", zipped(mura, tmp_path / "tree.zip"))])
    request = DataRequest(str(packed), "mine", new=True)
    adding.look(request)
    assert adding.read_preview(request).radiographs == 60 and upload_folder("mine").is_dir()
    adding.discard("mine")
    assert left() == [] and adding.unfinished() == []
    # The name is free again.
    packed = store_upload("mine", [("tree.zip", zipped(mura, tmp_path / "tree.zip"))])
    adding.add(request)
    assert names() == ["mine"] and not packed.exists()
    assert run_command("index", packed, "--name", "mine")["unchanged"] == 60  # the unpacked files are the source now


def test_a_damaged_zip_leaves_nothing(workspace, mura, tmp_path):
    file = zipped(mura, tmp_path / "tree.zip")
    file.write_bytes(file.read_bytes()[:-2000])
    with refused("zip-damaged", "tree.zip"):
        adding.add(DataRequest(str(file), "mine"))
    assert names() == [] and left() == []


def test_a_new_zip_that_is_damaged_does_not_take_the_files_of_the_old_one(workspace, mura, tmp_path):
    file = zipped(mura, tmp_path / "tree.zip")
    adding.add(DataRequest(str(file), "mine"))
    file.write_bytes(file.read_bytes()[:-2000])
    with refused("zip-damaged"):
        adding.add(DataRequest(str(file), "mine"))
    root = Path(read_dataset("mine").root)
    assert all((root / path).is_file() for path in read_index("mine")["path"])
