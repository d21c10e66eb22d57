"""One reader: its numbers are those of `predict`, its decision is the locked point's, and bad files are named."""

import io
import json
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from core.data.index import read_index
from core.metrics.studies import AGGREGATIONS, score_of_views, study_table
from core.models.checkpoint import read_checkpoint
from core.scores.decisions import decisions
from core.scores.operating_points import POINTS, read_points, withdraw
from core.scores.predict import predict
from core.scores.source import source_of
from core.serving.answers import answer_study
from core.serving.decoding import Upload, decode_view
from core.serving.limits import Limits
from core.serving.points import find_thresholds, guarantee_text
from core.serving.reader import load
from tests.refusals import refused
from tests.serving.conftest import make_checkpoint, png


def study_files(tree):
    """The files of each study of the split valid."""
    index = read_index(tree.name)
    rows = index[index["split"] == "valid"]
    return {study: [f"{tree.root}/{path}" for path in part["path"]] for study, part in rows.groupby("study_id")}


def test_scores_and_decisions_are_those_of_predict(checkpoint, tree, point):
    scores = predict(source_of(checkpoint, tree), ["valid"])
    studies = study_table(scores, point.aggregation)
    expected = studies.assign(decision=decisions(point, studies)).set_index("study_id")
    reader = load(checkpoint.folder)
    for study, files in study_files(tree).items():
        answer = reader.read(files)
        assert answer.score == pytest.approx(expected.loc[study, "score"], abs=1e-6)
        assert answer.decision == expected.loc[study, "decision"]
        assert answer.thresholds.to_dict()["id"] == point.id
        assert answer.model["digest"] == checkpoint.weights_hash
        assert [view.file for view in answer.views] == files
    assert set(expected["decision"]) == {"abnormal", "normal"}


def test_no_decision_depends_on_the_last_digits_of_a_score(checkpoint, tree, point):
    scores = predict(source_of(checkpoint, tree), ["valid"])
    studies = study_table(scores, point.aggregation)
    expected = dict(zip(studies["study_id"], decisions(point, studies)))
    assert (studies["score"] == point.threshold).any()  # a threshold is the score of a study
    thresholds = find_thresholds(source_of(checkpoint))
    for study, rows in scores.groupby("study_id"):
        views = [decode_view(Upload(path, png()), checkpoint.input_spec) for path in rows["path"]]
        for shift in (-4e-7, 0.0, 4e-7):  # as much as another batch or runtime can change
            outputs = rows[["logit"]].to_numpy() + shift
            answer = answer_study(views, outputs, point.aggregation, thresholds, {})
            assert answer.decision == expected[study]
            assert (answer.score >= point.threshold) == (answer.decision == "abnormal")


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_the_score_of_one_study_is_that_of_the_table(name, checkpoint, tree):
    scores = predict(source_of(checkpoint, tree), ["valid"])
    scores["attention"] = np.random.default_rng(0).normal(size=len(scores))
    studies = study_table(scores, name).set_index("study_id")
    for study, rows in scores.groupby("study_id"):
        found = score_of_views(rows["logit"].to_numpy(), rows["attention"].to_numpy(), name)
        assert found == pytest.approx(studies.loc[study, "score"], abs=1e-12)


def test_without_a_locked_point_there_are_scores_and_no_decision(checkpoint):
    answer = load(checkpoint.folder).read([Upload("1.png", png())])
    assert answer.score is not None and answer.decision is None and answer.thresholds.to_dict() is None
    assert "No operating point" in answer.why


def test_a_score_equal_to_the_threshold_is_abnormal(checkpoint, point):
    thresholds = find_thresholds(load(checkpoint.folder).source)
    assert thresholds.decide(point.threshold)[0] == "abnormal"
    assert thresholds.decide(np.nextafter(point.threshold, 0))[0] == "normal"


def test_two_points_refer_the_studies_between_them(checkpoint, lock_point):
    low, high = lock_point("threshold=0.3"), lock_point("threshold=0.6")
    thresholds = load(checkpoint.folder, (high.id, low.id)).pinned
    middle = (low.threshold + high.threshold) / 2
    calls = [thresholds.decide(score)[0] for score in (0.0, middle, 1.0)]
    assert calls == ["normal", "refer", "abnormal"]
    assert low.id in thresholds.to_dict()["id"] and high.id in thresholds.to_dict()["id"]
    with refused("points-too-many"):
        load(checkpoint.folder, (high.id, low.id, low.id))


def test_the_guarantee_says_what_was_found_and_where(point):
    text = guarantee_text(point)
    assert point.rule in text and "valid" in text and "tree" in text
    assert f"{point.figures['sensitivity']:.1%}" in text


