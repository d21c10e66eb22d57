"""What DICOM headers say of a folder's radiographs, as rows of an Index that name nobody."""

import hashlib
import hmac
import os
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.dicom import DAMAGE, words_of
from core.data.grey_levels import UnreadableImage
from core.errors import OverreadError
from core.paths import home

# Computed, digital and film-scanned radiography, and fluoroscopy's stills; a CT slice is no radiograph.
MODALITIES = {"CR", "DX", "DR", "RG", "MG", "RF", "XA", "PX", "IO"}
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


def facts(path: Path) -> dict:
    """What the header says of one file, as text: bone, view, modality, and the ids as they stand there.

    UnreadableImage where it is no radiograph. The ids are for `hidden` alone: nothing of them may be kept.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # force: a file without the preamble was told by its first element.
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            said = {name: str(dataset.get(name, "") or "").strip() for name in _TAGS}
    except OSError as error:
        raise UnreadableImage(path, (error.strerror or str(error)).lower()) from error
    except DAMAGE as error:
        raise UnreadableImage(path, f"its DICOM header is damaged ({words_of(error)})") from error
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


def _named_among(paths: list[str], said_of: dict[str, dict]) -> bool:
    """Whether one of these files, which are no DICOM, is named after a patient of the others."""
    people, text = {(said["name"], said["patient"]): said for said in said_of.values()}, "\n".join(paths)
    return any(names_somebody(text, said) for said in people.values())


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
            f"{file} cannot be used ({words_of(error)}); it hides the patients' ids. Restore it, or delete it: "
            "patients then get new ids."
        ) from error
    if len(found) < 16:
        raise OverreadError(f"{file} is cut off; restore it, or delete it: patients then get new ids.")
    return found


def frame_of(root: Path, files: list[str], labels: pd.DataFrame | None, stray: list[dict] = ()) -> "Rows":
    """Rows of an Index for DICOM files below `root`.

    Patients and studies get hidden ids. Where any path names a patient, every file gets a hidden path (`stray`, the
    {path, reason} of what else lies there, as well), and `links` holds the real place of each DICOM file. Labels are
    matched by path, SOPInstanceUID, StudyInstanceUID or AccessionNumber; without one a radiograph's label is unknown.
    """
    secret, lookup = salt(), _lookup(labels)
    said_of, left_out = {}, []
    for path in files:
        try:
            said_of[path] = facts(root / path)
        except UnreadableImage as error:
            left_out.append({"path": path, "reason": error.reason})
    links = {}
    others = [entry["path"] for entry in stray]
    if any(names_somebody(path, said) for path, said in said_of.items()) or _named_among(others, said_of):
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
    if links:
        stray = [{**row, "path": f"{hidden(row['path'], 'other', secret)}{Path(row['path']).suffix}"} for row in stray]
    frame = frame.astype({"label": "float64", "patient_id": "str", "view": "str"})
    return Rows(frame, left_out, list(stray), repeated, links)


@dataclass(frozen=True)
class Rows:
    """What a folder of DICOM gave: rows; {path, reason} of what was left out, stray or repeated; links to make."""

    frame: pd.DataFrame
    left_out: list[dict]
    stray: list[dict]
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
