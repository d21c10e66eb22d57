"""DICOM radiographs: pixels as they are meant to be seen, and what the header says of them without naming anybody.

Names follow DICOM PS3.3; the grey pipeline is C.11.1 (modality) and C.11.2 (values of interest).
"""

import hashlib
import hmac
import io
import os
import secrets
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.pixels import MOST_PIXELS, UnreadableImage, eight_bits
from core.errors import OverreadError
from core.paths import home

# Computed, digital and film-scanned radiography, and fluoroscopy's stills; a CT slice is no radiograph.
MODALITIES = {"CR", "DX", "DR", "RG", "MG", "RF", "XA", "PX", "IO"}
GREY = {"MONOCHROME1", "MONOCHROME2"}
# DICOM's words for a body part, where they are not ours already.
BONES = {
    "HAND": "hand",
    "FINGER": "finger",
    "THUMB": "finger",
    "WRIST": "wrist",
    "FOREARM": "forearm",
    "RADIUSULNA": "forearm",
    "ELBOW": "elbow",
    "HUMERUS": "humerus",
    "ARM": "humerus",
    "SHOULDER": "shoulder",
    "CLAVICLE": "clavicle",
}
# What pydicom and its decoders raise on damaged files: whatever their parsing happens to meet.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,  # NotImplementedError is one
    MemoryError,
    struct.error,
)
_TAGS = (
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "PatientID",
    "PatientName",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "AccessionNumber",
)


def is_dicom(data: bytes) -> bool:
    """Whether these bytes start like a DICOM file: a preamble of 128 bytes, then DICM."""
    return data[128:132] == b"DICM"


def looks_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM, from its first 132 bytes. OSError where it cannot be opened."""
    with open(path, "rb") as file:
        return is_dicom(file.read(132))


def read_grey(path: Path, data: bytes) -> np.ndarray:
    """The radiograph as uint8 [height, width], bright where the beam was stopped. UnreadableImage says why not.

    Rescale slope and intercept (or the modality LUT), then the VOI LUT, else the first window, else the image's own .5
    and 99.5 percentiles without its padding; MONOCHROME1 is inverted.
    """
    from pydicom.pixels import apply_modality_lut, pixel_array

    dataset = _header(path, data)
    _check(path, dataset)
    try:
        with warnings.catch_warnings():
            # What pydicom only warns of and repairs (a value of the wrong kind in another tag) is no concern here.
            warnings.simplefilter("ignore")
            stored = pixel_array(dataset)
            levels = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
            grey = _seen(levels, dataset, _padding(stored, dataset))
    except _DAMAGE as error:
        raise UnreadableImage(path, f"its pixels cannot be decoded ({_first(error)})") from error
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _header(path: Path, data: bytes):
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dcmread(io.BytesIO(data))
    except InvalidDicomError as error:
        raise UnreadableImage(path, "it is not a DICOM file") from error
    except _DAMAGE as error:
        raise UnreadableImage(path, f"its DICOM header is damaged ({_first(error)})") from error


def _check(path: Path, dataset) -> None:
    """UnreadableImage where these are no pixels of one grey radiograph."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableImage(path, "it is a DICOM file without pixels")
    if syntax is None:
        raise UnreadableImage(path, "it does not say its transfer syntax, so its pixels cannot be read")
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise UnreadableImage(path, f"its transfer syntax {syntax} is not known")
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        height, width = int(dataset.Rows), int(dataset.Columns)
        kind = str(dataset.PhotometricInterpretation)
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableImage(path, f"its DICOM header lacks what pixels need ({_first(error)})") from error
    if frames != 1:
        raise UnreadableImage(path, f"it holds {frames} frames; a radiograph is one")
    if kind not in GREY:
        raise UnreadableImage(path, f"its pixels are {kind}; expected grey (MONOCHROME1 or MONOCHROME2)")
    if height * width > MOST_PIXELS:
        raise UnreadableImage(path, f"{width} x {height} pixels, more than the {MOST_PIXELS:,} a radiograph may have")


def _padding(stored: np.ndarray, dataset) -> np.ndarray | None:
    """Where the frame was filled up: bool like the pixels, or None."""
    first, last = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if first is None:
        return None
    first, last = int(first), int(first if last is None else last)
    inside = (stored >= min(first, last)) & (stored <= max(first, last))
    return inside if inside.any() and not inside.all() else None


