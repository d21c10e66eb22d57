"""MURA's layout, `<split>/XR_<BONE>/patient<n>/study<n>_<positive|negative>/image<n>.png`, and its CSV files."""

import csv
import os
import re
from operator import attrgetter, itemgetter
from pathlib import Path

import pandas as pd

_STUDY = re.compile(r"(study[^_/]+)_(positive|negative)", re.IGNORECASE)
IMAGE_EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"}
SPLITS = ("train", "valid", "test")


def mura_root(source: Path) -> Path | None:
    """The folder with train/ or valid/ that has XR_ folders: `source` or its MURA-v1.1; None if neither has."""
    for root in (source, source / "MURA-v1.1"):
        if any((root / split).is_dir() and any((root / split).glob("XR_*")) for split in SPLITS):
            return root
    return None


def list_radiographs(root: Path) -> tuple[list[dict], list[dict]]:
    """Every radiograph of the tree (path, split, bone, patient_id, study, label), and {path, reason} of stray files.

    A folder that cannot be read or is a link is reported as one stray entry.
    """
    rows: list[dict] = []
    stray, top = [], str(root)
    # Any of the splits may be absent. Paths are text, since Path objects are slow for so many folders.
    waiting = [split for split in reversed(SPLITS) if (root / split).is_dir()]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(os.path.join(top, place)) as found:
                entries = sorted(found, key=attrgetter("name"))
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            stray.append(_stray(place, f"the folder cannot be read ({problem}); permit reading it and index again"))
            continue
        inner = []
        for entry in entries:
            path = f"{place}/{entry.name}"
            if entry.is_symlink() and os.path.isdir(entry.path):
                real = _printable(os.path.realpath(entry.path))
                stray.append(_stray(path, f"a linked folder, and links are not followed; put {real} itself here"))
            elif entry.is_dir(follow_symlinks=False):
                inner.append(path)
            else:
                row = _row(place, entry.name)
                (stray if "reason" in row else rows).append(row)
        waiting += reversed(inner)
    return rows, stray


def csv_conflicts(root: Path, rows: list[dict]) -> list[dict]:
    """{path, reason} for each disagreement of MURA's CSV files and the folders. A CSV file may be missing."""
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
                problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                reason = f"it could not be read ({problem}), so the folders were not compared with it; fix or remove it"
                conflicts.append({"path": name, "reason": reason})
                continue
            conflicts += compare(name, lines, own)
    return conflicts


def index_rows(rows: list[dict]) -> pd.DataFrame:
    """The rows with the columns of an Index that the folder names give."""
    frame = pd.DataFrame(rows, columns=["path", "split", "bone", "patient_id", "study", "label"])
    parts = [frame["split"], frame["bone"], frame["patient_id"], frame["study"]]
    frame["study_id"] = parts[0].str.cat(parts[1:], sep="/")
    frame["image_id"] = frame["path"]
    frame["view"] = None
    return frame.drop(columns="study")


def _path_conflicts(name: str, lines: list[list[str]], rows: list[dict]) -> list[dict]:
    listed, found = {_below(line[0]) for line in lines}, {row["path"] for row in rows}
    if not listed:
        return []
    lacking = [{"path": path, "reason": f"{name} lists it, but the file does not exist"} for path in listed - found]
    unnamed = [{"path": path, "reason": f"the file exists, but {name} does not list it"} for path in found - listed]
    return sorted(lacking, key=itemgetter("path")) + sorted(unnamed, key=itemgetter("path"))


def _label_conflicts(name: str, lines: list[list[str]], rows: list[dict]) -> list[dict]:
    labels = {os.path.dirname(row["path"]): int(row["label"]) for row in rows}
    labelled = [(_below(line[0]).rstrip("/"), line[1].strip()) for line in lines if len(line) > 1]
    listed = {study for study, _ in labelled}
    if not listed:
        return []
    wrong = [
        {"path": study, "reason": f"its label is {label!r} in {name} and {labels[study]} in the folder's name"}
        for study, label in labelled
        if study in labels and label != str(labels[study])
    ]
    lacking = [
        {"path": study, "reason": f"{name} lists it, but the folder does not exist"} for study in listed - set(labels)
    ]
    unnamed = [
        {"path": study, "reason": f"the folder exists, but {name} does not list it"} for study in set(labels) - listed
    ]
    return [*wrong, *sorted(lacking, key=itemgetter("path")), *sorted(unnamed, key=itemgetter("path"))]


def _stray(path: str, reason: str) -> dict:
    return {"path": _printable(path), "reason": reason}


def _printable(path: str) -> str:
    # Python represents bytes of a name that are not UTF-8 as lone surrogates, which tables and pages cannot store.
    return path.encode("utf-8", "backslashreplace").decode()


def _row(place: str, name: str) -> dict:
    path, parts = f"{place}/{name}", place.split("/")
    if not path.isascii() and path != _printable(path):
        return _stray(path, "its name, or that of one of its folders, is not UTF-8; rename it")
    if name.startswith("."):
        return {"path": path, "reason": "a hidden file of an operating system, not a radiograph"}
    if len(parts) != 4 or not parts[1].upper().startswith("XR_"):
        return {"path": path, "reason": "expected <split>/XR_<BONE>/<patient>/<study>_<positive or negative>/<image>"}
    if not (study := _STUDY.fullmatch(parts[3])):
        return {
            "path": path,
            "reason": f"the name of its study folder, {parts[3]!r}, ends in neither positive nor negative",
        }
    if os.path.splitext(name)[1].lower() not in IMAGE_EXTENSIONS:
        return {"path": path, "reason": f"its extension is not one of {', '.join(sorted(IMAGE_EXTENSIONS))}"}
    return {
        "path": path,
        "split": parts[0],
        "bone": parts[1][3:].lower(),
        # Upper and lower case spellings of a folder are one patient, in any split.
        "patient_id": parts[2].lower(),
        "study": study[1].lower(),
        "label": float(study[2].lower() == "positive"),
    }


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    # utf-8-sig: a byte order mark would hide the MURA at the start of the first line.
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return [line for line in csv.reader(file) if line]


def _below(path: str) -> str:
    # MURA's own lists start with the name of their folder. A line of that name alone is kept, to be reported.
    top, _, rest = path.strip().partition("/")
    return rest if rest and top.startswith("MURA") else path.strip()
