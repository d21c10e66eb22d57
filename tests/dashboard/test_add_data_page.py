"""The Add data page: an upload or a folder is looked at, changed, added and scored, also in an empty workspace."""

import shutil
import zipfile

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import jobs, paths
from core.data.arriving import Announced, add_piece, begin_arrival
from core.data.index import build_index, list_datasets, read_dataset, read_index, write_dataset
from core.data.uploads import upload_folder
from core.workflows import adding
from core.workflows.data_request import DataRequest
from dashboard.add_data import sources
from dashboard.add_data.preview import splits_words
from dashboard.add_data.sources import suggested_name
from dashboard.shared import first_start, upload
from tests.conftest import write_radiograph
from tests.dashboard.conftest import HOME, end_run_after, words, write_checkpoint


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)


def open_page(**query: str) -> AppTest:
    """The page in a workspace that may be empty. The first run, of the Overview, ends where it would make the demo."""
    app = AppTest.from_file(HOME, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_start, "make_demo", st.stop)
        app.run()
    return app.switch_page("add_data/page.py").run()


def zipped(folder, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder.parent))
    return file


@pytest.fixture
def send(monkeypatch):
    """Send a file as the browser does, in two pieces: AppTest runs no components, so the field's value is set here."""
    arrived: dict[str, str] = {}
    monkeypatch.setattr(upload, "draw_upload", lambda label, key: arrived.get(key, ""))

    def send_file(name: str, content: bytes, key: str = "upload_0") -> None:
        found = begin_arrival("visitor", [Announced(name, len(content))])
        half = len(content) // 2
        assert add_piece(found.id, 0, 0, content[:half]) == half
        add_piece(found.id, 0, half, content[half:])
        arrived[key] = found.id

    return send_file


def look(app: AppTest, source, name: str = "") -> AppTest:
    app.segmented_control(key="origin").set_value("On the server").run()
    app.text_input(key="server_path").set_value(str(source)).run()
    if name:
        next(field for field in app.text_input if field.label == "Name of the data set").set_value(name).run()
    return app.button(key="look_server").click().run()


def test_from_an_empty_workspace_to_scores(workspace, mura, tmp_path, send):
    app = open_page()
    assert not app.exception and not list_datasets() and "Setting up" not in words(app)
    send("My Tree.zip", zipped(mura, tmp_path / "My Tree.zip").read_bytes())
    app.run()
    assert not app.button(key="look_upload").click().run().exception
    assert app.selectbox(key="adding").value == "my-tree" and "Reading my-tree" in app.get("progress")[0].proto.text
    assert not list((workspace / "uploads" / ".arriving").glob("*/"))  # moved, not copied
    jobs.work("data")
    app.run()
    text = words(app)
    assert "a MURA tree" in text and ">60<" in text and "Look again" not in [button.label for button in app.button]
    assert not list_datasets()
    app.button(key="add").click().run()
    jobs.work("data")
    app.run()
    assert not app.exception and "my-tree is added" in words(app) and len(read_index("my-tree")) == 60
    assert app.selectbox(key="data").value == "my-tree"
    write_checkpoint(paths.home() / "checkpoints" / "alpha", read_dataset("my-tree"), seed=1)
    app.run()
    assert app.selectbox(key="score_with").value == "alpha"
    assert not app.button(key="score_added").click().run().exception
    jobs.work("scores")
    app.run()
    app.button(key="open_errors").click().run()
    assert not app.exception and app.title[0].value == "Errors" and app.selectbox(key="data").value == "my-tree"


def test_a_request_of_the_browser_while_the_upload_is_moved_loses_nothing(workspace, mura, tmp_path, send, monkeypatch):
    app = open_page()
    send("My Tree.zip", zipped(mura, tmp_path / "My Tree.zip").read_bytes())
    app.run()
    end_run_after(monkeypatch, sources, "forget_arrival")
    assert not app.button(key="look_upload").click().run().exception
    assert app.selectbox(key="adding").value == "my-tree" and "Reading my-tree" in app.get("progress")[0].proto.text


def test_columns_are_guessed_shown_and_changed(workspace, tmp_path):
    for number in range(10):
        write_radiograph(tmp_path / "set" / f"{number}.png", np.random.default_rng(number), number % 2 == 0)
    rows = [f"{number}.png,{int(number % 2 == 0)},hand,elbow,p{number}" for number in range(10)]
    (tmp_path / "set" / "list.csv").write_text("\n".join(["File,Abnormal,Region,Other,Subject", *rows]))
    app = look(open_page(), tmp_path / "set")
    jobs.work("data")
    app.run()
    chosen = {ours: app.selectbox(key=f"column_{ours}").value for ours in ("path", "label", "bone", "patient", "study")}
    assert chosen == {"path": "File", "label": "Abnormal", "bone": "Region", "patient": "Subject", "study": "none"}
    assert adding.read_preview(adding.unfinished()[0]).bones[0]["bone"] == "hand"
    app.selectbox(key="column_bone").set_value("Other")
    app.slider(key="valid_share").set_value(40)
    next(button for button in app.button if button.label == "Look again").click().run()
    jobs.work("data")
    app.run()
    found = adding.read_preview(adding.unfinished()[0])
    assert (found.bones[0]["bone"], {row["split"]: row["patients"] for row in found.splits}) == (
        "elbow",
        {"train": 6, "valid": 4},
    )
    app.button(key="add").click().run()
    jobs.work("data")
    frame = read_index("set")
    assert set(frame["bone"]) == {"elbow"} and (frame["split"] == "valid").sum() == 4


