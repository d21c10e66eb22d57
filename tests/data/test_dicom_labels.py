"""Tables of labels for DICOM, and patients and studies as their headers name them."""

import json

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from core.data.earlier_index import check_labels_kept, earlier_labels
from core.data.extra_columns import extra_names
from core.data.index import SourceTables, build_index, read_dataset, read_index, write_dataset
from tests.data.test_dicom import write
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path):
    """Twelve radiographs of twelve patients with accession numbers 00001200 to 00001211."""
    for number in range(12):
        write(
            tmp_path / "dcm" / f"im{number:02d}.dcm",
            np.full((16, 16), number, np.uint16),
            PatientID=f"B{number:02d}",
            PatientName="",
            AccessionNumber=f"{1200 + number:08d}",
        )
    return tmp_path / "dcm"


def table(folder, **columns):
    file = folder.parent / "labels.csv"
    pd.DataFrame(columns).to_csv(file, index=False)
    return file


def codes(indexed):
    return [note.code for note in indexed.notes]


def test_lost_zeros_match_nothing_and_are_offered(folder, workspace):
    file = table(folder, AccessionNumber=range(1200, 1212), label=[0, 1] * 6)
    with refused("join-matches-nothing", file, "12 rows", "row 2", "'1200'", "'00001200'", "--match-ignoring zeros"):
        build_index(folder, SourceTables(labels=file))
    indexed = build_index(folder, SourceTables(labels=file, ignoring=("zeros",)))
    assert indexed.frame["label"].tolist() == [0.0, 1.0] * 6 and indexed.joins[0].matched == 12
    allowed = build_index(folder, SourceTables(labels=file, allow_unmatched=True))
    assert allowed.frame["label"].isna().all() and allowed.joins[0].unmatched_rows == 12


def test_the_case_of_lost_zeros_is_refused(shared, workspace):
    case = shared / "data" / "cases" / "31-dicom-labels-no-match"
    with refused("join-matches-nothing", "12 rows", "'1200'"):
        build_index(case / "dcm", SourceTables(labels=case / "labels.csv"))


def test_rows_that_contradict_leave_the_radiograph_unlabelled_and_named(folder, workspace):
    file = table(
        folder,
        path=["im00.dcm", "im00.dcm", r".\im01.dcm", "im01.dcm", "im02.dcm", "im02.dcm", "gone.dcm"],
        label=["0", "1", "1", "1", "", "1", "1"],
    )
    indexed = build_index(folder, SourceTables(labels=file))
    label = indexed.frame.set_index("path")["label"]
    assert np.isnan(label["im00.dcm"]) and label["im01.dcm"] == 1 and label["im02.dcm"] == 1
    assert [row["path"] for row in indexed.conflicts] == ["im00.dcm"]
    report = indexed.joins[0]
    counts = (report.matched, report.unmatched_rows, report.items_without_row, report.duplicates, report.contradictions)
    assert counts == (6, 1, 9, 2, 1)
    shuffled = pd.read_csv(file, dtype=str, keep_default_na=False).sample(frac=1, random_state=3)
    shuffled.to_csv(file, index=False)
    again = build_index(folder, SourceTables(labels=file))
    assert again.frame["label"].equals(indexed.frame["label"]) and again.conflicts == indexed.conflicts


def test_a_report_is_stored_without_ids(folder, workspace):
    file = table(folder, AccessionNumber=["00001200", "99994711"], label=[1, 0])
    dataset = write_dataset("clinic", build_index(folder, SourceTables(labels=file)))
    (report,) = dataset.joins()
    assert report.matched == 1 and report.unmatched_rows == 1
    stored = (dataset.folder / "problems.json").read_text()
    assert "99994711" not in stored and "00001200" not in stored
    assert set(dataset.problems()) == {"unreadable", "stray", "conflicts", "converted"}
    lists = json.loads(stored)
    del lists["joins"], lists["notes"], lists["sha256"]
    (dataset.folder / "problems.json").write_text(json.dumps(lists))  # as version 0.1 wrote it
    assert read_dataset("clinic").joins() == [] and read_dataset("clinic").notes() == []


