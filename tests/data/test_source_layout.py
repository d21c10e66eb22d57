"""The kind that a folder is recognised as, and the guessed columns of its table."""

import numpy as np
import pandas as pd
import pytest

from core.data import fracatlas
from core.data.source_layout import check_rows, find_layout, guess_columns, table_columns
from core.data.tables import read_table
from tests.conftest import write_radiograph
from tests.refusals import refused


@pytest.fixture
def images(tmp_path):
    for name in "abc":
        write_radiograph(tmp_path / "set" / "images" / f"{name}.png", np.random.default_rng(0), False)
    return tmp_path / "set"


def test_a_tree_is_found_below_the_folders_of_a_zip(mura, tmp_path):
    (tmp_path / "around" / "again").mkdir(parents=True)
    (tmp_path / "around" / "again" / "MURA-v1.1").symlink_to(mura)
    found = find_layout(tmp_path / "around")
    assert found.kind == "mura" and found.source.name == "MURA-v1.1"


def test_a_folder_with_one_table_of_any_name_is_a_manifest(images):
    (images / "list.csv").write_text("path,label,bone\nimages/a.png,1,wrist\n")
    assert find_layout(images).kind == "manifest" and find_layout(images.parent).table == images / "list.csv"
    (images / "other.csv").write_text("x\n1\n")
    with refused("table-open", "list.csv", "other.csv"):
        find_layout(images)
    assert find_layout(images, images / "list.csv").table == images / "list.csv"
    (images / "labels.csv").write_text("path,label,bone\nimages/a.png,1,wrist\n")
    assert find_layout(images).table == images / "labels.csv"


def test_images_alone_are_nothing_to_index(images, tmp_path):
    with refused("source-not-recognised", images):
        find_layout(images)
    with refused("folder-missing"):
        find_layout(tmp_path / "nowhere")


def test_dicom_beside_a_table_takes_it_for_labels_unless_it_lists_files(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    assert find_layout(tmp_path).kind == "dicom" and find_layout(tmp_path).labels is None
    (tmp_path / "findings.csv").write_text("AccessionNumber,label\n1,0\n")
    found = find_layout(tmp_path)
    assert (found.kind, found.labels) == ("dicom", tmp_path / "findings.csv")
    (tmp_path / "findings.csv").write_text("path,label,bone\na.dcm,0,wrist\n")
    assert find_layout(tmp_path).kind == "manifest"


@pytest.mark.parametrize(
    ("header", "row", "guess"),
    [
        ("path,label,bone", "a.png,1,wrist", {}),
        (
            "File Name,Abnormal,Region,Subject ID",
            "a.png,1,wrist,7",
            {"path": "File Name", "label": "Abnormal", "bone": "Region", "patient": "Subject ID"},
        ),
        ("radiograph,target,body_part", "x/a.jpg,1,wrist", {"path": "radiograph", "label": "target"}),
        ("image_id,fractured,hand", "a.jpg,1,0", {"path": "image_id", "label": "fractured"}),
        ("number,score", "7,0.3", {}),
    ],
)
def test_columns_are_guessed_by_name_then_by_content(tmp_path, header, row, guess):
    (tmp_path / "x.csv").write_text(f"{header}\n{row}\n")
    assert guess_columns(read_table(tmp_path / "x.csv")) == guess
    columns = table_columns(tmp_path / "x.csv")
    assert columns.columns == tuple(header.split(",")) and columns.rows == (tuple(row.split(",")),)


def test_long_and_large_tables_are_refused_by_their_lines_and_bytes(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("path,label,bone\n" + "a.png,1,wrist\n" * 50)
    check_rows(file, 51)
    with refused("table-too-long", 51, 50):
        check_rows(file, 50)
    with refused("table-too-large", "716 bytes", "100 bytes"):
        table_columns(file, 100)


def test_of_a_long_table_only_the_head_is_read_for_its_columns(tmp_path, monkeypatch):
    from core.data import source_layout

    file, read = tmp_path / "x.csv", []
    file.write_text("File,Abnormal,Region\n" + "a.png,1,wrist\n" * 2_000_000)
    monkeypatch.setattr(source_layout, "read_table", lambda place: read.append(place) or read_table(place))
    assert table_columns(file).guess == {"path": "File", "label": "Abnormal", "bone": "Region"}
    assert read != [file] and len(read) == 1
    with refused("table-too-long", "2,000,001"):
        check_rows(file)


def made_up_fracatlas(root, fractured=("IMG1.jpg",), whole=("IMG2.jpg", "IMG3.jpg")):
    """A set in the layout of FracAtlas, whose table calls IMG1 not fractured and names an image without a file."""
    for folder, names in (("Fractured", fractured), ("Non_fractured", whole)):
        for name in names:
            write_radiograph(root / "images" / folder / name, np.random.default_rng(len(name) + ord(name[3])), False)
    flags = "0,1,0,1,0,0"
    rows = [
        f"IMG1.jpg,1,0,0,0,0,1,0,0,1,{flags[:5]}",
        f"IMG2.jpg,0,1,0,0,0,0,0,0,0,{flags[:5]}",
        f"IMG3.jpg,1,0,0,1,1,0,1,0,0,{flags[:5]}",
        f"IMG4.jpg,0,0,1,0,0,0,0,0,0,{flags[:5]}",
    ]
    head = "image_id,hand,leg,hip,shoulder,mixed,hardware,multiscan,fractured,fracture_count,frontal,lateral,oblique"
    (root / "dataset.csv").write_text("\n".join([head, *rows]) + "\n")
    return root


def test_fracatlas_gets_its_labels_from_the_folders_and_says_where_they_differ(tmp_path):
    root = made_up_fracatlas(tmp_path / "FracAtlas")
    assert find_layout(tmp_path).kind == "fracatlas"
    made = fracatlas.read_fracatlas(root)
    assert made.frame[["path", "label", "bone", "view", "hardware"]].to_numpy().tolist() == [
        ["images/Fractured/IMG1.jpg", 1, "hand", "lateral", "1"],
        ["images/Non_fractured/IMG2.jpg", 0, "leg", "lateral", "0"],
        ["images/Non_fractured/IMG3.jpg", 0, "mixed", "lateral", "0"],
    ]
    notes = {note.code: str(note) for note in made.notes}
    assert "IMG1.jpg" in notes["fracatlas-labels-differ"] and "1 image of" in notes["fracatlas-no-file"]
    for file in (root / "images").rglob("*.jpg"):
        file.unlink()
    with refused("fracatlas-no-image"):
        fracatlas.read_fracatlas(root)


def test_the_real_fracatlas_has_the_labels_and_regions_of_its_list(shared):
    root = shared / "data" / "radiographs" / "fracatlas"
    made, listed = fracatlas.read_fracatlas(root), pd.read_csv(root / "labels.csv")
    both = made.frame.merge(listed, on="path", suffixes=("", "_listed"))
    assert len(both) == len(listed) > 3000
    assert (both["label"] == both["label_listed"]).all() and (both["bone"] == both["body_part"]).all()
    assert (both["fracture_count"].astype(int) == both["fracture_count_listed"]).all()
    (note,) = [note for note in made.notes if note.code == "fracatlas-labels-differ"]
    assert "IMG0003298.jpg" in note
