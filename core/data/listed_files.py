"""Rows of a manifest joined to the files of its folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.joins import JoinReport, Key, join
from core.data.mura import IMAGE_EXTENSIONS
from core.data.notes import Note
from core.plural import count_text

_MOST_FILES = 100_000  # listed to find files that rows nearly name


@dataclass(frozen=True)
class ListedFiles:
    """Paths as the files are called, labels without those that contradict each other, {path, reason} of these, and the
    join."""

    paths: pd.Series
    label: pd.Series
    conflicts: list[dict]
    report: JoinReport
    notes: list[Note]


def join_files(
    paths: pd.Series, facts: pd.DataFrame, lines: np.ndarray, file: Path, ignoring: Sequence[str] = ()
) -> ListedFiles:
    """Join rows to the files below the manifest's folder. facts: `label` and other columns that should agree.

    A file whose rows give it different labels is unlabelled.
    """
    root = file.parent
    present = {path: _is_file(root, path) for path in paths.unique() if path}
    files = [path for path, found in present.items() if found]
    lone = [path for path, found in present.items() if not found]
    known = set(files)
    others = [path for path in (_walk(root) if lone else _beside(root, files)) if path not in known]
    names = [*files, *others]
    rows = facts.astype(object).where(facts.notna(), None)
    rows.index = lines
    what = f"{file.name} and files by path"
    joined = join(names, rows, [Key("path", names, paths.tolist(), paths=True)], what, ignoring)
    called = pd.Series(
        [names[at] if at >= 0 else path for at, path in zip(joined.owner, paths)], index=paths.index, dtype="str"
    )
    wrong = {names[at] for at in joined.disagreeing.get("label", [])}
    conflicts = [
        {"path": path, "reason": f"rows of {file.name} give it both labels; it counts as unlabelled"}
        for path in sorted(wrong)
    ]
    label = facts["label"].mask(called.isin(wrong))
    # A row without a label repeats one that has it: the first row, which is kept, gets the label.
    at = np.where(joined.owner >= 0, joined.owner, 0)
    merged = joined.values["label"].astype(float).to_numpy()[at] if names else np.full(len(paths), np.nan)
    label = label.fillna(pd.Series(np.where(joined.owner >= 0, merged, np.nan), index=label.index))
    notes = list(joined.notes)
    for name, places in joined.disagreeing.items():
        if name != "label":
            first = ", ".join(repr(names[at]) for at in places[:3])
            notes.append(
                Note(
                    f"rows of {file.name} give {count_text(len(places), 'file')} different values of {name} (first: "
                    f"{first}); that "
                    "of the first row is used",
                    f"{name}-contradicts",
                )
            )
    return ListedFiles(called, label, conflicts, joined.report, notes)


def _is_file(root: Path, path: str) -> bool:
    try:
        return os.path.isfile(root / path)
    except (OSError, ValueError):
        return False  # the reason is given when the file is read


def _beside(root: Path, files: list[str]) -> list[str]:
    """Images in the folders of these files."""
    found = []
    for folder in dict.fromkeys(os.path.dirname(path) for path in files):
        if folder.startswith(("/", "..")):
            continue
        with os.scandir(root / folder) as entries:
            names = sorted(entry.name for entry in entries if _is_image(entry.name) and entry.is_file())
        found += [f"{folder}/{name}" if folder else name for name in names]
    return found


def _walk(root: Path) -> list[str]:
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        found += [name if below == "." else f"{below}/{name}" for name in sorted(names) if _is_image(name)]
        if len(found) > _MOST_FILES:
            return found[:_MOST_FILES]
    return found


def _is_image(name: str) -> bool:
    return name.isprintable() and os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS | {".dcm"}
