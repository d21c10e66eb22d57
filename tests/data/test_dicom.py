"""DICOM: windowed pixels, pseudonyms in place of ids, and a row or a reason for every file."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from core.data.cache import pixel_cache
from core.data.dicom_rows import REGIONS, pseudonym, read_header, read_salt
from core.data.index import SourceTables, build_index, read_dataset, read_earlier_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.pixels import UnreadableImage, read_grey
from core.errors import OverreadError
from core.scores.import_frame import Columns
from core.scores.imports import imported_predictions
from core.workflows.import_scores import import_scores
from tests.refusals import refused

RAMP = np.linspace(0, 4095, 64 * 48).reshape(64, 48).astype(np.uint16)


def write(file, pixels=RAMP, syntax=ExplicitVRLittleEndian, **tags):
    """A computed radiograph of 12 bits with the given tags; None removes a tag."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax if syntax != RLELossless else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "WRIST", "PA"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "MRN-4711"
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    signed = pixels.dtype.kind == "i"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        8 * pixels.itemsize,
        8 * pixels.itemsize,
        8 * pixels.itemsize - 1,
    )
    dataset.PixelRepresentation = int(signed)
    big = syntax == ExplicitVRBigEndian
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        elif isinstance(value, DataElement):
            dataset[name] = value
        else:
            setattr(dataset, name, value)
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless],
)
def test_the_same_pixels_in_every_transfer_syntax(tmp_path, syntax):
    found = read_grey(write(tmp_path / "a.dcm", syntax=syntax))
    assert (found == read_grey(write(tmp_path / "b.dcm"))).all() and found.shape == (64, 48)


def test_real_files_in_four_encodings_give_the_same_radiograph(shared):
    folder = shared / "data" / "dicom"
    films = {name: read_grey(folder / f"RG3_{name}.dcm").astype(int) for name in ("J2KR", "J2KI", "explicit_le", "rle")}
    assert (films["J2KR"] == films["rle"]).all() and (films["J2KR"] == films["explicit_le"]).all()
    assert 0 < np.abs(films["J2KR"] - films["J2KI"]).max() <= 9  # lossy
    # The leg is bright on dark, inside the collimated part: MONOCHROME1 was inverted.
    leg = films["J2KR"]
    assert leg[300, 850] > 150 > 60 > leg[300, 500]


def test_monochrome1_is_inverted(tmp_path):
    plain = read_grey(write(tmp_path / "a.dcm", WindowCenter=2048, WindowWidth=4096))
    negative = read_grey(
        write(tmp_path / "b.dcm", WindowCenter=2048, WindowWidth=4096, PhotometricInterpretation="MONOCHROME1")
    )
    assert (plain.astype(int) + negative == 255).all() and plain[0, 0] == 0 and plain[-1, -1] == 255


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # By hand from PS3.3 C.11.2.1.2 and C.11.2.1.3, at centre 2000 and width 1000.
        (None, lambda x: np.clip((x - 1999.5) / 999 + 0.5, 0, 1)),
        ("LINEAR", lambda x: np.clip((x - 1999.5) / 999 + 0.5, 0, 1)),
        ("LINEAR_EXACT", lambda x: np.clip((x - 2000) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
    ],
)
def test_windows(tmp_path, function, expected):
    tags = {"VOILUTFunction": function} if function else {}
    found = read_grey(write(tmp_path / "a.dcm", WindowCenter=[2000, 1], WindowWidth=[1000, 2], **tags))
    assert np.abs(found - 255 * expected(RAMP.astype(float))).max() <= 0.51


def test_a_window_applies_to_rescaled_values(tmp_path):
    found = read_grey(
        write(tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3000, WindowWidth=2000)
    )
    assert np.abs(found - 255 * np.clip((2.0 * RAMP - 1000 - 2999.5) / 1999 + 0.5, 0, 1)).max() <= 0.51


