"""A manifest: one CSV or Parquet row per radiograph, with the columns path, label and bone (or body_part).

Paths in MURA's layout give the bone, patient, study and label that the table does not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from core.data import cells, mura_paths
from core.data.extra_columns import keep_columns
from core.data.identities import whole_study_names
from core.data.joins import JoinReport
from core.data.label_levels import IMAGE_LABEL
from core.data.listed_files import join_files
from core.data.missing import blank_missing
from core.data.mura_paths import MuraPath
from core.data.notes import Note
from core.data.tables import Table, read_table
from core.errors import OverreadError
from core.plural import count_clause, count_text

# Accepted names of each of our columns; `--column patient=NAME` takes precedence.
NAMES = {
    "path": ("path",),
    "label": ("label",),
    "bone": ("bone", "body_part"),
    "patient": ("patient", "patient_id"),
    "study": ("study", "study_id"),
    "split": ("split",),
    "view": ("view",),
}
TRUTH = "truth"  # the name of `--truth-column` among the columns
_NEEDED = ("path", "label", "bone")
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest with the columns of an Index that it has; {path, reason} of the rows left out.

    conflicts: {path, reason} of rows whose cells contradict their path.
    """

    frame: pd.DataFrame
    rejected: list[dict]
    conflicts: list[dict]
    notes: list[Note]
    joins: list[JoinReport] = field(default_factory=list)


def read_manifest(file: Path, columns: dict[str, str], ignoring: Sequence[str] = ()) -> Manifest:
    """The rows of a manifest. columns: {our name: the manifest's name}. ignoring: differences of paths that do not
    matter.

    OverreadError if the file cannot be read, lacks a required column, or would lose a whole split.
    """
    table = read_table(file)
    notes = list(table.notes)
    given = _columns(table, columns)
    text = {ours: cells.text_of(table.frame[theirs]) for ours, theirs in given.items()}
    text |= {ours: blank_missing(text[ours]) for ours in ("bone", "patient", "study", "view") if ours in text}
    places, paths = _places(text["path"], file.parent)
    label, bad_label = cells.read_labels(text["label"]) if "label" in text else (None, None)
    notes += cells.label_notes(text["label"], given["label"]) if "label" in text else []
    conflicts = _complete_from_paths(text, places, label, notes)
    if label is None:
        label = pd.Series([place.label if place else None for place in places], dtype="float64")
        bad_label = pd.Series(False, index=label.index)
    split, bad_split = cells.read_splits(text["split"], _SPLITS, "split", table) if "split" in text else (None, None)
    named = {name: text[name] for name in ("patient", "study", "split") if name in text}
    facts = pd.DataFrame({"label": label} | named)
    listed = join_files(paths, facts, table.lines, file, ignoring)
    paths, label = listed.paths, listed.label
    conflicts += listed.conflicts
    notes += listed.notes
    rejected, keep = _rejected(text, paths, bad_label, bad_split, table)
    frame = pd.DataFrame({"path": paths})
    frame["image_id"] = frame["path"]
    frame["bone"] = text["bone"].str.lower()
    frame["label"] = label
    nothing = pd.Series("", index=frame.index, dtype="str")
    for ours, name in (("patient", "patient_id"), ("view", "view")):
        values = text.get(ours, nothing)
        frame[name] = values.where(values != "")
    frame["study_id"] = _study_ids(frame, text.get("study"), places, notes)
    if split is not None:
        frame["split"] = split
    if TRUTH in given:
        frame[IMAGE_LABEL] = _truth(text[TRUTH], given, table)
    frame, kept = keep_columns(table.frame, set(given.values()), frame, file.name)
    notes += kept
    return Manifest(frame[keep].reset_index(drop=True), rejected, conflicts, notes, [listed.report])


def _columns(table: Table, columns: dict[str, str]) -> dict[str, str]:
    """{our name: the table's name} of the columns that it has."""
    given = {}
    for ours, theirs in columns.items():
        if ours not in (*NAMES, TRUTH):
            raise OverreadError(
                f"--column {ours}={theirs}: the column {ours!r} is unknown; expected one of {', '.join(NAMES)}.",
                code="column-unknown",
            )
        given[ours] = table.column(theirs, f"--column {ours}")
    for ours, names in NAMES.items():
        if ours not in given and (match := table.find(*names)):
            given[ours] = match
    paths = cells.text_of(table.frame[given["path"]]) if "path" in given else pd.Series(dtype="str")
    # Paths in MURA's layout name the bone and the label.
    named = [path for path in paths if path]
    known = ("bone", "label") if named and all(map(_names_label, named)) else ()
    missing = [" or ".join(NAMES[ours]) for ours in _NEEDED if ours not in given and ours not in known]
    if missing:
        raise OverreadError(
            f"{table.file} lacks the column(s) {', '.join(missing)} (found: {', '.join(table.frame.columns)}). "
            "Add them, or name yours with --column label=YOUR_NAME.",
            code="column-missing",
        )
    return given


def _truth(cells_of_truth: pd.Series, given: dict[str, str], table: Table) -> pd.Series:
    """The truth of each radiograph as 1, 0 or NaN. OverreadError where it is the label, or is no label at all."""
    if given[TRUTH] == given.get("label"):
        raise OverreadError(
            f"--truth-column {given[TRUTH]} is the column of labels of {table.file}, too; the truth is used "
            "for evaluation and never for training. Name another column for one of the two.",
            code="truth-is-label",
        )
    truth, bad = cells.read_labels(cells_of_truth)
    if bad.any():
        raise OverreadError(
            f"--truth-column {given[TRUTH]} has {str(cells_of_truth[bad].iloc[0])[:40]!r} in {int(bad.sum()):,} of "
            f"{count_text(len(bad), 'row')} of {table.file}; expected 1 (abnormal), 0 (normal) or empty.",
            code="image-label-invalid",
        )
    return truth


