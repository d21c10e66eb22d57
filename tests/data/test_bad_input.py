"""Bad input raises one sentence or is listed with its reason, and everything else is indexed."""

import csv
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from core.data import mura as mura_tree
from core.data.file_facts import inspect_file
from core.data.index import build_index, read_index, write_dataset
from core.data.manifest import read_manifest
from core.data.pixels import UnreadableImage
from core.errors import OverreadError
from tests.conftest import write_radiograph
from tests.refusals import refused

STUDY = "train/XR_HAND/patient1/study1_positive"


def files(folder, count: int = 4) -> None:
    random = np.random.default_rng(5)
    for number in range(count):
        write_radiograph(folder / f"a{number}.png", random, number % 2 == 1)


def written(folder, content: str | bytes):
    files(folder)
    file = folder / "labels.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def as_parquet(folder, frame: pd.DataFrame):
    files(folder)
    frame.to_parquet(folder / "labels.parquet")
    return folder / "labels.parquet"


def reasons(entries: list[dict]) -> dict[str, str]:
    return {entry["path"]: entry["reason"] for entry in entries}


def small_tree(root, names=("image1.png",)):
    random = np.random.default_rng(6)
    for name in names:
        write_radiograph(root / STUDY / name, random, True)
    write_radiograph(root / "valid/XR_HAND/patient2/study1_negative/image1.png", random, False)
    return root


@pytest.mark.parametrize("comma", ["every row", "one row"])
def test_a_trailing_comma_does_not_shift_columns(tmp_path, comma):
    ends = [",", "," if comma == "every row" else "", ","]
    rows = "".join(f"a{n}.png,hip,{n % 2}{end}\n" for n, end in enumerate(ends))
    frame = build_index(written(tmp_path, "path,bone,label\n" + rows)).frame
    assert list(frame["path"]) == ["a0.png", "a1.png", "a2.png"] and list(frame["label"]) == [0, 1, 0]


@pytest.mark.parametrize("also", ["a1.png,hip,0\n", "a1.png,hip,0,Roe,Jane,x\n"])
def test_text_beyond_the_header_is_listed(tmp_path, also):
    file = written(tmp_path, "path,bone,label\na0.png,hip,1,Doe\n" + also + "a2.png,hip,1\n")
    found = read_manifest(file, {})
    frame, rejected = found.frame, found.rejected
    assert "more cells than the header" in reasons(rejected)["a0.png"]
    assert list(frame["path"]) == (["a1.png", "a2.png"] if also.endswith("0\n") else ["a2.png"])


def test_a_table_without_any_path_lacks_its_other_columns_too(tmp_path):
    with refused("column-missing", "bone"):
        read_manifest(written(tmp_path, "path,label\n,1\n,0\n"), {})


def test_a_parquet_label_of_integers_may_be_missing(tmp_path):
    label = pd.array([1, None, 0], dtype="Int64")
    table = pd.DataFrame({"path": ["a0.png", "a1.png", "a2.png"], "bone": "hip", "label": label, "patient": [1, 2, 3]})
    file = as_parquet(tmp_path, table.astype({"patient": "Int64"}))
    frame = build_index(file).frame
    assert frame["label"].tolist()[::2] == [1, 0] and np.isnan(frame["label"][1])
    assert list(frame["patient_id"]) == ["1", "2", "3"]


def test_a_parquet_cell_that_is_a_list_is_listed(tmp_path):
    table = pd.DataFrame({"path": ["a0.png", "a1.png"], "bone": "hip", "label": [[1, 0], [1]]})
    found = read_manifest(as_parquet(tmp_path, table), {})
    frame, rejected = found.frame, found.rejected
    assert frame.empty and set(reasons(rejected)) == {"a0.png", "a1.png"}


def test_an_empty_parquet_of_numbers_is_refused(tmp_path):
    columns = ("path", "bone", "label", "split", "study", "patient", "view")
    table = pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})
    with refused("no-readable-radiograph"):
        build_index(as_parquet(tmp_path, table))


def test_a_parquet_may_have_a_text_index(tmp_path):
    table = pd.DataFrame({"path": ["a0.png", "", "a2.png"], "bone": "hip", "label": [0, 1, 1], "site": ["A", "B", "C"]})
    indexed = build_index(as_parquet(tmp_path, table.set_index(pd.Index(["x", "x", "y"]))))
    assert list(indexed.frame["path"]) == ["a0.png", "a2.png"] and list(indexed.frame["site"]) == ["A", "C"]
    assert reasons(indexed.unreadable) == {"": "row 3 has no path"}