def _seen(levels: np.ndarray, dataset, padding: np.ndarray | None) -> np.ndarray:
    """0..255 by the values of interest; padding as dark as the ground is."""
    table = dataset.get("VOILUTSequence")
    if table and "LUTData" in table[0]:
        from pydicom.pixels import apply_voi

        bits = int(table[0].LUTDescriptor[2])
        grey = apply_voi(levels.astype(np.int64), dataset).astype(np.float32) * (255 / (2**bits - 1))
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        grey = _window(levels, _number(dataset.WindowCenter), _number(dataset.WindowWidth), _function(dataset))
    else:
        grey = eight_bits(levels, levels if padding is None else levels[~padding]).astype(np.float32)
    if padding is not None:
        grey = np.where(padding, 255.0 if dataset.PhotometricInterpretation == "MONOCHROME1" else 0.0, grey)
    return np.clip(grey + 0.5, 0, 255).astype(np.uint8)


def _window(levels: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0..255."""
    if function == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (levels - centre) / max(width, 1e-6)))
    if function == "LINEAR_EXACT":
        return np.clip((levels - centre) / max(width, 1e-6) + 0.5, 0, 1) * 255
    # A width of 1 is a step: below the centre black, from it on white.
    return np.clip((levels - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1) * 255


def _function(dataset) -> str:
    return str(dataset.get("VOILUTFunction") or "LINEAR").upper()


def _number(value) -> float:
    """The first of one or several."""
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def facts(path: Path) -> dict:
    """What the header says of one file, as text: bone, view, modality, and the ids as they stand there.

    UnreadableImage where it is no radiograph. The ids are for `hidden` alone: nothing of them may be kept.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            said = {name: str(dataset.get(name, "") or "").strip() for name in _TAGS}
    except OSError as error:
        raise UnreadableImage(path, (error.strerror or str(error)).lower()) from error
    except _DAMAGE as error:
        raise UnreadableImage(path, f"its DICOM header is damaged ({_first(error)})") from error
    modality = said["Modality"].upper()
    if modality not in MODALITIES:
        raise UnreadableImage(
            path, f"its modality is {modality or 'not given'}; expected a radiograph ({', '.join(sorted(MODALITIES))})"
        )
    part = "".join(said["BodyPartExamined"].upper().split())
    side = (said["ImageLaterality"] or said["Laterality"]).upper()
    view = " ".join(word for word in (said["ViewPosition"].upper(), side) if word)
    return {
        "bone": BONES.get(part, part.lower() or "unknown"),
        "view": view or None,
        "modality": modality,
        "patient": said["PatientID"],
        "issuer": said["IssuerOfPatientID"],
        "name": said["PatientName"],
        "study": said["StudyInstanceUID"],
        "instance": said["SOPInstanceUID"],
        "accession": said["AccessionNumber"],
    }


def names_somebody(path: str, said: dict) -> bool:
    """Whether a path holds the patient's name or id, as folders exported from an archive often do."""
    low = path.lower()
    words = [word for word in said["name"].replace("^", " ").replace("=", " ").lower().split() if len(word) > 2]
    return any(word in low for word in words) or (len(said["patient"]) > 2 and said["patient"].lower() in low)


def hidden(text: str, kind: str, salt: bytes) -> str:
    """A name of 12 hexadecimal digits that stands for an id and does not give it away: HMAC-SHA-256 with the salt."""
    return f"{kind}{hmac.new(salt, f'{kind}:{text}'.encode(), hashlib.sha256).hexdigest()[:12]}"


def salt() -> bytes:
    """The workspace's secret, made once and readable by its owner alone: the same patient keeps the same hidden id."""
    file = home() / "dicom.salt"
    try:
        home().mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w") as opened:
                opened.write(secrets.token_hex(32))
        found = bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be used ({_first(error)}); it hides the patients' ids. Restore it, or delete it: "
            "patients then get new ids."
        ) from error
    if len(found) < 16:
        raise OverreadError(f"{file} is cut off; restore it, or delete it: patients then get new ids.")
    return found


