"""Stanford's MURA layout: `<split>/XR_<BONE>/patient<n>/study<n>_<positive|negative>/image<n>.png`, and its CSVs."""

import csv
import os
import re
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
    """Every radiograph of the tree (path, split, bone, patient, study, label), and every stray file with its reason."""
    rows, stray = [], []
    for split in SPLITS:
        for folder, names, files in os.walk(root / split):
            names.sort()
            place = Path(folder).relative_to(root)
            for name in sorted(files):
                row = _row(place, name)
                (stray if "reason" in row else rows).append(row)
    return rows, stray


def csv_conflicts(root: Path, rows: list[dict]) -> list[dict]:
    """Where the CSV pairs and the folders disagree: {path, reason}. A pair that is absent is no conflict."""
    found = {f"{row['path']}" for row in rows}
    labels = {os.path.dirname(row["path"]): int(row["label"]) for row in rows}
    conflicts = []
    for split in SPLITS:
        listed = {_below(line[0]) for line in _lines(root / f"{split}_image_paths.csv")}
        present = {path for path in found if path.startswith(f"{split}/")}
        if listed:
            conflicts += [
                {"path": path, "reason": f"{split}_image_paths.csv lists it, the folder does not hold it"}
                for path in sorted(listed - present)
            ]
            conflicts += [
                {"path": path, "reason": f"the folder holds it, {split}_image_paths.csv does not list it"}
                for path in sorted(present - listed)
            ]
        for line in _lines(root / f"{split}_labeled_studies.csv"):
            study = _below(line[0]).rstrip("/")
            if study in labels and len(line) > 1 and line[1].strip() != str(labels[study]):
                conflicts.append(
                    {
                        "path": study,
                        "reason": f"{split}_labeled_studies.csv says {line[1].strip()!r}, "
                        f"the folder's name says {labels[study]}",
                    }
                )
    return conflicts


def frame_of(rows: list[dict]) -> pd.DataFrame:
    """The rows as a frame with the columns of an Index that the tree alone knows."""
    frame = pd.DataFrame(rows, columns=["path", "split", "bone", "patient_id", "study", "label"])
    parts = [frame["split"], frame["bone"], frame["patient_id"], frame["study"]]
    frame["study_id"] = parts[0].str.cat(parts[1:], sep="/")
    frame["image_id"] = frame["path"]
    frame["view"] = None
    return frame.drop(columns="study")


def _row(place: Path, name: str) -> dict:
    path, parts = (place / name).as_posix(), place.parts
    if name.startswith("."):
        return {"path": path, "reason": "a side file of an operating system, not a radiograph"}
    if len(parts) != 4 or not parts[1].upper().startswith("XR_"):
        return {"path": path, "reason": "expected <split>/XR_<BONE>/<patient>/<study>_<positive or negative>/<image>"}
    if not (study := _STUDY.fullmatch(parts[3])):
        return {"path": path, "reason": f"its study folder {parts[3]!r} says neither positive nor negative"}
    if Path(name).suffix.lower() not in IMAGE_ENDINGS:
        return {"path": path, "reason": f"its ending is not one of {', '.join(sorted(IMAGE_ENDINGS))}"}
    return {
        "path": path,
        "split": parts[0],
        "bone": parts[1][3:].lower(),
        "patient_id": parts[2],
        "study": study[1].lower(),
        "label": float(study[2].lower() == "positive"),
    }


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [line for line in csv.reader(file) if line]


def _below(path: str) -> str:
    # MURA's own lists start with the name of the folder they lie in.
    return path.strip().split("/", 1)[1] if path.strip().startswith("MURA") else path.strip()
