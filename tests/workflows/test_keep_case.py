"""A study is kept only when asked: as PNG without a header, once, unlabelled, in a data set of its own."""

from core.data.index import read_index
from core.workflows.keep_case import NAME, keep_case
from tests.refusals import refused
from tests.serving.conftest import png
from tests.serving.test_reader import dicom


def test_a_study_is_kept_once_without_what_its_header_says(workspace):
    content = dicom(PatientName="Planted^Name", PatientID="Planted")
    dataset, study = keep_case([content, png(1)], "wrist", "Ada", "looks odd")
    assert keep_case([png(1), content], "wrist", "Ben")[1] == study
    keep_case([png(2)], "Hand", "Ada")
    rows = read_index(dataset.name)
    assert dataset.name == NAME and len(rows) == 3 and rows["label"].isna().all()
    assert set(rows.loc[rows["path"].str.startswith(study), "bone"]) == {"wrist"}
    for file in (workspace / NAME).rglob("*"):
        assert not file.is_file() or b"Planted" not in file.read_bytes()


def test_nothing_to_keep_and_no_bone_are_refused(workspace):
    with refused("study-empty"):
        keep_case([], "wrist", "Ada")
    with refused("bone-missing"):
        keep_case([png()], "", "Ada")