def test_a_second_index_without_the_labels_is_refused(folder, workspace):
    file = table(folder, AccessionNumber=[f"{1200 + number:08d}" for number in range(12)], label=[0, 1] * 6)
    write_dataset("clinic", build_index(folder, SourceTables(labels=file)))
    bare = build_index(folder).frame
    with refused("labels-lost", "12 of 12", "im00.dcm", "--allow-lost-labels"):
        check_labels_kept(bare, earlier_labels("clinic"), "the earlier index")
    (note,) = check_labels_kept(bare, earlier_labels("clinic"), "the earlier index", allow=True)
    assert note.code == "labels-lost"
    renamed = bare.assign(image_id="other/" + bare["image_id"])
    with refused("labels-lost", "12 of 12"):
        check_labels_kept(renamed, earlier_labels("clinic"), "the earlier index")
    changed = bare.assign(label=1.0)
    with refused("labels-changed", "6 of 12", "im00.dcm", "--allow-lost-labels"):
        check_labels_kept(changed, earlier_labels("clinic"), "the earlier index")
    (note,) = check_labels_kept(changed, earlier_labels("clinic"), "the earlier index", allow=True)
    assert note.code == "labels-changed" and "6 of 12" in note
    assert check_labels_kept(bare, earlier_labels("another"), "the earlier index") == []


def test_a_study_is_its_uid_and_body_part(tmp_path, workspace):
    study = generate_uid()
    for number, part in enumerate(("WRIST", "WRIST", "ELBOW", "ELBOW", "")):
        write(tmp_path / "dcm" / f"{number}.dcm", BodyPartExamined=part, StudyInstanceUID=study, PatientID="1")
    write(tmp_path / "dcm" / "5.dcm", BodyPartExamined="", PatientID="2")
    other = dcmread(tmp_path / "dcm" / "5.dcm").StudyInstanceUID
    write(tmp_path / "dcm" / "6.dcm", BodyPartExamined="HAND", StudyInstanceUID=other, PatientID="2")
    rows = {"StudyInstanceUID": [study, study, other], "bone": ["Wrist", "elbow", ""], "label": [1, 0, 1]}
    file = table(tmp_path / "dcm", **rows)
    indexed = build_index(tmp_path / "dcm", SourceTables(labels=file))
    frame = indexed.frame.set_index("path")
    assert frame.groupby("study_id").size().sort_values().tolist() == [1, 2, 2, 2]
    assert frame.loc[["0.dcm", "2.dcm", "5.dcm", "6.dcm"], "label"].tolist() == [1, 0, 1, 1]
    assert np.isnan(frame.at["4.dcm", "label"]) and frame.at["5.dcm", "bone"] == "hand"
    assert {"study-of-several-parts", "body-part-of-study"} <= set(codes(indexed)) and not indexed.conflicts


def test_the_case_of_two_bones_in_a_study_has_no_conflict(shared, workspace):
    case = shared / "data" / "cases" / "34-dicom-study-two-bones"
    indexed = build_index(case / "dcm", SourceTables(labels=case / "labels.csv"))
    assert indexed.frame["study_id"].nunique() == 24 and not indexed.conflicts
    assert indexed.frame.groupby("study_id")["bone"].nunique().eq(1).all()


@pytest.mark.parametrize(
    ("name", "birth", "patients", "code"),
    [
        ("Doe^Jane", "19700101", 1, "patient-issuer-linked"),
        ("DOE^JANE", "", 1, "patient-issuer-linked"),
        ("", "", 1, "patient-issuer-linked"),
        ("Roe^Richard", "19700101", 2, "patient-issuer-differs"),
        ("Doe^Jane", "19810203", 2, "patient-issuer-differs"),
    ],
)
def test_a_patient_with_and_without_issuer_is_linked_or_alarmed(tmp_path, workspace, name, birth, patients, code):
    write(tmp_path / "a.dcm", IssuerOfPatientID="Graz", PatientName="Doe^Jane", PatientBirthDate="19700101")
    write(tmp_path / "b.dcm", PatientName=name, PatientBirthDate=birth)
    indexed = build_index(tmp_path)
    assert indexed.frame["patient_id"].nunique() == patients and code in codes(indexed)


