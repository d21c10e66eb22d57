"""Turn a table of scores into PREDICTIONS: ids, labels, splits and scores, with notes on anything doubtful."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from core.data import cells, mura_paths
from core.data.extra_columns import keep_columns
from core.data.missing import blank_missing
from core.data.mura_paths import MuraPath
from core.data.notes import Note
from core.data.tables import Table
from core.errors import OverreadError
from core.plural import count_clause, count_text
from core.scores import score_checks

SCALES = ("probability", "logit", "raw")
IMPORT_SPLITS = ("train", "tune", "valid", "test")
SATURATED = 0.01  # the largest share of distinct logits that may share a probability; with more they are not logits
# A probability of 0 or 1 has no logit; it gets the logit of 2^-54 from the end. The probability itself is kept.
LARGEST = 54 * float(np.log(2))


@dataclass(frozen=True)
class Columns:
    """The names of the columns in the file; '' for a column that the file does not have.

    invert: the score is that of normal. percent: the scores are from 0 to 100.
    """

    label: str
    score: str
    study: str = ""
    image: str = ""
    patient: str = ""
    bone: str = ""
    split: str = ""
    invert: bool = False
    percent: bool = False


NAMED = ("label", "score", "study", "image", "patient", "bone", "split")


def spelled(table: Table, columns: Columns) -> Columns:
    """The columns as the table spells them. OverreadError lists the columns it has."""
    spelling: dict[str, Any] = {}
    for option in NAMED:
        if name := getattr(columns, option):
            spelling[option] = table.column(name, f"--{option}")
    return replace(columns, **spelling)


def read_frame(table: Table, columns: Columns, scale: str, notes: list[Note], needs_label: bool = True) -> pd.DataFrame:
    """PREDICTIONS without `checkpoint` and `dataset`. Remarks for the user are added to `notes`.

    columns: from `spelled`. needs_label: without a column of labels, MURA's paths must give them.
    """
    rows, file = table.frame, table.file
    frame = pd.DataFrame(index=rows.index)
    scores = cells.numbers(table, columns.score, notes)
    named = columns.image or columns.study
    places: list[MuraPath | None] = [None] * len(rows)
    if named:
        places = [mura_paths.parse(cell) for cell in cells.text_of(rows[named])]
    found = _facts(places, columns, notes)
    missing = pd.Series("", index=rows.index, dtype="str")
    patient = blank_missing(cells.text_of(rows[columns.patient])) if columns.patient else found.get("patient", missing)
    frame["patient_id"] = patient.mask(patient == "")
    frame["bone"] = _bones(table, columns, found.get("bone", missing))
    frame["image_id"], frame["study_id"] = _ids(table, columns, frame, places, notes)
    used = {getattr(columns, option) for option in NAMED}
    shown = table.find("view")
    view = blank_missing(cells.text_of(rows[shown])) if shown and shown not in used else missing
    frame["path"], frame["view"] = frame["image_id"], view.mask(view == "")
    frame["group_id"] = frame["patient_id"].fillna(frame["study_id"])
    frame["label"] = _labels(table, columns, places, needs_label, notes)
    if columns.split:
        text = cells.text_of(rows[columns.split])
        frame["split"], bad = cells.read_splits(text, IMPORT_SPLITS, columns.split, table)
        cells.check_rows(bad, f"column {columns.split} is not a split", text, ", ".join(IMPORT_SPLITS), table)
    else:
        frame["split"] = found.get("split", "valid")
    check_study_splits(frame, file)
    frame = _with_scores(frame, scores, columns, scale, table, notes)
    frame, kept = keep_columns(rows, {*used, shown}, frame, file.name)
    notes += kept
    return frame


def _facts(places: list[MuraPath | None], columns: Columns, notes: list[Note]) -> dict[str, pd.Series]:
    """Patient, bone and split from paths in MURA's layout, for the columns that are not named."""
    count = sum(place is not None for place in places)
    found = {}
    for name in ("patient", "bone", "split"):
        values = [(getattr(place, name) or "") if place else "" for place in places]
        # A split is read only where every path has one: a row without it would count as valid.
        if not getattr(columns, name) and (all(values) if name == "split" else any(values)):
            found[name] = pd.Series(values, dtype="str")
    read = [*found, *(name for name in ("label", "study") if not getattr(columns, name))]
    if count:
        text = f"read from paths in MURA's layout: {', '.join(sorted(read))} of {count_text(count, 'row')}"
        notes.append(Note(text, "mura-paths"))
    return found


def _bones(table: Table, columns: Columns, found: pd.Series) -> pd.Series:
    if not columns.bone:
        return found.mask(found == "", "unknown")
    bone = cells.text_of(table.frame[columns.bone]).str.lower()
    cells.check_rows(bone == "", f"column {columns.bone} is empty", bone, "a bone such as wrist", table)
    return bone.mask(blank_missing(bone) == "", "unknown")


def _labels(
    table: Table, columns: Columns, places: list[MuraPath | None], needs_label: bool, notes: list[Note]
) -> np.ndarray:
    of_paths = np.array([np.nan if place is None or place.label is None else place.label for place in places])
    if not columns.label:
        if needs_label and np.isnan(of_paths).all():
            raise OverreadError(
                f"No column of labels is named, and the ids in {table.file} do not contain them as MURA's paths do. "
                f"Name one with --label (found: {', '.join(table.frame.columns)}), or the data set with --data.",
                code="label-column-needed",
            )
        return of_paths
    values = cells.labels(table, columns.label, notes)
    differ = np.flatnonzero((values != of_paths) & ~np.isnan(values) & ~np.isnan(of_paths))
    if len(differ):
        first = ", ".join(f"row {table.lines[place]}" for place in differ[:3])
        notes.append(
            Note(
                f"the paths contradict {count_text(len(differ), 'label')} in {columns.label}; they end in positive "
                "or negative "
                f"({first}); the column is used",
                "labels-contradict-paths",
            )
        )
    return values