def test_a_second_encoding_takes_over_the_split_of_the_first(workspace, tmp_path):
    rows = ["path,label,bone,patient"]
    for number in range(12):
        write_radiograph(tmp_path / "first" / f"{number}.png", np.random.default_rng(number), number % 2 == 0)
        rows.append(f"{number}.png,{int(number % 2 == 0)},hand,p{number}")
    (tmp_path / "first" / "list.csv").write_text("\n".join(rows))
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    write_dataset("first", build_index(tmp_path / "first" / "list.csv", seed=5, valid_fraction=0.5))
    app = look(open_page(), tmp_path / "second")
    jobs.work("data")
    app.run()
    assert app.selectbox(key="split_of").options == ["none", "first"] and app.selectbox(key="split_of").value == ""
    app.selectbox(key="split_of").set_value("first")
    next(button for button in app.button if button.label == "Look again").click().run()
    jobs.work("data")
    app.run()
    assert not app.exception and "first" in adding.read_preview(adding.unfinished()[0]).splits_from
    app.button(key="add").click().run()
    jobs.work("data")
    first, second = (read_index(name).set_index("path")["split"].to_dict() for name in ("first", "second"))
    assert first == second and set(first.values()) == {"train", "valid"}


@pytest.mark.slow
def test_a_table_whose_columns_cannot_be_guessed_is_mapped_by_hand(workspace, tmp_path):
    write_radiograph(tmp_path / "set" / "a.png", np.random.default_rng(0), True)
    write_radiograph(tmp_path / "set" / "b.png", np.random.default_rng(1), False)
    (tmp_path / "set" / "list.csv").write_text("one,two,three\na.png,1,hand\nb.png,0,hand\n")
    app = look(open_page(), tmp_path / "set")
    jobs.work("data")
    app.run()
    assert "lacks the column(s)" in app.error[0].value and "add" not in {button.key for button in app.button}
    for ours, theirs in (("label", "two"), ("bone", "three")):
        app.selectbox(key=f"column_{ours}").set_value(theirs)
    next(button for button in app.button if button.label == "Look again").click().run()
    jobs.work("data")
    app.run()
    assert app.button(key="add") and adding.read_preview(adding.unfinished()[0]).radiographs == 2


def test_another_visitor_continues_what_the_first_one_left(workspace, mura):
    look(open_page(), mura, "tree")
    jobs.work("data")
    other = open_page(adding="tree")
    assert not other.exception and other.button(key="add")
    again = look(open_page(), mura, "tree")
    assert not again.exception
    other.button(key="discard").click().run()
    assert not other.exception and not adding.unfinished()


@pytest.mark.slow
def test_a_name_that_is_taken_and_a_place_that_is_nothing_are_one_sentence_each(workspace, mura, tmp_path):
    adding.add(DataRequest(str(mura), "tree"))
    app = look(open_page(), mura, "tree")
    assert "There is a data set named tree already" in app.error[0].value
    app = look(open_page(), tmp_path / "nowhere", "new")
    jobs.work("data")
    app.run()
    assert "does not exist" in app.error[0].value and not app.exception
    app = look(open_page(), mura, "not/a name")
    assert any("cannot be a folder" in error.value for error in app.error)


@pytest.mark.slow
def test_a_zip_bomb_is_one_sentence_and_is_discarded(workspace, tmp_path, send):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 300_000_000)
    app = open_page()
    send("bomb.zip", (tmp_path / "bomb.zip").read_bytes())
    app.run()
    app.button(key="look_upload").click().run()
    jobs.work("data")
    app.run()
    assert "a zip bomb does" in app.error[0].value and not upload_folder("bomb").exists()
    app.button(key="discard").click().run()
    assert not app.exception and not adding.unfinished()
    left = [path.name for path in (workspace / "uploads").iterdir() if path.suffix != ".lock"]
    assert left == [".arriving"] and not list((workspace / "uploads" / ".arriving").glob("*/"))


@pytest.mark.parametrize(
    ("file", "name"),
    [("MURA-v1.1.zip", "mura-v1.1"), ("My Set (2).ZIP", "my-set-2"), ("../x.csv", "x"), ("---.zip", "data")],
)
def test_a_name_is_suggested_from_the_file(file, name):
    assert suggested_name(file) == name


def test_words_on_splits(workspace, mura):
    found = adding.look(DataRequest(str(mura), "tree"))
    assert splits_words(adding.read_preview(found.request)) == "as in the source"