@pytest.mark.parametrize("word", ["", "ANONYMOUS", "N/A", "unknown", "None", "-"])
def test_a_word_for_a_missing_patient_is_no_patient(tmp_path, workspace, word):
    for number in range(3):
        write(tmp_path / f"{number}.dcm", PatientID=word, PatientName=word, AccessionNumber=word)
    assert build_index(tmp_path).frame["patient_id"].isna().all()


def headers_of(folder, number, **tags):
    file = folder / f"im{number:02d}.dcm"
    header = dcmread(file)
    for name, value in tags.items():
        setattr(header, name, value)
    header.save_as(file)


def test_headers_give_age_sex_and_device(folder, workspace):
    headers_of(folder, 0, PatientAge="014Y", PatientSex="f", Manufacturer="ACME", PatientBirthDate="20100101")
    headers_of(folder, 1, PatientAge="006M", PatientSex="Unknown", ManufacturerModelName="3000")
    headers_of(folder, 2, PatientAge="045", PatientSex="M", Manufacturer="n/a")
    indexed = build_index(folder)
    write_dataset("clinic", indexed)
    frame = read_index("clinic").set_index("path")
    assert frame["age"].dtype == np.float64 and frame["age"].dropna().tolist() == [14, 0.5]
    assert frame["sex"].dropna().tolist() == ["F", "M"] and frame["manufacturer"].dropna().tolist() == ["ACME"]
    assert frame["manufacturer_model"].dropna().to_dict() == {"im01.dcm": "3000"}
    assert "age-without-unit" in codes(indexed) and not frame.isin(["20100101"]).any().any()
    assert {"age", "sex", "manufacturer"} <= set(extra_names(frame))


def test_headers_without_these_tags_add_no_column(folder, workspace):
    assert not {"age", "sex", "manufacturer"} & set(build_index(folder).frame)


def test_further_columns_of_a_label_table_are_typed_and_name_nobody(folder, workspace):
    headers_of(folder, 0, PatientAge="014Y")
    file = table(
        folder,
        AccessionNumber=["00001201", "00001200", "00001200", "99999999"],
        label=[1, 0, 0, 1],
        age=["9.5", "15", "15", ""],
        cast=["yes", "no", "maybe", "no"],
        seen=["2024-01-31", "", "2024-02-01", ""],
        modality=["a", "b", "b", "a"],
        PatientName=["Roe^Jo"] * 4,
        who=["B01x", "B00x", "B00x", ""],
        date_of_birth=["2010-01-01"] * 4,
    )
    headers_of(folder, 1, PatientID="B01x")
    indexed = build_index(folder, SourceTables(labels=file))
    frame = indexed.frame.set_index("path")
    assert "who" not in frame
    assert frame["age"].dtype == np.float64 and frame["age"].dropna().tolist() == [15, 9.5]
    assert frame["age_header"].dropna().tolist() == [14]
    assert frame["cast"].dropna().to_dict() == {"im01.dcm": "yes"}  # the rows of im00 disagree
    assert frame["seen"].dropna().tolist() == [pd.Timestamp("2024-02-01"), pd.Timestamp("2024-01-31")]
    assert frame["modality"].eq("CR").all() and frame["modality_given"].dropna().tolist() == ["b", "a"]
    assert not frame.isin(["Roe^Jo"]).any().any() and "date_of_birth" not in frame
    assert {"identifying-columns", "columns-kept", "column-contradicts"} <= set(codes(indexed))
    assert indexed.joins[0].contradictions == 0 and indexed.conflicts == []