def test_a_voi_lut_takes_precedence_over_a_window(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = (65535 - 16 * np.arange(4096)).astype("<u2").tobytes()
    found = read_grey(write(tmp_path / "a.dcm", VOILUTSequence=Sequence([table]), WindowCenter=2000, WindowWidth=10))
    assert np.abs(found - 255 * (65535 - 16 * RAMP.astype(float)) / 65535).max() <= 0.51


def test_without_a_window_the_range_excludes_the_padding(tmp_path):
    signed = (RAMP.astype(np.int16) // 4 - 500).astype(np.int16)
    padded = signed.copy()
    padded[:20] = -2000
    found = read_grey(write(tmp_path / "a.dcm", padded, PixelPaddingValue=-2000))
    assert (found[:20] == 0).all() and found[-1, -1] == 255 and found[20:].std() > 40
    inverted = read_grey(
        write(tmp_path / "b.dcm", padded, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1")
    )
    assert (inverted[:20] == 0).all()


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PixelData": None}, "without pixels"),
        ({"NumberOfFrames": 3}, "has 3 frames"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "its pixels are PALETTE COLOR"),
        ({"Rows": None}, "header lacks Rows"),
        ({"Rows": 50_000, "Columns": 50_000}, "more than the"),
        ({"PixelData": b"\0" * 100}, "cannot be decoded"),
    ],
)
def test_files_that_are_no_grey_radiograph_have_a_reason(tmp_path, tags, reason):
    with pytest.raises(UnreadableImage, match=reason):
        read_grey(write(tmp_path / "a.dcm", **tags))


def test_an_unknown_transfer_syntax_has_a_reason(tmp_path):
    file = write(tmp_path / "a.dcm")
    data = file.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")
    file.write_bytes(data)
    with pytest.raises(UnreadableImage, match="transfer syntax 1.2.840.10008.9.9.9"):
        read_grey(file)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_truncated_files_are_unreadable(tmp_path, syntax, workspace):
    whole = write(tmp_path / "a.dcm", syntax=syntax).read_bytes()
    (tmp_path / "cuts").mkdir()
    for cut in (133, 200, 400, len(whole) // 2, len(whole) - 7):
        file = tmp_path / "cuts" / f"{cut}.dcm"
        file.write_bytes(whole[:cut])
        with pytest.raises(UnreadableImage):
            read_grey(file)
    with refused("no-readable-radiograph"):
        build_index(tmp_path / "cuts")


def test_a_compressed_file_truncated_within_its_pixels_has_that_reason(tmp_path):
    file = write(tmp_path / "a.dcm", syntax=RLELossless)
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(UnreadableImage, match="it is truncated within its pixels"):
        read_grey(file)


@pytest.mark.parametrize("read", [read_grey, read_header])
def test_an_element_whose_length_does_not_fit_its_kind_is_named(tmp_path, read):
    file = write(tmp_path / "a.dcm")
    data = bytearray(file.read_bytes())
    if read is read_grey:
        place = data.index(b"\x28\x00\x10\x00US") + 6  # the rows, of two bytes
        data[place : place + 4] = b"\x03\x00" + bytes(2)
    else:
        data[140:144] = b"\x00\x00\x00\x00"
        data[138:140] = b"\x05\x00"  # the length of the file meta information, of four bytes
    file.write_bytes(data)
    with pytest.raises(UnreadableImage):
        read(file)


def test_pixels_of_a_kind_that_dicom_does_not_have_are_refused(tmp_path):
    file = write(tmp_path / "a.dcm")
    data = bytearray(file.read_bytes())
    place = data.index(b"\xe0\x7f\x10\x00OW") + 4
    data[place : place + 2] = b"OJ"
    file.write_bytes(data)
    with pytest.raises(UnreadableImage, match="header is damaged"):
        read_grey(file)


def test_a_truncated_frame_in_a_whole_file_gives_the_decoder_s_message(tmp_path):
    file = write(tmp_path / "a.dcm", syntax=RLELossless)
    dataset = dcmread(file)
    dataset.PixelData = encapsulate([next(generate_frames(dataset.PixelData, number_of_frames=1))[:2000]])
    dataset.save_as(file)
    with pytest.raises(UnreadableImage, match="decoded RLE segment data doesn't match"):
        read_grey(file)


def table_of(values, first=0, bits=12):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [len(values), first, bits], np.asarray(values).astype("<u2").tobytes()
    return Sequence([table])


def test_a_modality_lut_replaces_slope_and_intercept(tmp_path):
    found = read_grey(write(tmp_path / "a.dcm", ModalityLUTSequence=table_of(np.arange(4095, -1, -1))))
    assert (found == read_grey(write(tmp_path / "b.dcm", (4095 - RAMP).astype(np.uint16)))).all()


def test_a_lut_that_overstates_its_bits_does_not_darken_the_image(tmp_path):
    found = read_grey(write(tmp_path / "a.dcm", VOILUTSequence=table_of(np.arange(4096), bits=16)))
    assert np.abs(found - 255 * RAMP.astype(float) / 4095).max() <= 0.51


def test_a_lut_may_start_below_zero(tmp_path):
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    found = read_grey(write(tmp_path / "a.dcm", VOILUTSequence=table_of(np.arange(4096), first=64_536), **tags))
    assert np.abs(found - 255 * RAMP.astype(float) / 4095).max() <= 0.51


@pytest.mark.parametrize("window", [(100_000, 10), (2048, 0), (2048, -5), (-900, 1), ("", "")])
def test_a_window_outside_all_values_is_ignored(tmp_path, window):
    centre, width = window
    found = read_grey(write(tmp_path / "a.dcm", WindowCenter=centre, WindowWidth=width))
    assert (found == read_grey(write(tmp_path / "b.dcm"))).all() and found.std() > 60


def test_values_in_the_upper_bits_of_a_word_are_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 16, RAMP.shape)
    tags = {"BitsStored": 12, "HighBit": 15}
    found = read_grey(write(tmp_path / "a.dcm", ((RAMP << 4) | noise).astype(np.uint16), **tags))
    assert (found == read_grey(write(tmp_path / "b.dcm"))).all()


def test_old_files_without_a_preamble_are_read_and_indexed(tmp_path, workspace):
    for syntax, name in ((ExplicitVRLittleEndian, "meta"), (ImplicitVRLittleEndian, "implicit")):
        whole = write(tmp_path / "whole.dcm", syntax=syntax).read_bytes()
        (tmp_path / "old").mkdir(exist_ok=True)
        # With file meta information, and with the data set alone.
        start = 132 if name == "meta" else 132 + 12 + int.from_bytes(whole[140:144], "little")
        (tmp_path / "old" / name).write_bytes(whole[start:])
        assert (read_grey(tmp_path / "old" / name) == read_grey(tmp_path / "whole.dcm")).all()
    (tmp_path / "old" / "notes.txt").write_text("\x08 no DICOM")
    indexed = build_index(tmp_path / "old")
    assert len(indexed.frame) == 2 and [entry["path"] for entry in indexed.stray] == ["notes.txt"]


@pytest.fixture
def archive(tmp_path):
    """Two patients, one with two studies; a scan, a report, a text file, a copy."""
    root = tmp_path / "archive"
    study = generate_uid()
    write(root / "1" / "IM1", StudyInstanceUID=study)
    write(root / "1" / "IM2", StudyInstanceUID=study, ViewPosition="LL", ImageLaterality="R")
    write(root / "2" / "IM1.dcm", BodyPartExamined="EXTREMITY")
    write(root / "3" / "x", PatientID="other", PatientName="Roe^Richard")
    write(root / "scan", Modality="CT")
    write(root / "report", Modality="SR", PixelData=None)
    (root / "notes.txt").write_text("not DICOM")
    return root


def test_a_folder_of_dicom_is_indexed_by_content(archive, workspace):
    indexed = build_index(archive)
    frame = indexed.frame
    assert indexed.kind == "dicom" and len(frame) == 4
    assert sorted(frame["bone"]) == ["extremity", "wrist", "wrist", "wrist"] and frame["label"].isna().all()
    assert set(frame["view"].dropna()) == {"PA", "LL R"}
    assert frame["patient_id"].nunique() == 2 and frame["study_id"].nunique() == 3
    reasons = {entry["path"]: entry["reason"] for entry in indexed.unreadable}
    assert "its modality is CT" in reasons["scan"] and "its modality is SR" in reasons["report"]
    assert [entry["path"] for entry in indexed.stray] == ["notes.txt"]


def test_nothing_that_identifies_a_patient_is_stored(archive, workspace):
    write(archive / "DOE_JANE_MRN-4711" / "IM9")
    (archive / "DOE_JANE_MRN-4711" / "report of Jane Doe.pdf").write_bytes(b"%PDF")
    write_dataset("clinic", build_index(archive))
    dataset = read_dataset("clinic")
    kept = b"".join(
        file.read_bytes() for file in (workspace / "datasets").rglob("*") if file.is_file() and not file.is_symlink()
    )
    for secret in (b"Doe", b"DOE", b"Jane", b"JANE", b"MRN", b"4711", b"Roe", b"1.2.826"):
        assert secret not in kept, secret
    index = read_index("clinic")
    assert len(index) == 5
    # The radiographs can be read through links whose names identify nobody.
    assert pixel_cache(dataset, index, InputSpec(16)).failed == []
    assert (workspace / "dicom.salt").stat().st_mode & 0o077 == 0


def test_the_same_patient_keeps_the_same_id_and_another_workspace_gives_another(
    archive, workspace, tmp_path, monkeypatch
):
    first, again = build_index(archive).frame, build_index(archive).frame
    assert first["patient_id"].tolist() == again["patient_id"].tolist()
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path / "elsewhere"))
    assert not set(build_index(archive).frame["patient_id"]) & set(first["patient_id"])
    assert pseudonym("1", "p", b"a" * 16) != pseudonym("1", "s", b"a" * 16)


