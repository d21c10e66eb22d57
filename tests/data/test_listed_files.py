"""Rows of a manifest and the files of its folder: every row and file is accounted for."""

import numpy as np
import pandas as pd
import pytest

from core.data.index import SourceTables, build_index
from tests.conftest import write_radiograph
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(6):
        write_radiograph(tmp_path / "images" / f"w{number:02d}.png", np.random.default_rng(number), False)
    return tmp_path


def manifest(folder, rows, **more):
    table = pd.DataFrame(rows, columns=["path", "label"]).assign(bone="wrist", **more)
    table.to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def test_rows_and_files_are_accounted_for(folder):
    given = ((0, "1"), (0, "1"), (1, "0"), (1, "1"), (2, ""), (2, "1"), (9, "1"))
    rows = [(f"images/w0{number}.png", label) for number, label in given]
    indexed = build_index(manifest(folder, rows))
    label = indexed.frame.set_index("path")["label"]
    assert label["images/w00.png"] == 1 and np.isnan(label["images/w01.png"]) and label["images/w02.png"] == 1
    assert [row["path"] for row in indexed.conflicts] == ["images/w01.png"]
    (report,) = indexed.joins
    counts = (report.matched, report.unmatched_rows, report.items_without_row, report.duplicates, report.contradictions)
    assert counts == (6, 1, 3, 2, 1)
    again = build_index(manifest(folder, rows[::-1])).frame.set_index("path")["label"]
    assert again.sort_index().equals(label.sort_index())


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("data/set/images/w0{}.png", ("folder",)),
        ("images/w0{}.jpg", ("extension",)),
        ("images/W0{}.PNG", ("case",)),
        ("w0{}", ("extension", "folder")),
    ],
)
def test_paths_that_nearly_name_files_are_offered_and_only_applied_if_asked(folder, form, options):
    file = manifest(folder, [(form.format(number), str(number % 2)) for number in range(6)])
    with refused("no-readable-radiograph", "6 of 6", *(f"--match-ignoring {option}" for option in options)):
        build_index(file)
    indexed = build_index(file, SourceTables(ignoring=options))
    assert indexed.frame["label"].tolist() == [0, 1] * 3 and indexed.joins[0].matched == 6


def test_words_for_a_missing_patient_are_no_patient_and_a_crowded_one_is_noted(folder):
    rows = [(f"images/w0{number}.png", "1") for number in range(6)]
    missing = build_index(manifest(folder, rows, patient=["NA", "n/a", "None", "-", "ANONYMOUS", "p1"]))
    assert missing.frame["patient_id"].notna().sum() == 1
    for number in range(6, 20):
        write_radiograph(folder / "images" / f"w{number:02d}.png", np.random.default_rng(number), False)
    rows = [(f"images/w{number:02d}.png", str(number % 2)) for number in range(20)]
    crowded = build_index(manifest(folder, rows, patient=["P000"] * 14 + [f"p{number}" for number in range(6)]))
    assert "patient-implausible" in [note.code for note in crowded.notes]
    alone = build_index(manifest(folder, rows, patient=["p1"] * 20))
    assert "no-validation-split" in [note.code for note in alone.notes]


def test_a_study_number_without_its_patient_is_the_folder(tmp_path):
    for patient in ("a", "b"):
        (tmp_path / patient / "study1_positive").mkdir(parents=True)
        for number in range(2):
            file = tmp_path / patient / "study1_positive" / f"{number}.png"
            write_radiograph(file, np.random.default_rng(ord(patient) + number), True)
    rows = [(f"{patient}/study1_positive/{number}.png", "1") for patient in "ab" for number in range(2)]
    indexed = build_index(manifest(tmp_path, rows, study="study1_positive"))
    assert indexed.frame["study_id"].nunique() == 2 and "study-name-alone" in [note.code for note in indexed.notes]