def _names_label(path: str) -> bool:
    place = mura_paths.parse(path)
    return place is not None and place.label is not None


def _places(paths: pd.Series, folder: Path) -> tuple[list[MuraPath | None], pd.Series]:
    """The facts of each path in MURA's layout, and each path as the file is called below `folder`."""
    places = [mura_paths.parse(path) for path in paths]
    shown = [_file_below(path, place, folder) for path, place in zip(paths, places)]
    return places, pd.Series(shown, index=paths.index, dtype="str")


def _file_below(path: str, place: MuraPath | None, folder: Path) -> str:
    if not path:
        return path
    plain = Path(path).as_posix()
    if place is None and "\\" not in path:
        return plain
    slashed = path.replace("\\", "/")
    candidates = [plain, Path(slashed).as_posix()]
    if place:
        # The list may stand beside the tree or inside it, and may name the tree by another folder.
        candidates += [place.relative, f"MURA-v1.1/{place.relative}", place.relative.partition("/")[2]]
    for candidate in candidates:
        try:
            if candidate and (folder / candidate).is_file():
                return candidate
        except (OSError, ValueError):
            continue  # reported when the file is read
    return candidates[1]


def _complete_from_paths(
    text: dict[str, pd.Series], places: list[MuraPath | None], label: pd.Series | None, notes: list[Note]
) -> list[dict]:
    """Fill bone, patient and split from paths in MURA's layout where the table has no such column.

    Returns {path, reason} of each row whose label contradicts its path.
    """
    rows = text["path"].index
    found = sum(place is not None for place in places)
    if not found:
        return []
    filled = [] if label is not None else ["label"]
    for ours in ("bone", "patient", "split"):
        values = [(getattr(place, ours) or "") if place else "" for place in places]
        # A split is taken from the paths only where each has one; otherwise rows without it would be left out.
        if ours not in text and (all(values) if ours == "split" else any(values)):
            text[ours] = pd.Series(values, index=rows, dtype="str")
            filled.append(ours)
    if "study" not in text or text["study"].map(mura_paths.is_study_number).all():
        filled.append("study")
    if filled:
        read = ", ".join(sorted(filled))
        notes.append(Note(f"read from paths in MURA's layout: {read} of {count_text(found, 'row')}", "mura-paths"))
    if label is None:
        return []
    return [
        {
            "path": path,
            "reason": f"its label is {int(given)} in the table and {int(place.label)} in its path; that of the table "
            f"is used",
        }
        for path, given, place in zip(text["path"], label, places)
        if place and place.label is not None and given == given and given != place.label
    ]


def _rejected(
    text: dict[str, pd.Series],
    paths: pd.Series,
    bad_label: pd.Series,
    bad_split: pd.Series | None,
    table: Table,
) -> tuple[list[dict], pd.Series]:
    reasons = pd.Series("", index=paths.index, dtype="str")
    # Compares normalised paths: a.png and ./a.png are one file.
    reasons[paths.duplicated() & (paths != "")] = "the manifest lists this path twice; the first row is kept"
    if bad_label.any():
        reasons[bad_label] = text["label"][bad_label].map(
            lambda label: f"its label is {label!r}; expected 1 (abnormal), 0 (normal) or empty"
        )
    reasons[text["bone"] == ""] = "its bone is empty; expected a name such as wrist"
    if bad_split is not None:
        reasons[bad_split] = text["split"][bad_split].map(
            lambda split: f"its split is {split!r}; expected train, valid or test"
        )
    if table.ends_mid_line and len(reasons) and table.short[-1]:
        reasons.iloc[-1] = "its row, the last one, has fewer cells than the header; the file may be cut off"
    reasons[table.surplus] = "its row has more cells than the header; put text that contains a comma in quotes"
    empty = text["path"] == ""
    reasons[empty] = [f"row {line} has no path" for line in table.lines[empty.to_numpy()]]
    left_out = reasons != ""
    return [
        {"path": path, "reason": reason} for path, reason in zip(text["path"][left_out], reasons[left_out])
    ], ~left_out


def _study_ids(
    frame: pd.DataFrame, study: pd.Series | None, places: list[MuraPath | None], notes: list[Note]
) -> pd.Series:
    """Study ids include patient and bone; a radiograph without a study is a study of its own."""
    if study is not None and (named := mura_paths.parse_all(study)):
        return pd.Series([place.study_id for place in named], index=frame.index, dtype="str")
    if any(places) and (study is None or study.map(mura_paths.is_study_number).all()):
        own = [place.study_id if place else image for place, image in zip(places, frame["image_id"])]
        return pd.Series(own, index=frame.index, dtype="str")
    if study is not None:
        study, found = whole_study_names(study, frame["patient_id"], frame["path"])
        notes += found
    alone = frame.index.size if study is None else int((study == "").sum())
    if alone:
        notes.append(
            Note(
                f"{count_clause(alone, 'radiograph', 'name')} no study: each is taken as its own study",
                "studies-unnamed",
            )
        )
    if study is None:
        return frame["image_id"]
    patient = frame["patient_id"].fillna("")
    named = patient.where(patient == "", patient + "/") + frame["bone"] + "/" + study
    named, found = mura_paths.studies_with_paths(frame["image_id"].where(study == "", named), places, "study")
    notes += found
    return named
