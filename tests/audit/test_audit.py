"""The audit finds the faults planted in a tree and nothing else; the contract of the command."""

import json
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.__main__ import app
from core.audit.audit import Audit, read_audit, run_audit
from core.audit.findings import list_findings
from core.audit.shortcut import shortcut
from core.data.index import SourceTables, build_index, read_dataset, read_earlier_index, write_dataset
from tests.audit.test_duplicates import film


def write(root, split, bone, patient, study, label, pictures):
    folder = root / split / f"XR_{bone}" / f"patient{patient:05}" / f"study{study}_{label}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, 1):
        Image.fromarray(picture).save(folder / f"image{number}.png")
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A clean tree: 40 patients with two pictures each, half of them abnormal. Copied, never written to."""
    root = tmp_path_factory.mktemp("clean") / "MURA-v1.1"
    for patient in range(40):
        label = ("negative", "positive")[patient % 2]
        split, bone = ("train" if patient < 30 else "valid"), ("ELBOW", "WRIST")[patient // 2 % 2]
        write(root, split, bone, patient, 1, label, [film(2 * patient), film(2 * patient + 1)])
    return root


@pytest.fixture
def root(clean, tmp_path):
    """The clean tree of a test."""
    return shutil.copytree(clean, tmp_path / "MURA-v1.1")


def audited(root) -> Audit:
    return run_audit(write_dataset("tree", build_index(root, folds=4)))


def paths_of(groups):
    return sorted(tuple(row["path"] for row in group) for group in groups)


def test_a_clean_tree_has_no_findings(root, workspace):
    found = audited(root)
    assert not found.failed
    assert found.patient_overlap == found.duplicates_across == found.duplicates_within == []
    assert found.unreadable == found.stray == found.conflicts == found.label_conflicts == []
    # With 40 patients, whatever the classifier predicts, the interval must include 0.5.
    assert found.shortcut["low"] < 0.5 < found.shortcut["high"]
    assert {line.key for line in list_findings(found) if line.level in ("fail", "alarm")} == set()


def test_each_planted_fault_is_found_by_its_check(root, workspace):
    # A patient in two splits; a smaller copy of a picture in another study; a copy within a study; a text file.
    write(root, "valid", "ELBOW", 0, 2, "negative", [film(900)])
    near = np.asarray(Image.fromarray(film(8)).resize((150, 180)))
    write(root, "valid", "WRIST", 35, 2, "positive", [near])
    inside = root / "train/XR_ELBOW/patient00000/study1_negative"
    shutil.copy(inside / "image1.png", inside / "image3.png")
    (root / "train/XR_ELBOW/patient00001/study1_positive/image9.png").write_text("not a picture")
    found = audited(root)
    assert found.patient_overlap == [{"patient": "patient00000", "splits": ["train", "valid"]}] and found.failed
    assert paths_of(found.duplicates_within) == [
        (
            "train/XR_ELBOW/patient00000/study1_negative/image1.png",
            "train/XR_ELBOW/patient00000/study1_negative/image3.png",
        )
    ]
    assert found.duplicates_within[0][0]["copy"] == "exact"
    assert paths_of(found.duplicates_across) == [
        (
            "train/XR_ELBOW/patient00004/study1_negative/image1.png",
            "valid/XR_WRIST/patient00035/study2_positive/image1.png",
        )
    ]
    first = found.duplicates_across[0][0]
    assert (first["split"], first["study"], first["copy"]) == ("train", "train/elbow/patient00004/study1", "near")
    assert [row["path"] for row in found.unreadable] == ["train/XR_ELBOW/patient00001/study1_positive/image9.png"]
    # One picture has a normal and an abnormal copy.
    assert len(found.label_conflicts) == 1 and "different labels" in found.label_conflicts[0]["reason"]
    levels = {line.key: line.level for line in list_findings(found)}
    assert (levels["overlap"], levels["across"], levels["within"]) == ("fail", "alarm", "note")
    assert list_findings(found)[0].key == "overlap"


def test_odd_pictures_are_listed_by_their_fault(root, workspace):
    strange = {
        "blank": np.full((200, 160), 7, np.uint8),
        "static": np.random.default_rng(0).integers(0, 256, (200, 160)).astype(np.uint8),
        "small": film(500, 60, 50),
        "strip": film(501, 60, 800),
        "films": np.hstack([film(502), np.zeros((240, 60), np.uint8), film(503)]),
    }
    folder = write(root, "train", "ELBOW", 77, 1, "negative", list(strange.values()))
    quality = audited(root).quality
    for number, name in enumerate(strange, 1):
        assert f"{folder.relative_to(root)}/image{number}.png" in quality[name], name
    assert len(quality["blank"]) == 1 and len(quality["static"]) == 1 and len(quality["strip"]) == 1


def test_a_planted_shortcut_is_measured(root, workspace):
    # Abnormal films are brighter, so brightness alone predicts the label.
    for file in root.rglob("*positive/*.png"):
        grey = np.asarray(Image.open(file)).astype(float)
        Image.fromarray(np.clip(grey * 0.7 + 70, 0, 255).astype(np.uint8)).save(file)
    found = audited(root)
    assert found.shortcut_by["brightness and contrast"]["value"] > 0.95
    assert found.shortcut_by["bone"]["low"] < 0.5 < found.shortcut_by["bone"]["high"]
    assert next(line for line in list_findings(found) if line.key == "shortcut").level == "alarm"


def test_a_shortcut_cannot_be_estimated_from_one_label(root, workspace):
    from core.audit.audit import measured_rows

    rows = measured_rows(write_dataset("tree", build_index(root)))
    whole, parts = shortcut(rows.assign(label=1.0))
    assert np.isnan(whole.value) and "10 patients" in whole.why and set(parts) >= {"bone", "metal"}


def test_the_audit_is_stored_until_the_index_changes(root, workspace):
    first = audited(root)
    assert read_audit(read_dataset("tree")) == first
    shutil.copy(
        root / "train/XR_ELBOW/patient00000/study1_negative/image1.png",
        root / "train/XR_ELBOW/patient00001/study1_positive/image3.png",
    )
    write_dataset("tree", build_index(root, folds=4))
    assert read_audit(read_dataset("tree")) is None
    assert len(run_audit(read_dataset("tree")).duplicates_across) == 1
    (workspace / "audits" / "tree.json").write_text('{"name": "tr')
    assert read_audit(read_dataset("tree")) is None


def test_a_file_damaged_after_indexing_is_unreadable(root, workspace):
    dataset = write_dataset("tree", build_index(root, folds=4))
    gone = root / "train/XR_ELBOW/patient00000/study1_negative/image1.png"
    gone.write_bytes(gone.read_bytes()[:400])
    assert [row["path"] for row in run_audit(dataset).unreadable] == [str(gone.relative_to(root))]


def test_a_file_with_damaged_pixels_is_unreadable_with_the_decoder_s_reason(root, workspace):
    file = root / "train/XR_ELBOW/patient00000/study1_negative/image1.png"
    data = file.read_bytes()
    start = data.index(b"IDAT") - 4
    pixels = data[start + 8 : -24][:100]  # cut short, with a corrected checksum
    chunk = b"IDAT" + pixels
    corrected = len(pixels).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    file.write_bytes(data[:start] + corrected + data[-12:])
    found = audited(root)
    assert [(row["path"], row["reason"].split(" (")[0]) for row in found.unreadable] == [
        (str(file.relative_to(root)), "image file is truncated")
    ]


def test_a_converted_file_is_listed_once(root, workspace):
    folder = write(root, "train", "ELBOW", 77, 1, "negative", [film(500)])
    Image.fromarray(film(501)).convert("CMYK").save(folder / "image2.jpg")
    found = audited(root)
    assert [row["path"] for row in found.converted] == [str((folder / "image2.jpg").relative_to(root))]
    assert "CMYK" in found.converted[0]["reason"]
    # An update of the index does not read it again, but still lists it.
    write_dataset("tree", build_index(root, folds=4, earlier=read_earlier_index("tree", root)))
    assert len(read_dataset("tree").problems()["converted"]) == 1


def test_two_spellings_of_a_patient_folder_are_one_patient(root, workspace):
    folder = write(root, "valid", "WRIST", 0, 1, "negative", [film(900)])
    folder.parent.rename(folder.parent.with_name("PATIENT00000"))
    assert audited(root).patient_overlap == [{"patient": "patient00000", "splits": ["train", "valid"]}]


def test_a_study_with_both_labels_is_listed_once(root, workspace):
    write(root, "train", "ELBOW", 0, 1, "positive", [film(900)])
    found = audited(root)
    assert found.conflicts == [] and [row["path"] for row in found.label_conflicts] == [
        "train/elbow/patient00000/study1"
    ]


def test_the_command_fails_only_on_patient_overlap(root, workspace):
    write_dataset("tree", build_index(root, folds=4))
    clean = CliRunner().invoke(app, ["audit", "tree", "--json"])
    facts = json.loads(clean.stdout)
    assert clean.exit_code == 0 and facts["patient_overlap"] == []
    assert {"duplicates_across", "duplicates_within", "unreadable", "label_conflicts"} <= set(facts)
    assert facts["shortcut_auroc_low"] <= facts["shortcut_auroc"] <= facts["shortcut_auroc_high"]
    write(root, "valid", "ELBOW", 0, 2, "negative", [film(900)])
    write_dataset("tree", build_index(root, folds=4))
    failed = CliRunner().invoke(app, ["audit", "tree", "--json"])
    assert failed.exit_code == 1 and json.loads(failed.stdout)["patient_overlap"][0]["patient"] == "patient00000"
    assert (
        "FAIL Patients in several splits: 1 patient in more than one split (patient00000)"
        in CliRunner().invoke(app, ["audit", "tree"]).stdout
    )


@pytest.mark.slow
def test_copies_and_shortcut_of_real_radiographs(shared, workspace):
    """FracAtlas: the published AUROC of the label from size, view and bone alone is about .73."""
    indexed = build_index(shared / "data" / "radiographs", SourceTables({"patient": "patient_or_study_id"}))
    found = run_audit(write_dataset("real", indexed))
    assert found.shortcut_by["size, view and bone"]["value"] == pytest.approx(0.73, abs=0.03)
    exact = [group for group in found.duplicates_across if group[0]["copy"] == "exact"]
    copies = indexed.frame["sha1"].duplicated(keep=False)
    assert {row["path"] for group in exact for row in group} <= set(indexed.frame.loc[copies, "path"])
    in_groups = {row["path"] for group in found.duplicates_across for row in group}
    assert set(indexed.frame.loc[copies, "path"]) <= in_groups and len(in_groups) < 200
