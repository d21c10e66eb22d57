"""Phantoms: reproducible bytes, MURA's layout, truth that agrees with the pixels, films that hide the label."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binom, chi2_contingency

from core.data.index import SourceTables, build_index, write_dataset
from core.data.label_levels import LabelRule
from core.phantom import StudyChoices, truth_mask, write_phantoms
from core.phantom.draw import draw_radiograph
from core.phantom.findings import KINDS
from core.phantom.plan import ABNORMAL, BONES, DEFECTS, plan_radiographs
from tests.refusals import refused


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """(report, folder of MURA-v1.1, truth) of a small set drawn in this process."""
    report = write_phantoms(tmp_path_factory.mktemp("phantoms"), patients=24, seed=3, processes=1)
    return report, report.folder, pd.read_parquet(report.folder / "truth.parquet")


@pytest.fixture(scope="module")
def planned():
    """The plan of 3,000 patients, without drawing."""
    made = plan_radiographs(3000, 8, valid_fraction=0.2)
    names = (
        "image_id",
        "study",
        "patient",
        "bone",
        "split",
        "true_label",
        "given_label",
        "view",
        "abnormality",
        "defects",
        "side",
    )
    frame = pd.DataFrame([[getattr(radiograph, name) for name in names] for radiograph in made], columns=list(names))
    return frame.assign(visible=[radiograph.finding is not None for radiograph in made])


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    alone = write_phantoms(tmp_path / "alone", patients=5, seed=5, processes=1)
    together = write_phantoms(tmp_path / "together", patients=5, seed=5, processes=2)
    other = write_phantoms(tmp_path / "other", patients=3, seed=6, processes=1)
    assert _digests(alone.folder) == _digests(together.folder)
    assert not set(_digests(alone.folder).values()) & {
        digest for name, digest in _digests(other.folder).items() if name.endswith(".png")
    }


def test_first_patients_do_not_depend_on_the_number():
    few, many = (plan_radiographs(patients, 4, 0.2) for patients in (20, 60))
    assert many[: len(few)] == few


def test_the_numbers_of_views_and_of_those_with_the_finding_can_be_chosen():
    choices = StudyChoices(views=4, finding=1)
    made = pd.DataFrame(
        [
            (one.study, one.true_label, one.view, one.finding is not None, "blank" in one.defects)
            for one in plan_radiographs(400, 4, 0.2, choices)
        ],
        columns=["study", "label", "view", "shows", "blank"],
    )
    studies = made.groupby("study").agg(views=("view", "size"), label=("label", "first"), shows=("shows", "sum"))
    assert (studies["views"] == 4).all() and (studies["shows"] == studies["label"]).all()
    assert not (made["shows"] & made["blank"]).any()
    place = made.assign(place=made.groupby("study").cumcount())[made["shows"]]["place"].value_counts()
    assert len(place) == 4 and place.min() > place.sum() / 8
    shown = made[made["shows"]]["view"].value_counts(normalize=True)
    assert (shown - made["view"].value_counts(normalize=True)).abs().max() < 0.1
    for wrong in ((6, 0), (4, 5), (-1, 0), (0, -1)):
        with refused("views-invalid", "1 to 5"):
            StudyChoices(*wrong)


def test_the_list_of_radiographs_has_the_truth_of_each(tmp_path, workspace):
    choices = StudyChoices(views=3, finding=1)
    report = write_phantoms(tmp_path, patients=8, seed=3, processes=1, choices=choices)
    note = json.loads((report.folder / "phantom.json").read_text())
    assert (note["views"], note["finding"]) == (3, 1)
    assert write_phantoms(tmp_path, patients=8, seed=3, processes=1, choices=choices) == report
    with refused("phantom-folder-taken", "views 3, finding 1"):
        write_phantoms(tmp_path, patients=8, seed=3, processes=1)
    truth = pd.read_parquet(report.folder / "truth.parquet").set_index("image_id")
    tables = SourceTables(columns={"truth": "image_label"}, rule=LabelRule("study"))
    indexed = build_index(report.folder / "radiographs.csv", tables)
    frame = indexed.frame.set_index("image_id")
    assert set(frame.index) == set(truth.index) and write_dataset("views", indexed).phantom
    assert (frame["image_label"] == truth["visible"].reindex(frame.index)).all()
    assert (frame["label"] == truth["given_label"].reindex(frame.index)).all()
    assert frame.groupby("study_id").size().eq(3).all() and frame["view"].notna().all()
    assert frame.groupby("study_id")["image_label"].sum().max() == 1


def test_layout_and_lists_are_muras(phantoms):
    report, folder, truth = phantoms
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert on_disk == set(truth["image_id"])
    assert len(on_disk) == report.radiographs
    assert (
        truth["image_id"]
        .str.fullmatch(
            r"(train|valid)/XR_(ELBOW|FINGER|FOREARM|HAND|HUMERUS|SHOULDER|WRIST)/patient\d{5}"
            r"/study\d_(positive|negative)/image\d\.png"
        )
        .all()
    )
    for split in ("train", "valid"):
        of_split = truth[truth["split"] == split]
        paths = (folder / f"{split}_image_paths.csv").read_text().splitlines()
        assert paths == [f"MURA-v1.1/{image_id}" for image_id in of_split["image_id"]]
        studies = pd.read_csv(folder / f"{split}_labeled_studies.csv", header=None, names=["study", "label"])
        assert studies["study"].str.endswith("/").all()
        assert studies["study"].is_unique
        assert (studies["label"] == studies["study"].str.contains("positive")).all()
        assert set(studies["study"]) == {f"MURA-v1.1/{study}/" for study in of_split["study"]}
    assert json.loads((folder / "phantom.json").read_text())["phantom"] is True
    assert not list(folder.rglob("*.tmp"))


def test_report_counts(phantoms):
    report, _, truth = phantoms
    studies = truth.drop_duplicates("study")
    assert (report.radiographs, report.studies, report.patients) == (len(truth), len(studies), 24)
    assert report.wrong_labels == studies["label_flipped"].sum()


def test_files_are_grey_and_of_the_stated_size(phantoms):
    _, folder, truth = phantoms
    for row in truth.head(40).to_dict("records"):
        with Image.open(folder / row["image_id"]) as image:
            assert image.mode == "L"
            assert image.size == (row["width"], row["height"])
            assert 300 <= max(image.size) <= 600


def test_boxes_are_inside_the_film_and_contain_the_mask(phantoms):
    _, _, truth = phantoms
    assert truth["visible"].any()
    for row in truth.to_dict("records"):
        mask = truth_mask(row)
        assert mask.shape == (row["height"], row["width"])
        assert mask.any() == row["visible"]
        if row["visible"]:
            assert 0 <= row["x0"] < row["x1"] <= row["width"]
            assert 0 <= row["y0"] < row["y1"] <= row["height"]
            rows, columns = np.nonzero(mask)
            assert (rows.min(), rows.max() + 1) == (row["y0"], row["y1"])
            assert (columns.min(), columns.max() + 1) == (row["x0"], row["x1"])
        else:
            assert pd.isna(row["x0"])
            assert pd.isna(row["mask"])
            assert row["contrast"] == 0


def test_every_truly_abnormal_study_shows_it_once(phantoms):
    _, _, truth = phantoms
    shown = truth.groupby("study").agg(label=("true_label", "first"), visible=("visible", "sum"))
    assert ((shown["visible"] > 0) == (shown["label"] == 1)).all()


def test_the_finding_is_visible_inside_its_mask():
    made = [radiograph for radiograph in plan_radiographs(120, 12, 0.2) if radiograph.finding]
    for kind in KINDS:
        inside, outside = [], []
        for radiograph in [one for one in made if one.abnormality == kind][:5]:
            drawn, without = draw_radiograph(radiograph), draw_radiograph(radiograph, finding=False)
            change = np.abs(drawn.pixels.astype(int) - without.pixels)
            assert not without.mask.any()
            assert change.max() > 8
            inside.append(change[drawn.mask].sum())
            outside.append(change[~drawn.mask].sum())
        assert np.sum(inside) > 0.75 * np.sum(inside + outside), kind


def test_patients_do_not_cross_splits(planned):
    assert (planned.groupby("patient")["split"].nunique() == 1).all()
    assert abs(planned.drop_duplicates("patient")["split"].eq("valid").mean() - 0.2) < 0.001


def _has(planned: pd.DataFrame, defect: str) -> pd.Series:
    return planned["defects"].map(lambda defects: defect in defects)


def _within(count: int, of: int, share: float) -> bool:
    return binom.ppf(1e-5, of, share) <= count <= binom.ppf(1 - 1e-5, of, share)


def test_shares_are_as_stated(planned):
    studies = planned.drop_duplicates("study")
    assert _within(studies["true_label"].sum(), len(studies), ABNORMAL)
    assert _within((studies["true_label"] != studies["given_label"]).sum(), len(studies), 0.04)
    assert 2.6 < len(planned) / len(studies) < 2.8
    for bone, share in BONES.items():
        # Second bones and studies of one patient make the counts a little wider than binomial.
        assert abs((studies["bone"] == bone).mean() - share / sum(BONES.values())) < 0.035
    abnormal = studies[studies["true_label"] == 1]
    for kind, share in KINDS.items():
        assert _within((abnormal["abnormality"] == kind).sum(), len(abnormal), share)
    for name in ("two_on_one_film", "stretched", "border", "marker"):
        assert abs(_has(planned, name).mean() - DEFECTS[name]) < 0.02


def test_only_the_finding_depends_on_the_label(planned):
    studies = planned.groupby("study").agg(
        label=("true_label", "first"),
        views=("image_id", "size"),
        bone=("bone", "first"),
        side=("side", "first"),
        split=("split", "first"),
    )
    for name in ("views", "bone", "side", "split"):
        assert chi2_contingency(pd.crosstab(studies["label"], studies[name])).pvalue > 1e-3, name
    for name in DEFECTS:
        table = pd.crosstab(planned["true_label"], _has(planned, name))
        assert chi2_contingency(table).pvalue > 1e-3, name


def test_the_film_does_not_depend_on_the_finding():
    made = [radiograph for radiograph in plan_radiographs(60, 21, 0.2) if radiograph.finding][:12]
    for radiograph in made:
        drawn, without = draw_radiograph(radiograph), draw_radiograph(radiograph, finding=False)
        assert drawn.pixels.shape == without.pixels.shape
        corner = np.s_[:12, :12]
        assert np.abs(drawn.pixels[corner].astype(int) - without.pixels[corner]).max() <= 12


def test_a_complete_set_is_not_drawn_again_and_an_incomplete_one_is(tmp_path):
    first = write_phantoms(tmp_path, patients=3, seed=1, processes=1)
    digests = _digests(first.folder)
    calls = []
    assert write_phantoms(tmp_path, 3, 1, progress=lambda *call: calls.append(call), processes=1) == first
    assert not calls
    (first.folder / "truth.parquet").unlink()
    next(first.folder.rglob("*.png")).unlink()
    assert write_phantoms(tmp_path, 3, 1, progress=lambda *call: calls.append(call), processes=1) == first
    assert calls[-1][:2] == (first.radiographs, first.radiographs)
    assert _digests(first.folder) == digests


def test_bad_input(tmp_path):
    with refused("patients-invalid", "is 0"):
        write_phantoms(tmp_path, patients=0, seed=1)
    with refused("seed-invalid", "-1"):
        write_phantoms(tmp_path, patients=1, seed=-1)
    write_phantoms(tmp_path, patients=1, seed=1, processes=1)
    with refused("phantom-folder-taken", "patients 1, seed 1"):
        write_phantoms(tmp_path, patients=1, seed=2)
    real = tmp_path / "real" / "MURA-v1.1"
    real.mkdir(parents=True)
    (real / "train_image_paths.csv").write_text("")
    with refused("phantom-folder-taken", "files of something else"):
        write_phantoms(tmp_path / "real", patients=1, seed=1)
    (tmp_path / "file").write_text("not a folder")
    with refused("phantoms-not-written"):
        write_phantoms(tmp_path / "file", patients=1, seed=1)


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("core.phantom.write._replace", full)
    with refused("phantoms-not-written", "No space left"):
        write_phantoms(tmp_path, patients=1, seed=1, processes=1)