def _with_scores(
    frame: pd.DataFrame, scores: np.ndarray, columns: Columns, scale: str, table: Table, notes: list[Note]
) -> pd.DataFrame:
    """The frame with its columns of scores."""
    if columns.percent:
        scores = scores / 100
    if columns.invert:
        scores = 1 - scores if scale == "probability" else -scores
        text = f"column {columns.score} is reversed (--invert): high values become low"
        notes.append(Note(text, "scores-turned"))
    if scale == "raw":
        values, place = np.unique(scores, return_inverse=True)
        rank = (place + 1) / (len(values) + 1)
        notes.append(
            Note(
                f"only the order of {columns.score} is used: the scores shown are ranks, so calibration, Brier score "
                "and means over several views have no meaning",
                "scores-raw",
            )
        )
        return frame.assign(logit=logit(rank), probability=rank, given=scores)
    if scale == "logit":
        if scores.min() >= 0 and scores.max() <= 1:
            notes.append(
                Note(
                    f"every value of {columns.score} is between 0 and 1: if they are probabilities, omit --logit",
                    "logits-like-probabilities",
                )
            )
        _check_saturation(scores, columns.score, table.file, notes)
        return frame.assign(logit=scores)
    scores = score_checks.clipped(scores, columns, table, notes)
    with np.errstate(divide="ignore"):
        return frame.assign(logit=np.clip(logit(scores), -LARGEST, LARGEST), probability=scores)


def _ids(
    table: Table, columns: Columns, frame: pd.DataFrame, places: list[MuraPath | None], notes: list[Note]
) -> tuple[pd.Series, pd.Series]:
    """image_id and study_id. A study's name has its patient and bone; without ids each radiograph is one."""
    given_image = cells.ids(table, columns.image) if columns.image else None
    given_study = cells.ids(table, columns.study) if columns.study else None
    lines = ("row " + pd.Series(table.lines, index=table.frame.index).astype("str")).astype("str")
    # The column from which MURA's paths were read.
    own = given_image if given_image is not None else given_study if given_study is not None else lines
    image = pd.Series([place.relative if place else text for place, text in zip(places, own)], dtype="str")
    of_paths = mura_paths.parse_all(given_study) if given_study is not None else None
    if of_paths:
        study = pd.Series([place.study_id for place in of_paths], dtype="str")
    elif any(places) and (given_study is None or given_study.map(mura_paths.is_study_number).all()):
        study = pd.Series([place.study_id if place else text for place, text in zip(places, own)], dtype="str")
    elif given_study is None or (given_image is not None and given_study.equals(given_image)):
        study = image
    else:
        study = _full_study_ids(given_study, frame, columns, notes)
        study, found = mura_paths.studies_with_paths(study, places, columns.study)
        notes += found
    if given_image is None and given_study is not None:
        image = study
    expected = "each radiograph once" if columns.image else "each study once; name its radiographs with --image"
    cells.check_rows(
        image.duplicated(keep=False),
        f"the id in {columns.image or columns.study} occurs more than once",
        own,
        expected,
        table,
    )
    return image, study


def _full_study_ids(study: pd.Series, frame: pd.DataFrame, columns: Columns, notes: list[Note]) -> pd.Series:
    patient = frame["patient_id"].fillna("")
    if columns.patient:
        owners = frame.groupby(study)["patient_id"].nunique()
        if shared := int((owners > 1).sum()):
            first = owners[owners > 1].index[0]
            text = f"{count_clause(shared, 'study id', 'belong')} to more than one patient (first: {first!r})"
            notes.append(Note(f"{text}; they count as different studies of these patients", "study-ids-shared"))
    named = patient.where(patient == "", patient + "/")
    return (named + frame["bone"] + "/" + study if columns.bone else named + study).astype("str")


def check_study_splits(frame: pd.DataFrame, file: Path) -> None:
    """OverreadError if a study has radiographs in more than one split."""
    sides = frame.drop_duplicates(["study_id", "split"])["study_id"]
    if sides.duplicated().any():
        across = sides[sides.duplicated()].unique()
        raise OverreadError(
            f"{file}: {count_clause(len(across), 'study', 'are')} in more than one split (first: {across[0]!r}); "
            "expected every "
            "radiograph of a study in the same split.",
            code="study-in-two-splits",
        )


def _check_saturation(scores: np.ndarray, name: str, file: Path, notes: list[Note]) -> None:
    """Note or refuse extreme logits: several become the same probability, so their order and the curves would be lost.

    A few come from an overconfident network and are noted. Many mean that the column does not hold logits.
    """
    values = np.unique(scores)
    lost = len(values) - len(np.unique(expit(values)))
    if 0 < lost <= SATURATED * len(values):
        notes.append(
            Note(
                f"{lost:,} of the {count_clause(len(values), 'distinct logit', 'become')} the same probability as "
                "another one",
                "logits-saturated",
            )
        )
    elif lost:
        raise OverreadError(
            f"{file}: column {name} ranges from {values[0]:g} to {values[-1]:g}. As logits, {lost:,} of its "
            f"{count_text(len(values), 'value')} would become the same probability as another and lose their order; "
            "logits are "
            "between -30 and 30. "
            "If only the order has a meaning, pass --raw instead of --logit.",
            code="logits-saturated",
        )
