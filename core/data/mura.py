"""Stanford's MURA layout: `<split>/XR_<BONE>/patient<n>/study<n>_<positive|negative>/image<n>.png`, and its CSVs."""

import csv
import os
import re
from operator import attrgetter, itemgetter
from pathlib import Path

import pandas as pd

_STUDY = re.compile(r"(study[^_/]+)_(positive|negative)", re.IGNORECASE)
IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"}
SPLITS = ("train", "valid", "test")


def mura_root(source: Path) -> Path | None:
    """The folder that holds train/ and valid/ with XR_ folders: `source` or its MURA-v1.1. None where neither does."""
    for root in (source, source / "MURA-v1.1"):
        if any((root / split).is_dir() and any((root / split).glob("XR_*")) for split in SPLITS):
            return root
    return None


def walk(root: Path) -> tuple[list[dict], list[dict]]:
    """Every radiograph of the tree (path, split, bone, patient, study, label), and every stray file with its reason.

    A folder that may not be read, or that is a link, is stray as a whole.
    """
    rows, stray, top = [], [], str(root)
    # A tree need not have all three. Text and not paths: there are as many folders as studies.
    waiting = [split for split in reversed(SPLITS) if (root / split).is_dir()]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(os.path.join(top, place)) as found:
                entries = sorted(found, key=attrgetter("name"))
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            stray.append(_stray(place, f"the folder cannot be read ({said}); permit reading it and index again"))
            continue
        inner = []
        for entry in entries:
            path = f"{place}/{entry.name}"
            if entry.is_symlink() and os.path.isdir(entry.path):
                real = _printable(os.path.realpath(entry.path))
                stray.append(_stray(path, f"a linked folder, and links are not followed; put {real} in its place"))
            elif entry.is_dir(follow_symlinks=False):
                inner.append(path)
            else:
                row = _row(place, entry.name)
                (stray if "reason" in row else rows).append(row)
        waiting += reversed(inner)
    return rows, stray


def csv_conflicts(root: Path, rows: list[dict]) -> list[dict]:
    """Where the CSV pairs and the folders disagree: {path, reason}. A pair that is absent is no conflict."""
    conflicts = []
    for split in SPLITS:
        own = [row for row in rows if row["split"] == split]
        for name, compare in (
            (f"{split}_image_paths.csv", _path_conflicts),
            (f"{split}_labeled_studies.csv", _label_conflicts),
        ):
            try:
                lines = _lines(root / name)
            except (OSError, csv.Error) as error:
                said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                reason = f"it could not be read ({said}), so the folders were not held against it; mend or remove it"
                conflicts.append({"path": name, "reason": reason})
                continue
            conflicts += compare(name, lines, own)
    return conflicts


def frame_of(rows: list[dict]) -> pd.DataFrame:
    """The rows as a frame with the columns of an Index that the tree alone knows."""
    frame = pd.DataFrame(rows, columns=["path", "split", "bone", "patient_id", "study", "label"])
    parts = [frame["split"], frame["bone"], frame["patient_id"], frame["study"]]
    frame["study_id"] = parts[0].str.cat(parts[1:], sep="/")
    frame["image_id"] = frame["path"]
    frame["view"] = None
    return frame.drop(columns="study")


def _path_conflicts(name: str, lines: list[list[str]], rows: list[dict]) -> list[dict]:
    listed, present = {_below(line[0]) for line in lines}, {row["path"] for row in rows}
    if not listed:
        return []
    lacking = [{"path": path, "reason": f"{name} lists it, the folder does not hold it"} for path in listed - present]
    unnamed = [{"path": path, "reason": f"the folder holds it, {name} does not list it"} for path in present - listed]
    return sorted(lacking, key=itemgetter("path")) + sorted(unnamed, key=itemgetter("path"))


def _label_conflicts(name: str, lines: list[list[str]], rows: list[dict]) -> list[dict]:
    labels = {os.path.dirname(row["path"]): int(row["label"]) for row in rows}
    said = [(_below(line[0]).rstrip("/"), line[1].strip()) for line in lines if len(line) > 1]
    listed = {study for study, _ in said}
    if not listed:
        return []
    wrong = [
        {"path": study, "reason": f"{name} says {label!r}, the folder's name says {labels[study]}"}
        for study, label in said
        if study in labels and label != str(labels[study])
    ]
    lacking = [
        {"path": study, "reason": f"{name} lists it, the folder does not hold it"} for study in listed - set(labels)
    ]
    unnamed = [
        {"path": study, "reason": f"the folder holds it, {name} does not list it"} for study in set(labels) - listed
    ]
    return [*wrong, *sorted(lacking, key=itemgetter("path")), *sorted(unnamed, key=itemgetter("path"))]


def _stray(path: str, reason: str) -> dict:
    return {"path": _printable(path), "reason": reason}


def _printable(path: str) -> str:
    # Bytes of a name that are not UTF-8 come from the system as lone surrogates, which no table or page can hold.
    return path.encode("utf-8", "backslashreplace").decode()


def _row(place: str, name: str) -> dict:
    path, parts = f"{place}/{name}", place.split("/")
    if not path.isascii() and path != _printable(path):
        return _stray(path, "its name, or that of a folder it lies in, is not UTF-8; rename it")
    if name.startswith("."):
        return {"path": path, "reason": "a side file of an operating system, not a radiograph"}
    if len(parts) != 4 or not parts[1].upper().startswith("XR_"):
        return {"path": path, "reason": "expected <split>/XR_<BONE>/<patient>/<study>_<positive or negative>/<image>"}
    if not (study := _STUDY.fullmatch(parts[3])):
        return {"path": path, "reason": f"its study folder {parts[3]!r} says neither positive nor negative"}
    if os.path.splitext(name)[1].lower() not in IMAGE_ENDINGS:
        return {"path": path, "reason": f"its ending is not one of {', '.join(sorted(IMAGE_ENDINGS))}"}
    return {
        "path": path,
        "split": parts[0],
        "bone": parts[1][3:].lower(),
        # Two spellings of one folder are one patient, on whatever side each lies.
        "patient_id": parts[2].lower(),
        "study": study[1].lower(),
        "label": float(study[2].lower() == "positive"),
    }


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    # utf-8-sig: a byte order mark would hide the MURA that the first line starts with.
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return [line for line in csv.reader(file) if line]


def _below(path: str) -> str:
    # MURA's own lists start with the name of the folder they lie in. That name alone stays, to be reported.
    top, _, rest = path.strip().partition("/")
    return rest if rest and top.startswith("MURA") else path.strip()