def test_a_truncated_salt_is_refused(archive, workspace):
    read_salt()
    (workspace / "dicom.salt").write_text("00ff")
    with refused("salt-unusable", "dicom.salt"):
        build_index(archive)


def test_labels_by_study_instance_and_path(archive, workspace, tmp_path):
    one = dcmread(archive / "1" / "IM1").StudyInstanceUID
    other = dcmread(archive / "3" / "x").SOPInstanceUID
    table = pd.DataFrame(
        {
            "StudyInstanceUID": [one, "", ""],
            "SOPInstanceUID": ["", other, ""],
            "path": ["", "", "2/IM1.dcm"],
            "label": ["1", "0", ""],
        }
    )
    table.to_csv(tmp_path / "given.csv", index=False)
    frame = build_index(archive, SourceTables(labels=tmp_path / "given.csv")).frame.set_index("path")
    assert frame["label"].fillna(-1).to_dict() == {"1/IM1": 1, "1/IM2": 1, "2/IM1.dcm": -1, "3/x": 0}
    table.drop(columns="path").to_csv(archive / "labels.csv", index=False)
    assert build_index(archive).frame["label"].notna().sum() == 3
    table.assign(label="perhaps").to_csv(tmp_path / "bad.csv", index=False)
    with refused("label-invalid", "'perhaps'"):
        build_index(archive, SourceTables(labels=tmp_path / "bad.csv"))
    table.drop(columns="label").to_csv(tmp_path / "none.csv", index=False)
    with refused("labels-column-missing", "SOPInstanceUID"):
        build_index(archive, SourceTables(labels=tmp_path / "none.csv"))


