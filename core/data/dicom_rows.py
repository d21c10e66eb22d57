"""Rows of an Index from DICOM headers, with pseudonyms in place of the patients' names and ids."""

import hashlib
import hmac
import os
import re
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from core.data.dicom import DAMAGE, decoder_message
from core.data.dicom_columns import HEADER_COLUMNS, header_columns
from core.data.dicom_identities import patient_keys, study_parts
from core.data.joins import JoinReport
from core.data.label_table import GivenLabels, LabelTable, give_labels
from core.data.missing import is_missing
from core.data.notes import Note
from core.data.unreadable import UnreadableImage
from core.errors import OverreadError
from core.paths import home

# Computed, digital and scanned-film radiography, and single images of fluoroscopy; a CT slice is not a radiograph.
MODALITIES = {"CR", "DX", "DR", "RG", "MG", "RF", "XA", "PX", "IO"}
# Our name of each body part of DICOM.
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
    "UPPERARM": "humerus",
    "LOWERARM": "forearm",
    "SHOULDER": "shoulder",
    "CLAVICLE": "clavicle",
}
# Body parts of DICOM PS3.16, CID 4009 and 4031, by their codes in SNOMED CT and in the older SRT.
REGIONS = {
    "HAND": ("85562004", "T-D8700"),
    "FINGER": ("7569003", "T-D8800"),
    "THUMB": ("76505004", "T-D8810"),
    "WRIST": ("74670003", "T-15460", "8205005", "T-D8600"),
    "FOREARM": ("14975008", "T-D8500"),
    "ELBOW": ("16953009", "T-15430"),
    "HUMERUS": ("85050009", "T-12410"),
    "ARM": ("40983000", "T-D8200"),
    "SHOULDER": ("16982005", "T-D2220"),
    "CLAVICLE": ("51299004", "T-12310"),
}
_REGION_OF = {code: part for part, codes in REGIONS.items() for code in codes}
# Words of a region's name beside the body part.
_ASIDE = {"LEFT", "RIGHT", "JOINT", "REGION", "STRUCTURE", "ENTIRE", "BONE", "OF", "AND", "THE"}
_TAGS = (
    "Modality",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "PatientID",
    "PatientName",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "AccessionNumber",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "Manufacturer",
    "ManufacturerModelName",
)


def read_header(path: Path | BinaryIO) -> dict:
    """Bone, view, modality, ids and HEADER_COLUMNS from the header of one file (its path, or opened), as text.

    UnreadableImage if it is not a radiograph.

    The ids identify the patient: they may only be passed to `pseudonym`, and must not be stored.
    """
    from pydicom import dcmread

    name = path if isinstance(path, Path) else "the file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # force: is_dicom has recognised a file without the preamble by its first element.
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            tags = {name: str(dataset.get(name, "") or "").strip() for name in _TAGS}
            region = _region(dataset)
            tags = {name: "" if is_missing(text) else text for name, text in tags.items()}
    except OSError as error:
        raise UnreadableImage(name, (error.strerror or str(error)).lower()) from error
    except DAMAGE as error:
        raise UnreadableImage(name, f"its DICOM header is damaged ({decoder_message(error)})") from error
    modality = tags["Modality"].upper()
    if modality not in MODALITIES:
        raise UnreadableImage(
            name, f"its modality is {modality or 'missing'}; expected a radiograph ({', '.join(sorted(MODALITIES))})"
        )
    part = "".join(tags["BodyPartExamined"].upper().split()) or region
    side = (tags["ImageLaterality"] or tags["Laterality"]).upper()
    view = " ".join(word for word in (tags["ViewPosition"].upper(), side) if word)
    return {
        "bone": BONES.get(part, part.lower() or "unknown"),
        "view": view or None,
        "modality": modality,
        "patient": tags["PatientID"],
        "issuer": tags["IssuerOfPatientID"],
        "name": tags["PatientName"],
        "study": tags["StudyInstanceUID"],
        "instance": tags["SOPInstanceUID"],
        "accession": tags["AccessionNumber"],
        "birth": tags["PatientBirthDate"],
        **{name: tags[tag] for name, tag in HEADER_COLUMNS.items()},
    }


def _region(dataset) -> str:
    """The body part that the AnatomicRegionSequence names by its code, else by its words; '' without one."""
    items = dataset.get("AnatomicRegionSequence") or []
    for item in items:
        if code := _REGION_OF.get(str(item.get("CodeValue") or "").strip().upper()):
            return code
    for item in items:
        meaning = str(item.get("CodeMeaning") or "").upper()
        words = [word for word in re.findall(r"[^\W\d_]+", meaning) if word not in _ASIDE]
        if words:
            return next((name for name in ("".join(words), *words) if name in BONES), "".join(words))
    return ""


def names_patient(path: str, header: dict) -> bool:
    """Whether a path contains the patient's name or id, as in folders exported from an archive."""
    low = path.lower()
    words = [word for word in header["name"].replace("^", " ").replace("=", " ").lower().split() if len(word) > 2]
    return any(word in low for word in words) or (len(header["patient"]) > 2 and header["patient"].lower() in low)


def _any_names_patient(paths: list[str], headers: dict[str, dict]) -> bool:
    """Whether one of these files, which are not DICOM, is named after a patient of the DICOM files."""
    people, text = {(header["name"], header["patient"]): header for header in headers.values()}, "\n".join(paths)
    return any(names_patient(text, header) for header in people.values())