@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_a_parquet_with_columns_named_by_numbers_can_be_stored(tmp_path, workspace):
    table = pd.DataFrame({"path": ["a0.png", "a1.png"], "bone": "hip", "label": [0, 1], 7: ["A", "B"]})
    write_dataset("numbers", build_index(as_parquet(tmp_path, table)))
    assert list(read_index("numbers")["7"]) == ["A", "B"]


def test_one_file_under_two_spellings_is_kept_once(tmp_path):
    rows = "a0.png,hip,0\n./a0.png,hip,0\na1.png,hip,1\n.//a1.png,hip,1\n"
    indexed = build_index(written(tmp_path, "path,bone,label\n" + rows))
    assert list(indexed.frame["path"]) == ["a0.png", "a1.png"]
    assert set(reasons(indexed.unreadable)) == {"./a0.png", ".//a1.png"}
    assert "lists this path twice" in reasons(indexed.unreadable)["./a0.png"]


def test_invalid_paths_are_listed(tmp_path, workspace):
    (tmp_path / "loop.png").symlink_to("loop.png")
    long = "n" * 5000 + ".png"
    rows = f"a0.png,hip,0\na\0.png,hip,1\n{long},hip,1\nloop.png,hip,1\n../none.png,hip,1\n.,hip,1\na1.png,hip,1\n"
    indexed = build_index(written(tmp_path, "path,bone,label\n" + rows))
    write_dataset("odd", indexed)
    found = reasons(indexed.unreadable)
    assert list(read_index("odd")["path"]) == ["a0.png", "a1.png"]
    assert set(found) == {"a\0.png", long, "loop.png", "../none.png", "."}
    assert "null" in found["a\0.png"] and "name too long" in found[long] and "symbolic links" in found["loop.png"]


def test_a_nul_in_a_path_is_an_unreadable_image(tmp_path):
    with pytest.raises(UnreadableImage, match="not a valid file name"):
        inspect_file(tmp_path / "a\0.png")


@pytest.mark.parametrize(
    ("name", "content", "code", "detail"),
    [
        ("labels.csv", b"", "table-empty", "0 bytes"),
        ("labels.csv", b"\n \n", "table-empty", "no text"),
        ("labels.csv", b'path,bone,label\n"a0.png,hip,1\n', "table-unreadable", "line 2"),
        ("labels.csv", b"path,bone,label\na\xff.png,hip,1\n", "table-not-utf8", "0xff at place 17, line 2"),
        ("labels.csv", "path,bone,label\na0.png,hip,1\n".encode("utf-16-le"), "table-not-utf8", "byte order mark"),
        ("labels.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3cut", "table-unreadable", "labels.csv.gz"),
        ("labels.csv.xz", b"not xz", "table-unreadable", "labels.csv.xz"),
        ("labels.csv.zip", b"not zip", "table-not-text", "labels.csv.zip"),
        ("labels.xlsx", b"PK\x03\x04" + bytes(40), "table-not-text", "spreadsheet"),
        ("labels.parquet", b"", "table-empty", "labels.parquet"),
        ("labels.parquet", b"PAR1PAR1", "table-unreadable", "labels.parquet"),
    ],
)
def test_a_manifest_that_is_not_a_table_is_refused_in_one_line(tmp_path, name, content, code, detail):
    file = tmp_path / name
    file.write_bytes(content)
    with refused(code, detail) as raised:
        build_index(file)
    assert "\n" not in str(raised.value)


def test_an_error_without_a_message_is_named_by_its_class(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError

    file = as_parquet(tmp_path, pd.DataFrame({"path": ["a0.png"]}))
    monkeypatch.setattr(pq.ParquetFile, "read", fail)
    with refused("table-unreadable", "(ValueError)"):
        read_manifest(file, {})


def test_parquet_with_flipped_bytes_is_read_or_refused(tmp_path):
    file = as_parquet(tmp_path, pd.DataFrame({"path": ["a0.png", "a1.png"], "bone": "hip", "label": [0, 1]}))
    whole, random, failures = file.read_bytes(), np.random.default_rng(7), 0
    for place in random.choice(len(whole), 150, replace=False):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            read_manifest(file, {})
        except OverreadError:
            failures += 1
    assert failures > 20


@pytest.mark.parametrize("header", [b"path,bone,label\n", b'"path",bone,label\n'])
def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path, header):
    file = written(tmp_path, b"\xef\xbb\xbf" + header + b"a0.png,hip,1\na1.png,hip,0\n")
    assert list(build_index(file).frame["path"]) == ["a0.png", "a1.png"]