def test_a_manifest_that_lists_dicom_without_ids_takes_them_from_the_headers(archive, workspace):
    (archive / "labels.csv").write_text("path,label,bone\n1/IM1,1,wrist\n1/IM2,1,wrist\n2/IM1.dcm,0,elbow\n")
    indexed = build_index(archive)
    frame = indexed.frame.set_index("path")
    assert indexed.kind == "dicom" and len(frame) == 4 and "dicom-listed" in [note.code for note in indexed.notes]
    assert frame.loc["1/IM1", "study_id"] == frame.loc["1/IM2", "study_id"]
    assert frame["patient_id"].nunique() == 2 and frame.loc["2/IM1.dcm", "bone"] == "elbow"
    assert frame["label"].fillna(-1).to_dict() == {"1/IM1": 1, "1/IM2": 1, "2/IM1.dcm": 0, "3/x": -1}
    listed = build_index(archive / "labels.csv")  # the table itself: only what it lists
    assert listed.kind == "manifest" and len(listed.frame) == 3
    assert "dicom-headers-unused" in [note.code for note in listed.notes]


def test_a_manifest_of_dicom_with_ids_of_its_own_stays_one(archive, workspace):
    (archive / "labels.csv").write_text("path,label,bone,patient\n1/IM1,1,wrist,a\n2/IM1.dcm,0,elbow,b\n")
    indexed = build_index(archive)
    assert indexed.kind == "manifest" and indexed.frame["patient_id"].tolist() == ["a", "b"]
    assert not {"dicom-listed", "dicom-headers-unused"} & {note.code for note in indexed.notes}


def test_a_repeated_instance_is_a_conflict(archive, workspace):
    (archive / "copy").write_bytes((archive / "1" / "IM1").read_bytes())
    indexed = build_index(archive)
    assert len(indexed.frame) == 5
    assert [entry["path"] for entry in indexed.conflicts] == ["copy"] or "as copy" in json.dumps(indexed.conflicts)