def pseudonym(text: str, kind: str, salt: bytes) -> str:
    """`kind` and 12 hexadecimal digits in place of an id: HMAC-SHA-256 with the salt."""
    return f"{kind}{hmac.new(salt, f'{kind}:{text}'.encode(), hashlib.sha256).hexdigest()[:12]}"


def read_salt() -> bytes:
    """The workspace's secret, created once and readable only by its owner, so that a patient keeps one pseudonym.

    OverreadError where it is damaged.
    """
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
            f"{file} cannot be used ({decoder_message(error)}); patients' pseudonyms are made with it. Restore it, "
            "or delete it: patients then get new pseudonyms.",
            code="salt-unusable",
        ) from error
    if len(found) < 16:
        raise OverreadError(
            f"{file} is truncated. Restore it, or delete it: patients then get new pseudonyms.", code="salt-unusable"
        )
    return found


def read_rows(root: Path, files: list[str], labels: LabelTable | None, stray: Sequence[dict] = ()) -> "DicomRows":
    """Rows of an Index for DICOM files below `root`. stray: {path, reason} of the other files there.

    Patients and studies get pseudonyms. If any path names a patient, every file gets a pseudonym as its path, and
    `links` has the real path of each DICOM file. A radiograph that no row of `labels` names has no label.
    """
    secret = read_salt()
    headers, left_out = {}, []
    for path in files:
        try:
            headers[path] = read_header(root / path)
        except UnreadableImage as error:
            left_out.append({"path": path, "reason": error.reason})
    links = {}
    others = [entry["path"] for entry in stray]
    if any(names_patient(path, header) for path, header in headers.items()) or _any_names_patient(others, headers):
        links = {f"{pseudonym(path, 'file', secret)}.dcm": path for path in files}
    shown = {real: name for name, real in links.items()}
    names, found = [shown.get(path, path) for path in headers], list(headers.values())
    given = give_labels(names, list(headers), found, labels) if labels and found else GivenLabels([{}] * len(names))
    frame, notes = _frame(names, found, given.facts, secret)
    further = [] if given.further is None else [given.further]
    of_headers, more = header_columns(found, [name for columns in further for name in columns])
    frame, notes = pd.concat([frame, *further, of_headers], axis=1), notes + more
    conflicts, table = _repeated(names, found), labels.name if labels else ""
    conflicts += [
        {"path": names[at], "reason": f"rows of {table} give it both labels; it counts as unlabelled"}
        for at in given.contradicting
    ]
    left_out = [{**row, "path": shown.get(row["path"], row["path"])} for row in left_out]
    if links:
        stray = [
            {**row, "path": f"{pseudonym(row['path'], 'other', secret)}{Path(row['path']).suffix}"} for row in stray
        ]
    joins = [given.joined.report] if given.joined else []
    return DicomRows(frame, left_out, list(stray), conflicts, links, joins, [*given.notes, *notes])


@dataclass(frozen=True)
class DicomRows:
    """Rows of a folder of DICOM; {path, reason} of files left out, stray or in doubt; links {shown path: real path};
    what joining the labels did; notes on labels, patients and studies."""

    frame: pd.DataFrame
    left_out: list[dict]
    stray: list[dict]
    conflicts: list[dict]
    links: dict[str, str]
    joins: list[JoinReport]
    notes: list[Note]


def _frame(names: list[str], headers: list[dict], given: list[dict], secret: bytes) -> tuple[pd.DataFrame, list[Note]]:
    """The rows of an Index, and notes on patients and studies."""
    patients, notes = patient_keys(headers)
    bones = [facts.get("bone") or header["bone"] for facts, header in zip(given, headers)]
    parts, bones, more = study_parts(headers, bones)
    rows = [
        {
            "path": name,
            "image_id": name,
            "bone": bone,
            "label": given[at].get("label", np.nan),
            "patient_id": pseudonym(patients[at], "p", secret) if patients[at] else None,
            "study_id": f"{pseudonym(header['study'], 's', secret)}{parts[at]}" if header["study"] else name,
            "view": given[at].get("view") or header["view"],
            "modality": header["modality"],
            # Pseudonyms of DICOM's UIDs, by which tables of scores are matched.
            "instance_uid": pseudonym(header["instance"], "i", secret) if header["instance"] else None,
            "study_uid": pseudonym(header["study"], "s", secret) if header["study"] else None,
            "split": given[at].get("split"),
        }
        for at, (name, header, bone) in enumerate(zip(names, headers, bones))
    ]
    columns = ["path", "image_id", "bone", "label", "patient_id", "study_id", "view", "modality"]
    columns += ["instance_uid", "study_uid"]
    frame = pd.DataFrame(rows, columns=[*columns, "split"])
    if frame["split"].isna().any() or frame.empty:
        frame = frame[columns]
    return frame.astype(
        {"label": "float64", "patient_id": "str", "view": "str", "instance_uid": "str", "study_uid": "str"}
    ), notes + more


def _repeated(names: list[str], headers: list[dict]) -> list[dict]:
    seen: dict[str, str] = {}
    firsts = [seen.setdefault(header["instance"] or name, name) for name, header in zip(names, headers)]
    return [
        {"path": name, "reason": f"the same SOP instance as {first}"}
        for name, first in zip(names, firsts)
        if first != name
    ]