def test_a_point_that_was_altered_is_refused_at_the_start_and_while_serving(checkpoint, point):
    reader = load(checkpoint.folder)
    file = reader.source.file_to_read(POINTS)
    upload = [Upload("1.png", png())]
    assert reader.read(upload).decision is not None
    content = json.loads(file.read_text())
    content["points"][0]["threshold"] += 1e-4
    file.write_text(json.dumps(content))
    answer = reader.read(upload)
    assert answer.decision is None and "no longer applied" in answer.why and answer.score is not None
    with refused("operating-point-altered"):
        load(checkpoint.folder)


def test_a_point_of_another_checkpoint_is_refused(checkpoint, point):
    before = load(checkpoint.folder).source
    make_checkpoint(checkpoint.folder, seed=1)
    with refused("no-operating-point"):
        load(checkpoint.folder, (point.id,))
    file = source_of(read_checkpoint(checkpoint.folder)).file_to_write(POINTS)
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(before.file_to_read(POINTS), file)
    with refused("point-of-other-scores"):
        load(checkpoint.folder, (point.id,))


def test_a_new_point_is_not_applied_by_a_reader_that_runs(checkpoint, point, lock_point):
    reader = load(checkpoint.folder)
    lock_point("threshold=0.3")
    assert len(read_points(reader.source)) == 2
    assert reader.read([Upload("1.png", png())]).to_dict()["point"]["id"] == point.id


def test_bad_files_are_named_and_the_others_read(checkpoint):
    reader = load(checkpoint.folder, limits=Limits(pixels=4_000))
    bomb = io.BytesIO()
    Image.new("L", (400, 400)).save(bomb, "png")
    uploads = [
        Upload("good.png", png()),
        Upload("empty.png", b""),
        Upload("text.png", b"not an image"),
        Upload("half.png", png()[:300]),
        Upload("bomb.png", bomb.getvalue()),
    ]
    answer = reader.read(uploads)
    assert [view.usable for view in answer.views] == [True, False, False, False, False]
    assert [view.code for view in answer.views][1:] == [
        "file-empty",
        "image-unreadable",
        "image-unreadable",
        "image-too-large",
    ]
    assert all(view.why for view in answer.views[1:]) and "4 radiographs of 5" in answer.why
    assert reader.read(uploads[1:]).score is None


def test_too_many_files_and_none_are_refused(checkpoint):
    reader = load(checkpoint.folder, limits=Limits(files=2))
    with refused("study-empty"):
        reader.read([])
    with refused("study-too-large", "3", "2"):
        reader.read([Upload(str(number), png()) for number in range(3)])


def dicom(**values) -> bytes:
    """A small DICOM radiograph with these values in its header."""
    from pydicom import dcmread

    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    dataset.Modality = "DX"
    for name, value in values.items():
        setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_a_study_of_two_patients_or_two_bones_is_refused(checkpoint):
    reader = load(checkpoint.folder)
    one = Upload("1", dicom(PatientID="A", BodyPartExamined="WRIST"))
    with refused("patients-mixed", "2"):
        reader.read([one, Upload("2", dicom(PatientID="B", BodyPartExamined="WRIST"))])
    with refused("studies-mixed", "2"):
        reader.read([one, Upload("2", dicom(PatientID="A", StudyInstanceUID="1.2.3", BodyPartExamined="WRIST"))])
    hand = Upload("2", dicom(PatientID="A", BodyPartExamined="HAND"))
    with refused("bones-mixed", "hand", "wrist"):
        reader.read([one, hand])
    answer = reader.read([one, hand], bone="wrist")
    assert [view.code for view in answer.views] == ["", "bone-other"]


def test_a_slice_of_another_modality_is_not_a_radiograph(checkpoint):
    answer = load(checkpoint.folder).read([Upload("1", dicom(Modality="CT"))])
    assert not answer.usable and "CT" in answer.views[0].why


def test_a_deflated_bomb_is_refused_without_unpacking_it(checkpoint):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    whole = dicom()
    from pydicom import dcmread

    dataset = dcmread(io.BytesIO(whole))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    deflated = buffer.getvalue()
    spec = load(checkpoint.folder).spec
    assert decode_view(Upload("1", deflated), spec).usable
    start = 144 + int.from_bytes(deflated[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflated[:start] + packer.compress(bytes(3_000_000)) + packer.flush()
    found = decode_view(Upload("1", bomb), spec, Limits(file_bytes=1_000_000))
    assert found.code == "file-too-large"


def test_a_point_that_was_withdrawn_is_no_longer_applied(checkpoint, point):
    reader, upload = load(checkpoint.folder), [Upload("1.png", png())]
    withdraw(reader.source, point.id, "chosen on the wrong split", "Ada")
    answer = reader.read(upload)
    assert answer.decision is None and "chosen on the wrong split" in answer.why and answer.score is not None
    assert load(checkpoint.folder).read(upload).decision is None
    with refused("operating-point-withdrawn"):
        load(checkpoint.folder, (point.id,))