def test_unchanged_dicom_is_not_read_again(archive, workspace):
    write_dataset("clinic", build_index(archive))
    before = read_earlier_index("clinic", archive)
    assert before is not None
    again = build_index(archive, earlier=before)
    assert again.changes == {"added": 0, "changed": 0, "unchanged": 4, "removed": 0}


def test_real_files_are_indexed(shared, workspace):
    indexed = build_index(shared / "data" / "dicom")
    # Four encodings of one radiograph, each with its own instance id; two radiographs of another patient.
    assert indexed.frame["patient_id"].nunique() == 2 and len(indexed.frame) == 6 and not indexed.unreadable
    assert set(indexed.frame["bone"]) == {"extremity", "cspine"}


SIGNED = np.linspace(-1500, 1500, 64 * 48).reshape(64, 48).astype(np.int16)


@pytest.mark.parametrize(
    ("value", "limit"),
    [((-2000, "SS"), None), ((63536, "US"), None), ((63536, "US"), (-1900, "SS")), ((63536, "US"), (63636, "US"))],
)
def test_padding_of_a_signed_radiograph_may_be_written_unsigned(tmp_path, value, limit):
    padded = SIGNED.copy()
    padded[:, :10] = -2000
    tags = {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit, "SmallestImagePixelValue": (63536, "US")}
    elements = {name: DataElement(name, vr, number) for name, (number, vr) in ((k, v) for k, v in tags.items() if v)}
    found = read_grey(write(tmp_path / "a.dcm", padded, **elements))
    plain = read_grey(write(tmp_path / "b.dcm", SIGNED[:, 10:]))
    assert (found[:, :10] == 0).all() and (found[:, 10:] == plain).all() and plain.max() == 255


@pytest.mark.parametrize("padding", [(-1, "SS"), (65535, "US")])
def test_padding_of_an_unsigned_radiograph_may_be_written_signed(tmp_path, padding):
    padded = RAMP.copy()
    padded[:, :10] = 65535
    element = DataElement("PixelPaddingValue", padding[1], padding[0])
    found = read_grey(write(tmp_path / "a.dcm", padded, PixelPaddingValue=element))
    assert (found[:, :10] == 0).all() and (found[:, 10:] == read_grey(write(tmp_path / "b.dcm", RAMP[:, 10:]))).all()


@pytest.mark.parametrize(
    ("code", "meaning", "bone"),
    [
        ("85562004", "Hand", "hand"),
        ("T-D8800", "Finger", "finger"),
        ("40983000", "Upper arm", "humerus"),
        ("X-1", "Left wrist joint", "wrist"),
        ("X-1", "Lower arm", "forearm"),
        ("X-1", "Radius and ulna", "forearm"),
        ("74670003", "Handgelenk", "wrist"),
        ("72696002", "Knee", "knee"),
        ("", "", "unknown"),
    ],
)
def test_the_anatomic_region_names_the_bone_where_the_body_part_is_missing(tmp_path, code, meaning, bone):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", meaning
    file = write(tmp_path / "a.dcm", BodyPartExamined=None, AnatomicRegionSequence=Sequence([item]))
    assert read_header(file)["bone"] == bone
    file = write(tmp_path / "b.dcm", BodyPartExamined="ELBOW", AnatomicRegionSequence=Sequence([item]))
    assert read_header(file)["bone"] == "elbow"


def test_codes_of_body_parts_are_those_of_the_standard():
    from pydicom.sr._snomed_dict import mapping

    for part, codes in REGIONS.items():
        assert [mapping["SCT"].get(code) for code in codes[::2]] == list(codes[1::2]), part


def jpeg_dicom(file, pixels, end: int | None = None, **options):
    """A radiograph of 8 bits in JPEG Baseline, its frame cut `end` bytes before its end marker and closed again."""
    frame = io.BytesIO()
    Image.fromarray(pixels).save(frame, "JPEG", **options)
    content = frame.getvalue() if end is None else frame.getvalue()[: -2 - end] + b"\xff\xd9"
    write(file, pixels)
    dataset = dcmread(file)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    dataset.PixelData = encapsulate([content])
    dataset.save_as(file)
    return file


def test_a_jpeg_frame_whose_data_end_early_is_unreadable(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 48)).astype(np.uint8)
    assert read_grey(jpeg_dicom(tmp_path / "a.dcm", pixels)).shape == (64, 48)
    for options in ({}, {"progressive": True}):
        with pytest.raises(UnreadableImage, match="truncated"):
            read_grey(jpeg_dicom(tmp_path / "b.dcm", pixels, 900, **options))