def frame_of(root: Path, files: list[str], labels: pd.DataFrame | None) -> "Rows":
    """Rows of an Index for DICOM files below `root`.

    Patients and studies get hidden ids. Where any path names a patient, every file gets a hidden path, and `links`
    holds its real place. Labels are matched by path, SOPInstanceUID, StudyInstanceUID or AccessionNumber; without one a
    radiograph's label is unknown.
    """
    secret, lookup = salt(), _lookup(labels)
    said_of, left_out = {}, []
    for path in files:
        try:
            said_of[path] = facts(root / path)
        except UnreadableImage as error:
            left_out.append({"path": path, "reason": error.reason})
    links = {}
    if any(names_somebody(path, said) for path, said in said_of.items()):
        links = {f"{hidden(path, 'file', secret)}.dcm": path for path in files}
    shown = {real: name for name, real in links.items()}
    rows, seen, repeated = [], {}, []
    for path, said in said_of.items():
        name = shown.get(path, path)
        rows.append(_row(name, said, next((lookup[key] for key in _keys(path, said) if key in lookup), {}), secret))
        first = seen.setdefault(said["instance"] or name, name)
        if first != name:
            repeated.append({"path": name, "reason": f"the same SOP instance as {first}"})
    columns = ["path", "image_id", "bone", "label", "patient_id", "study_id", "view", "modality"]
    frame = pd.DataFrame(rows, columns=[*columns, "split"])
    if frame["split"].isna().any() or frame.empty:
        frame = frame[columns]
    left_out = [{**row, "path": shown.get(row["path"], row["path"])} for row in left_out]
    return Rows(frame.astype({"label": "float64", "patient_id": "str", "view": "str"}), left_out, repeated, links)


@dataclass(frozen=True)
class Rows:
    """What a folder of DICOM gave: rows; {path, reason} of what was left out or repeated; links to make."""

    frame: pd.DataFrame
    left_out: list[dict]
    repeated: list[dict]
    links: dict[str, str]


def _row(name: str, said: dict, given: dict, secret: bytes) -> dict:
    patient = f"{said['issuer']}|{said['patient']}" if said["patient"] else ""
    return {
        "path": name,
        "image_id": name,
        "bone": given.get("bone") or said["bone"],
        "label": given.get("label", np.nan),
        "patient_id": hidden(patient, "p", secret) if patient else None,
        "study_id": hidden(said["study"], "s", secret) if said["study"] else name,
        "view": given.get("view") or said["view"],
        "modality": said["modality"],
        "split": given.get("split") or None,
    }


_KEYS = {"path": "path", "sopinstanceuid": "instance", "studyinstanceuid": "study", "accessionnumber": "accession"}


def _keys(path: str, said: dict) -> list[tuple[str, str]]:
    return [("path", path), *[(name, said[name]) for name in ("instance", "study", "accession") if said[name]]]


def _lookup(labels: pd.DataFrame | None) -> dict:
    """{(kind, key): what a label table says}. OverreadError where it has no key, no label, or a label that is none."""
    if labels is None:
        return {}
    names = {"".join(str(name).lower().split()).replace("_", ""): name for name in labels.columns}
    keys = [(kind, names[name]) for name, kind in _KEYS.items() if name in names]
    if not keys or "label" not in names:
        raise OverreadError(
            f"The labels have the columns {', '.join(map(str, labels.columns))}; expected label, and one of path, "
            "SOPInstanceUID, StudyInstanceUID, AccessionNumber. Rename the columns."
        )
    known = {"": np.nan, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
    text = labels.astype("str").where(labels.notna(), "")
    if bad := sorted(set(text[names["label"]].str.strip()) - set(known)):
        raise OverreadError(
            f"The labels hold {bad[0]!r}; expected 1 (abnormal), 0 (normal) or nothing. Mend that column."
        )
    found = {}
    for _, row in text.iterrows():
        facts_of = {name: row[names[name]].strip().lower() for name in ("bone", "split", "view") if name in names}
        for kind, column in keys:
            if row[column]:
                found[(kind, row[column].strip())] = {"label": known[row[names["label"]].strip()], **facts_of}
    return found


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:140].rstrip(".")