def test_names_that_are_not_utf8_are_stray_and_printable(tmp_path, workspace):
    root = small_tree(tmp_path / "tree", ("image1.png", os.fsdecode(b"image\xff.png")))
    write_radiograph(
        root / os.fsdecode(b"train/XR_HAND/p\xe9/study1_positive/image1.png"), np.random.default_rng(1), True
    )
    indexed = build_index(root)
    write_dataset("bytes", indexed)
    assert len(read_index("bytes")) == 2
    assert sorted(reasons(indexed.stray)) == [
        "train/XR_HAND/p\\udce9/study1_positive/image1.png",
        f"{STUDY}/image\\udcff.png",
    ]
    assert all("not UTF-8" in reason for reason in reasons(indexed.stray).values())
    "".join(reasons(indexed.stray)).encode()


def test_a_list_line_without_a_slash_is_a_conflict(tmp_path):
    root = small_tree(tmp_path / "tree")
    (root / "train_image_paths.csv").write_text(f"MURA-v1.1\nMURA-v1.1/{STUDY}/image1.png\n")
    (root / "train_labeled_studies.csv").write_text(f"MURA-v1.1,1\nMURA-v1.1/{STUDY}/,0\n")
    found = reasons(build_index(root).conflicts)
    assert set(found) == {"MURA-v1.1", STUDY}
    assert "lists it" in found["MURA-v1.1"] and "its label is '0'" in found[STUDY]


def test_a_list_with_a_byte_order_mark_has_no_conflict(tmp_path):
    root = small_tree(tmp_path / "tree")
    (root / "train_image_paths.csv").write_bytes(b"\xef\xbb\xbf" + f"MURA-v1.1/{STUDY}/image1.png\n".encode())
    assert build_index(root).conflicts == []


@pytest.mark.parametrize("name", ["train_image_paths.csv", "train_labeled_studies.csv"])
def test_a_list_that_cannot_be_read_is_one_conflict(tmp_path, name):
    root = small_tree(tmp_path / "tree")
    (root / "train_image_paths.csv").write_text(f"MURA-v1.1/{STUDY}/image1.png\n")
    (root / "valid_image_paths.csv").write_text("MURA-v1.1/valid/none.png\n")
    (root / name).write_text("MURA-v1.1/" + "x" * (csv.field_size_limit() + 1) + "\n")
    indexed = build_index(root)
    found = reasons(indexed.conflicts)
    assert len(indexed.frame) == 2 and "could not be read (field larger than field limit" in found[name]
    # The other split's list is still compared with the folders.
    assert set(found) == {name, "valid/none.png", "valid/XR_HAND/patient2/study1_negative/image1.png"}


def test_an_unreadable_folder_is_stray(tmp_path, monkeypatch):
    root = small_tree(tmp_path / "tree")
    shut, scandir = root / "train/XR_HAND/patient3", os.scandir
    write_radiograph(shut / "study1_negative/image1.png", np.random.default_rng(1), False)

    # Tests may run as root, who can read everything, so the error is simulated.
    def deny(path):
        if str(path) == str(shut):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    rows, stray = mura_tree.list_radiographs(root)
    assert len(rows) == 2 and set(reasons(stray)) == {"train/XR_HAND/patient3"}
    assert "cannot be read (permission denied)" in stray[0]["reason"]


def test_a_linked_folder_is_stray_and_its_target_named(tmp_path):
    root = small_tree(tmp_path / "tree")
    (root / "train/XR_WRIST").symlink_to(small_tree(tmp_path / "other") / "train/XR_HAND")
    (root / "train/XR_LOOP").symlink_to("XR_LOOP")
    (root / "train/XR_UP").symlink_to(root / "train")
    indexed = build_index(root)
    found = reasons(indexed.stray)
    assert len(indexed.frame) == 2 and set(found) == {"train/XR_WRIST", "train/XR_LOOP", "train/XR_UP"}
    assert "links are not followed" in found["train/XR_WRIST"]
    assert str(tmp_path / "other/train/XR_HAND") in found["train/XR_WRIST"]


def test_a_tree_of_links_only_is_refused(tmp_path):
    other = small_tree(tmp_path / "other")
    (tmp_path / "tree/train").mkdir(parents=True)
    (tmp_path / "tree/train/XR_HAND").symlink_to(other / "train/XR_HAND")
    with refused("no-readable-radiograph", "links are not followed"):
        build_index(tmp_path / "tree")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_an_image_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="it is not a file"):
        inspect_file(tmp_path / "a.png")
