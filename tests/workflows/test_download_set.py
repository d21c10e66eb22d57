"""FracAtlas in one step from a made-up record: download, labels, index, attribution; and the steps for MURA."""

import hashlib
import json
import shutil
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from core import jobs
from core.__main__ import app
from core.data.attribution import read_attribution
from core.data.index import list_datasets, read_dataset, read_index
from core.data.uploads import packed_upload
from core.workflows.download import FRACATLAS, SETS, download_set, enqueue_download, find_download
from tests.data.test_download import QUICK, document, server, status, whole  # noqa: F401
from tests.data.test_source_layout import made_up_fracatlas
from tests.refusals import refused
from tests.workflows.conftest import run_command


@pytest.fixture
def packed(tmp_path):
    root = made_up_fracatlas(tmp_path / "FracAtlas")
    with zipfile.ZipFile(tmp_path / "FracAtlas.zip", "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    return tmp_path / "FracAtlas.zip"


def record(address: str, content: bytes, **more) -> dict:
    """A record with the fields that figshare's have."""
    entry = {"name": "FracAtlas.zip", "size": len(content), "download_url": f"{address}/file"}
    return {
        "title": "FracAtlas",
        "doi": "10.6084/m9.figshare.22363012.v6",
        "authors": [{"full_name": name} for name in ("A. One", "B. Two", "C. Three")],
        "license": {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
        "files": [
            {"name": "readme.txt", "size": 3, "download_url": f"{address}/readme", "computed_md5": "x"},
            {**entry, "supplied_md5": hashlib.md5(content).hexdigest(), **more},
        ],
    }


@pytest.fixture
def public(server, packed, monkeypatch):  # noqa: F811
    """FracAtlas whose record is on the local server."""
    content = packed.read_bytes()
    server.plan("/record", document(record(server.address, content)))
    server.plan("/file", lambda handler: whole(handler, content))
    made = replace(FRACATLAS, record=f"{server.address}/record")
    monkeypatch.setitem(SETS, "fracatlas", made)
    return made


def test_one_command_downloads_labels_indexes_and_names_the_authors(workspace, public):
    facts = run_command("download", "fracatlas")
    frame = read_index("fracatlas").set_index("path")
    assert frame["label"].to_dict() == {
        "images/Fractured/IMG1.jpg": 1.0,
        "images/Non_fractured/IMG2.jpg": 0.0,
        "images/Non_fractured/IMG3.jpg": 0.0,
    }
    assert frame["bone"].tolist() == ["hand", "leg", "mixed"] and frame["hardware"].tolist() == [1, 0, 0]
    assert frame["patient_id"].isna().all() and frame["view"].unique().tolist() == ["lateral"]
    known = read_attribution("fracatlas")
    assert facts["attribution"]["licence"] == known.licence == "CC BY 4.0"
    assert known.line() == "FracAtlas, A. One et al., CC BY 4.0, https://doi.org/10.6084/m9.figshare.22363012.v6"
    assert "fracatlas-labels-differ" in {note.code for note in read_dataset("fracatlas").notes()}
    assert (not packed_upload("fracatlas").exists() and not (workspace / "adding").exists()) or not any(
        (workspace / "adding").iterdir()
    )
    # Indexed again by hand, it keeps its labels.
    again = run_command("index", read_dataset("fracatlas").root, "--name", "fracatlas")
    assert again["unchanged"] == 3 and read_attribution("fracatlas") == known


def test_a_download_that_breaks_off_is_continued_and_leaves_no_data_set(workspace, public, server, packed):  # noqa: F811
    content = packed.read_bytes()
    server.plan("/file", lambda handler: whole(handler, content, stop=1000), status(503))
    with refused("download-no-network", "1.0 kB"):
        download_set(public, "mine", patience=QUICK)
    assert list_datasets() == [] and find_download("mine").state == "failed"
    server.plan("/file", lambda handler: whole(handler, content))
    download_set(public, "mine", patience=QUICK)
    assert server.asked[-1]["Range"] == "bytes=1000-" and len(read_index("mine")) == 3


def test_a_wrong_file_leaves_nothing(workspace, public, server, packed):  # noqa: F811
    wrong = bytes(len(packed.read_bytes()))
    server.plan("/file", lambda handler: whole(handler, wrong))
    with refused("download-hash"):
        download_set(public, "mine", patience=QUICK)
    assert list_datasets() == [] and [path.name for path in (workspace / "uploads").iterdir()] == []


def test_a_record_without_what_is_needed_is_refused(workspace, public, server):  # noqa: F811
    server.plan("/record", document({"title": "x", "files": []}))
    with refused("download-record", "/record"):
        download_set(public, "mine", patience=QUICK)


def test_without_a_network_it_says_how_to_go_on(workspace, public, monkeypatch):
    monkeypatch.setitem(SETS, "fracatlas", replace(public, record="http://127.0.0.1:9/record"))
    monkeypatch.setattr("core.data.download.time.sleep", lambda seconds: None)
    done = CliRunner().invoke(app, ["download", "fracatlas"])
    assert done.exit_code == 1 and done.exception.code == "download-no-network"


def test_a_file_that_was_brought_along_is_checked_where_the_record_can_be_reached(workspace, public, packed):
    facts = run_command("download", "fracatlas", "--file", packed)
    assert facts["radiographs"] == 3 and packed.exists()
    packed.write_bytes(packed.read_bytes() + b"1")
    with refused("download-hash", packed):
        download_set(public, "other", file=packed)
    away = replace(public, record="http://127.0.0.1:9/record")
    made = download_set(away, "third", file=packed)
    assert "download-unchecked" in {note.code for note in made.indexed.notes}
    assert read_attribution("third") == FRACATLAS.attribution
    with refused("source-missing"):
        download_set(away, "fourth", file=packed.with_name("nothing.zip"))


def test_a_name_that_is_taken_is_refused(workspace, public, monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    enqueue_download(public, "mine")
    with refused("job-busy", "mine"):
        enqueue_download(public, "mine")
    jobs.stop(find_download("mine").id)
    download_set(public, "mine")
    with refused("name-taken", "mine"):
        enqueue_download(public, "mine")


def test_the_steps_to_mura_are_printed_and_nothing_is_fetched(workspace):
    facts = run_command("download", "mura")
    text = "\n".join(facts["steps"])
    assert "forbids passing it on" in text and "python -m core index" in text
    assert CliRunner().invoke(app, ["download", "chexpert"]).exit_code == 2


def test_the_real_set_is_indexed_as_published(workspace, shared, tmp_path):
    """A part of the real archive in its own layout: its dataset.csv lists all images, of which some are here."""
    source, root = shared / "data" / "radiographs" / "fracatlas", tmp_path / "FracAtlas"
    for folder in ("Fractured", "Non_fractured"):
        (root / "images" / folder).mkdir(parents=True)
        for file in sorted((source / "images" / folder).iterdir())[:40]:
            shutil.copy(file, root / "images" / folder / file.name)
    shutil.copy(source / "dataset.csv", root / "dataset.csv")
    facts = run_command("index", root, "--name", "frac")
    listed = pd.read_csv(source / "labels.csv").set_index("path")
    frame = read_index("frac").set_index("path")
    both = frame.join(listed, rsuffix="_listed", how="inner")
    assert read_attribution("frac").licence == "CC BY 4.0"
    assert facts["radiographs"] == 80 and len(both) > 70
    assert (both["label"] == both["label_listed"]).all() and (both["bone"] == both["body_part"]).all()
    assert json.dumps(facts["notes"]).count("fracatlas-no-file") == 1