def test_a_twelve_bit_jpeg_decodes_and_a_cut_one_is_unreadable(shared, tmp_path):
    source = shared / "data/cases/41-dicom-jpeg-extended-12bit/a.dcm"
    grey = read_grey(source)
    # A whole-body bone scan: two thirds of it are background, and the head and the bladder are bright.
    assert grey.shape == (1024, 256) and grey.max() == 255 and 0.5 < (grey < 20).mean() < 0.9
    dataset = dcmread(source)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    for part in (0.5, 0.9):
        for end in (b"", b"\xff\xd9"):
            dataset.PixelData = encapsulate([frame[: int(len(frame) * part)] + end])
            dataset.save_as(tmp_path / "cut.dcm")
            with pytest.raises(UnreadableImage, match="truncated"):
                read_grey(tmp_path / "cut.dcm")
    assert np.array_equal(read_grey(source), grey)  # after damaged frames the decoder still works


@pytest.fixture
def uids(tmp_path, workspace):
    """An indexed folder of four studies of two views, and the table of its UIDs with a score."""
    rows = []
    for study in range(4):
        uid = generate_uid()
        for view in range(2):
            instance = generate_uid()
            write(
                tmp_path / f"dcm/e{study}{view}.dcm",
                RAMP + np.uint16(10 * study + view),
                StudyInstanceUID=uid,
                SOPInstanceUID=instance,
                PatientID=f"MRN-{study}",
            )
            rows.append((instance, uid, study % 2, 0.1 + 0.2 * study + 0.01 * view))
    write_dataset("dicom", build_index(tmp_path / "dcm"))
    return pd.DataFrame(rows, columns=["SOPInstanceUID", "StudyInstanceUID", "label", "score"])


@pytest.mark.parametrize("image", [True, False])
def test_scores_are_matched_by_uids_which_the_index_has_only_as_pseudonyms(tmp_path, uids, image):
    index = read_index("dicom")
    stored = index.to_csv()
    assert not any(uid in stored for uid in uids["SOPInstanceUID"]) and index["instance_uid"].is_unique
    table = uids if image else uids.drop_duplicates("StudyInstanceUID")
    table.sample(frac=1, random_state=3).to_csv(tmp_path / "scores.csv", index=False)
    columns = Columns("label", "score", "StudyInstanceUID", "SOPInstanceUID" if image else "", *([""] * 3))
    about = import_scores(tmp_path / "scores.csv", "other", columns, data="dicom")
    frame = imported_predictions(about).set_index("path").sort_index()
    assert (about.rows, about.studies, about.patients) == (8, 4, 4)
    expected = uids["score"] if image else uids.groupby("StudyInstanceUID", sort=False)["score"].transform("first")
    assert frame["probability"].tolist() == pytest.approx(expected.tolist(), abs=1e-15)
    assert set(frame["image_id"]) == set(index["image_id"]) and set(frame["study_id"]) == set(index["study_id"])
    assert not any(uid in frame.to_csv() for uid in uids["StudyInstanceUID"])


def test_uids_of_other_radiographs_match_nothing(tmp_path, uids):
    uids.assign(SOPInstanceUID=[generate_uid() for _ in range(8)]).to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(OverreadError, match="none of the 8"):
        import_scores(tmp_path / "scores.csv", "other", Columns("label", "score", image="SOPInstanceUID"), data="dicom")


def test_splits_of_a_table_of_labels_are_used_whole_or_refused(tmp_path, uids):
    table = uids[["SOPInstanceUID", "label"]].assign(split="")
    table["split"] = ["train"] * 4 + ["val", "Validation", "valid", "valid"]
    file = tmp_path / "l.csv"
    table.to_csv(file, index=False)
    frame = build_index(tmp_path / "dcm", SourceTables(labels=file)).frame
    assert frame["split"].tolist() == ["train"] * 4 + ["valid"] * 4
    table.head(6).to_csv(file, index=False)
    with refused("split-lost", "2 of 8 radiographs", "e30.dcm"):
        build_index(tmp_path / "dcm", SourceTables(labels=file))
    table.assign(split="dev").to_csv(file, index=False)
    with refused("rows-invalid", "8 of 8 rows", "row 2: 'dev'"):
        build_index(tmp_path / "dcm", SourceTables(labels=file))
