"""Paths in MURA's layout, with any prefix and either slash, in manifests with and without a header."""

import shutil

import pandas as pd
import pytest
from PIL import Image

from core.data.index import build_index
from core.data.manifest import read_manifest
from core.data.mura_paths import parse
from core.scores.import_frame import Columns
from core.workflows.import_scores import prepare_import

PATH = "valid/XR_WRIST/patient11185/study1_positive/image2.png"


@pytest.mark.parametrize("prefix", ["", "MURA-v1.1/", "/data/x y/MURA-v1.1/", "C:\\d\\MURA-v1.1\\", "../MURA/", "./"])
@pytest.mark.parametrize("slash", ["/", "\\"])
@pytest.mark.parametrize("image", [True, False])
def test_any_prefix_and_either_slash_give_the_same_facts(prefix, slash, image):
    path = PATH if image else PATH.rpartition("/")[0] + "/"
    found = parse(prefix + path.replace("/", slash))
    assert (found.split, found.bone, found.patient, found.study) == ("valid", "wrist", "patient11185", "study1")
    assert (found.label, found.image) == (1.0, "image2.png" if image else None)
    assert found.study_id == "valid/wrist/patient11185/study1" and found.relative == path.strip("/")


@pytest.mark.parametrize(
    "text",
    ["", "image1.png", "XR_WRIST", "valid/WRIST/p1/study1_positive/a.png", "a/XR_WRIST/patient1", "study1"],
)
def test_other_paths_are_not_taken_for_mura(text):
    assert parse(text) is None


def test_a_path_without_split_or_label_is_still_a_study():
    found = parse("XR_HAND/patient7/study2/image1.png")
    assert (found.split, found.label, found.study_id) == (None, None, "hand/patient7/study2")
    assert parse("TRAIN/xr_hand/Patient7/Study2_NEGATIVE").study_id == "train/hand/patient7/study2"


@pytest.mark.parametrize("prefix", ["", "MURA-v1.1/", "D:\\sets\\MURA-v1.1\\"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_list_of_mura_paths_is_indexed_like_its_tree(mura, tmp_path, prefix, header, inside):
    shutil.copytree(mura, tmp_path / "MURA-v1.1")
    tree = build_index(tmp_path / "MURA-v1.1").frame.sort_values("image_id", ignore_index=True)
    paths = tree["path"].map(lambda path: prefix + (path.replace("/", "\\") if "\\" in prefix else path))
    file = (tmp_path / "MURA-v1.1" if inside else tmp_path) / "list.csv"
    file.write_text("\n".join((["path"] if header else []) + paths.tolist()) + "\n")
    indexed = build_index(file)
    assert not indexed.unreadable and {note.code for note in indexed.notes} >= {"mura-paths"}
    found = indexed.frame.sort_values("image_id", ignore_index=True)
    for name in ("study_id", "patient_id", "bone", "label", "split", "fold", "sha1"):
        assert found[name].tolist() == tree[name].tolist(), name


def test_a_label_that_contradicts_its_path_is_a_conflict_and_is_used(tmp_path):
    rows = f"{PATH},0\n{PATH.replace('image2', 'image1')},1\n"
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    found = read_manifest(tmp_path / "list.csv", {})
    assert found.frame["label"].tolist() == [0.0, 1.0] and [entry["path"] for entry in found.conflicts] == [PATH]


def test_study1_positive_alone_is_not_a_study(tmp_path):
    other = PATH.replace("patient11185", "patient2")
    (tmp_path / "list.csv").write_text(f"path,study\n{PATH},study1_positive\n{other},study1_positive\n")
    assert read_manifest(tmp_path / "list.csv", {}).frame["study_id"].nunique() == 2


def test_radiographs_without_a_study_are_noted(tmp_path):
    pd.DataFrame({"path": ["a.png", "b.png"], "bone": "hip", "label": 0}).to_csv(tmp_path / "m.csv", index=False)
    notes = read_manifest(tmp_path / "m.csv", {}).notes
    assert [note.code for note in notes] == ["studies-unnamed"] and notes[0].startswith("2 radiographs")


STUDIES = [f"valid/XR_WRIST/patient{patient}/study{study}_positive" for patient in (1, 2) for study in (1, 2)]
IMAGES = [f"{study}/image{view}.png" for study in STUDIES for view in (1, 2)]
BY_PATH = [f"valid/wrist/patient{patient}/study{study}" for patient in (1, 2) for study in (1, 2) for _ in (1, 2)]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("aabbccdd", ()),  # one name for each study of the paths
        ("11221122", ()),  # numbers within a patient, whom the path names
        ("aaaabbbb", ("2 times", "divides 0", "patient1/study1")),
        ("abbbccdd", ("1 time ", "divides 1 study ", "'valid/wrist/patient1/study1'")),
    ],
)
def test_a_study_column_beside_mura_paths_agrees_or_is_noted(tmp_path, workspace, named, words):
    rows = pd.DataFrame({"path": IMAGES, "study": list(named), "score": 0.5, "label": 1})
    rows.assign(score=[0.1 * place for place in range(8)]).to_csv(tmp_path / "scores.csv", index=False)
    made = prepare_import(tmp_path / "scores.csv", "x", Columns("label", "score", study="study", image="path"))
    for image in IMAGES:
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 40), 9).save(tmp_path / image)
    rows.to_csv(tmp_path / "labels.csv", index=False)
    listed = read_manifest(tmp_path / "labels.csv", {})
    for studies, notes in ((made.frame["study_id"], made.imported.notes), (listed.frame["study_id"], listed.notes)):
        found = [note for note in notes if note.code == "studies-contradict-paths"]
        assert len(found) == bool(words) and all(word in found[0] for word in words)
        if words:
            assert [name.rpartition("/")[2] for name in studies] == list(named)
        else:
            assert studies.tolist() == BY_PATH
