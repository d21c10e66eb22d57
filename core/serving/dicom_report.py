"""The answer for a study as DICOM objects in that study: a structured report (TID 1500), and its maps as pictures.

Patient, study and accession number are those of the sender; the series is new. UIDs follow from the input, the model
and the operating point, so the same study read again gives the same objects and is stored once.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from highdicom import sr
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from core.explain.map_record import MapRecord
from core.explain.overlay import overlay
from core.serving.answers import StudyAnswer
from core.serving.decoding import DecodedView, Upload
from core.version import VERSION

MANUFACTURER, SERIES = "Overread", "Overread, for research use only"
_SCHEME = "99OVERREAD"
_REPORT_SERIES, _PICTURE_SERIES = 9901, 9902
_DECISIONS = {
    "abnormal": sr.CodedConcept("263654008", "SCT", "Abnormal"),
    "normal": sr.CodedConcept("17621005", "SCT", "Normal"),
    "refer": sr.CodedConcept("refer", _SCHEME, "Refer to a reader"),
    None: sr.CodedConcept("none", _SCHEME, "No decision"),
}
_SCORE = sr.CodedConcept("score", _SCHEME, "Score of abnormal, 0 to 1")
_DECISION = sr.CodedConcept("decision", _SCHEME, "Decision at the operating point")
_FINDING = sr.CodedConcept("118247008", "SCT", "Radiologic finding")
_PROCEDURE = sr.CodedConcept("43468-8", "LN", "XR Unspecified body region Views")
_VERDICT = sr.CodedConcept("map-verdict", _SCHEME, "Verdict on the saliency map")
_VERDICTS = {
    "holds up": sr.CodedConcept("holds-up", _SCHEME, "Holds up"),
    "do not trust": sr.CodedConcept("do-not-trust", _SCHEME, "Do not trust"),
}
# Attributes that highdicom copies from the images; an image without one gets it empty.
_COPIED = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"]
_COPIED += ["AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber"]


@dataclass(frozen=True)
class ReadStudy:
    """A study that was sent and read: its images, their decoded views, the answer, and the maps by SHA-1."""

    images: tuple[Dataset, ...]
    views: tuple[DecodedView, ...]
    answer: StudyAnswer
    maps: dict[str, MapRecord]

    def uid(self, what: str, *more: str) -> str:
        """A UID that follows from the input, the model and the operating point."""
        point = self.answer.thresholds.to_dict() or {}
        hashes = sorted(view.digest for view in self.views)
        return generate_uid(entropy_srcs=[what, self.answer.model["digest"], point.get("id", ""), *hashes, *more])


def image_header(upload: Upload) -> Dataset:
    """The header of a DICOM image without its pixels, with what a report copies from it. DAMAGE for a damaged one."""
    header = dcmread(io.BytesIO(upload.data), stop_before_pixels=True, force=True)
    # pydicom reads a value when it is asked for it; damage must show here, and not while a report is made.
    header.get("Manufacturer")
    for name in _COPIED:
        header.get(name)
        if name not in header:
            setattr(header, name, None if name.endswith("Number") and name != "AccessionNumber" else "")
    return header


def is_own(header: Dataset) -> bool:
    """Whether Overread made the object, which must not be read again."""
    return str(header.get("Manufacturer") or "") == MANUFACTURER


def make_report(study: ReadStudy) -> Dataset:
    """The structured report of a study."""
    answer = study.answer
    groups = [_group(study, "study", answer.score, study.images, answer.decision)]
    for view, shown, image in zip(study.views, answer.views, study.images):
        if shown.usable:
            groups.append(_group(study, view.digest, shown.score, (image,), None, study.maps.get(view.sha1)))
    observer = sr.ObserverContext(
        codes.DCM.Device,
        sr.DeviceObserverIdentifyingAttributes(
            generate_uid(entropy_srcs=[MANUFACTURER, answer.model["digest"]]),
            MANUFACTURER,
            MANUFACTURER,
            answer.model["name"],
        ),
    )
    content = sr.MeasurementReport(
        sr.ObservationContext(observer_device_context=observer), _PROCEDURE, groups, codes.DCM.ImagingMeasurementReport
    )
    for text in comments(answer):
        content[0].ContentSequence.append(
            sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS)
        )
    return sr.EnhancedSR(
        evidence=list(study.images),
        content=content[0],
        series_instance_uid=study.uid("report series"),
        series_number=_REPORT_SERIES,
        sop_instance_uid=study.uid("report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        series_description=SERIES,
        software_versions=VERSION,
    )


def comments(answer: StudyAnswer) -> list[str]:
    """The sentences of a report: why, the guarantee, and each radiograph that was not used. No name of a file."""
    lines = ["For research use only.", answer.why]
    if answer.thresholds.points:
        lines.append(answer.thresholds.guarantee)
    for number, view in enumerate(answer.views, 1):
        if not view.usable:
            lines.append(f"Radiograph {number} of {len(answer.views)} was not used: {view.why}.")
    return lines


def _group(
    study: ReadStudy,
    what: str,
    score: float | None,
    images: Sequence[Dataset],
    decision: str | None,
    record: MapRecord | None = None,
) -> sr.MeasurementsAndQualitativeEvaluations:
    """The score of the study (with its decision) or of one radiograph (with the verdict on its map)."""
    whole = what == "study"
    evaluations = [sr.QualitativeEvaluation(_DECISION, _DECISIONS[decision])] if whole else []
    if record and record.verdict in _VERDICTS:
        evaluations.append(sr.QualitativeEvaluation(_VERDICT, _VERDICTS[record.verdict]))
    measured = [] if score is None else [sr.Measurement(_SCORE, round(score, 6), codes.UCUM.NoUnits)]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(study.uid("group", what), "Study" if whole else "Radiograph"),
        finding_type=_FINDING,
        algorithm_id=_algorithm(study.answer),
        measurements=measured or None,
        qualitative_evaluations=evaluations or None,
        source_images=[sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID) for image in images],
    )


def _algorithm(answer: StudyAnswer) -> sr.AlgorithmIdentification:
    point = answer.thresholds.to_dict()
    parameters = [f"weights: sha256 {answer.model['digest']}", f"precision: {answer.model['precision']}"]
    parameters.append(f"runtime: {answer.model['runtime']}")
    if point:
        parameters += [f"{key}: {point[key]}" for key in ("id", "threshold", "threshold_high", "rule", "aggregation")]
    return sr.AlgorithmIdentification(answer.model["name"], VERSION, parameters, manufacturer=MANUFACTURER)


def make_pictures(study: ReadStudy) -> list[Dataset]:
    """One secondary capture for each map: the radiograph, the map over it, and the verdict burnt in below."""
    made: list[Dataset] = []
    for number, (view, image) in enumerate(zip(study.views, study.images), 1):
        record = study.maps.get(view.sha1)
        if view.pixels is None or record is None or record.attribution is None:
            continue
        picture = hd.sc.SCImage.from_ref_dataset(
            image,
            draw_picture(view.pixels, record, study.answer),
            hd.PhotometricInterpretationValues.RGB,
            8,
            hd.CoordinateSystemNames.PATIENT,
            study.uid("picture series"),
            _PICTURE_SERIES,
            study.uid("picture", view.digest),
            number,
            MANUFACTURER,
            patient_orientation=("L", "F"),
        )
        # Often unknown, although highdicom requires a value above.
        picture.PatientOrientation = image.get("PatientOrientation")
        # Type 2C: present, and empty where the image names no side.
        picture.Laterality = image.get("Laterality") or image.get("ImageLaterality") or ""
        picture.SeriesDescription, picture.BurnedInAnnotation = SERIES, "NO"  # the pixels show no patient's name
        made.append(picture)
    return made


def draw_picture(pixels: np.ndarray, record: MapRecord, answer: StudyAnswer, side: int = 768) -> np.ndarray:
    """The radiograph with its map and the verdict below, uint8 [height, side, 3]."""
    film = Image.fromarray(pixels).convert("RGBA")
    if record.attribution is not None and record.verdict == "holds up":
        film.alpha_composite(Image.fromarray(overlay(record.attribution.map, "either way", least=0.1), "RGBA"))
    words = f"{record.key.method}: {record.verdict}, {record.why}."
    if record.verdict != "holds up":
        words += " The map is therefore not shown."
    lines = [*_wrapped(words, side), *_wrapped(f"{answer.model['name']} {answer.model['digest'][:8]}. {SERIES}.", side)]
    sheet = Image.new("RGB", (side, side + 24 * len(lines) + 16))
    sheet.paste(film.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, line in enumerate(lines):
        draw.text((8, side + 8 + 24 * number), line, (235, 235, 235), font)
    return np.asarray(sheet)


def _wrapped(text: str, side: int) -> list[str]:
    font, lines = ImageFont.load_default(18), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > side - 16 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def file_bytes(dataset: Dataset) -> bytes:
    """A DICOM object as a file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
