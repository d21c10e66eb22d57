"""Rows of a table of scores: repeated ones collapse, and each is joined to the radiographs or studies of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data import cells
from core.data.datasets import read_dataset, read_index
from core.data.joins import SHOWN, JoinReport, Key, join, refuse_without_match
from core.data.label_levels import IMAGE_LABEL
from core.data.missing import blank_missing
from core.data.notes import Note
from core.data.tables import Table
from core.errors import OverreadError
from core.plural import count_clause, count_text, share_clause
from core.scores import dataset_match
from core.scores.import_frame import Columns, check_study_splits


@dataclass(frozen=True)
class JoinOptions:
    """ignoring: differences of ids that do not matter. allow_unmatched: continue without the data set if no row
    matches.
    allow_lost_labels: continue if labels that earlier scores of this name had would be lost."""

    ignoring: Sequence[str] = ()
    allow_unmatched: bool = False
    allow_lost_labels: bool = False


@dataclass(frozen=True)
class MatchedRows:
    """Positions of rows and of the radiographs of the index that they name, in pairs; the report; near matches."""

    rows: np.ndarray
    places: np.ndarray
    report: JoinReport
    notes: list[Note]


def collapse_repeated(table: Table, names: Sequence[str], label: str, key: str) -> tuple[Table, JoinReport]:
    """The table without rows that repeat an earlier one, and what was found. names: the columns that are used.

    Rows that differ in the label only are one row without a label. Rows that differ in anything else all stay.
    """
    text = {name: cells.text_of(table.frame[name]) for name in dict.fromkeys(names)}
    ids = blank_missing(text[key])
    others = pd.DataFrame({name: column for name, column in text.items() if name != label}, index=table.frame.index)
    again = others.duplicated() & (ids != "")
    contradicting: set[str] = set()
    frame = table.frame
    if label and again.any():
        value = cells.read_labels(text[label])[0]
        group = others.groupby(list(others.columns), sort=False, dropna=False).ngroup()
        low, high = value.groupby(group).transform("min"), value.groupby(group).transform("max")
        differ = (low != high) & low.notna()
        contradicting = set(ids[differ])
        cell = text[label].mask(value.isna() & low.notna())
        filled = cell.groupby(group).transform("first").fillna(text[label])
        frame = frame.assign(**{label: filled.mask(differ, "").where(group.duplicated(keep=False), text[label])})
    keep = ~again.to_numpy()
    same = again & ~ids.isin(contradicting)
    lines = table.lines
    report = JoinReport(
        what=f"rows of {table.file.name} by {key}",
        matched=len(frame),
        unmatched_rows=0,
        items_without_row=0,
        duplicates=int(same.sum()),
        contradictions=len(contradicting),
        examples=(
            *[_example("duplicates", lines[at], ids.iloc[at]) for at in np.flatnonzero(same)[:SHOWN]],
            *[_example("contradictions", None, name) for name in sorted(contradicting)[:SHOWN]],
        ),
    )
    kept = replace(
        table,
        frame=frame[keep].reset_index(drop=True),
        lines=lines[keep],
        surplus=table.surplus[keep],
        short=table.short[keep],
    )
    return kept, report


def join_to_dataset(
    frame: pd.DataFrame, index: pd.DataFrame, of_studies: bool, what: str, file: Path, options: JoinOptions
) -> MatchedRows:
    """Join rows to radiographs (or to studies, once for each radiograph). OverreadError if no row matches."""
    match = dataset_match.match_studies if of_studies else dataset_match.match_radiographs
    rows, places = match(frame, index)
    name = "study_id" if of_studies else "image_id"
    items = index[name].drop_duplicates().tolist()
    # Rows found by MURA's paths or DICOM's UIDs get the names that the index uses.
    texts = frame[name].to_numpy(object).copy()
    texts[rows] = index[name].to_numpy(object)[places]
    values = pd.DataFrame(index=frame["line"] if "line" in frame else np.arange(2, len(frame) + 2))
    joined = join(items, values, [Key(name, items, list(texts), paths=True)], what, options.ignoring)
    original = frame[name].tolist()
    examples = [
        {**one, "key": str(original[list(values.index).index(one["row"])])[:120]} if one["row"] is not None else one
        for one in joined.report.examples
    ]
    report = replace(
        joined.report, duplicates=0, examples=tuple(one for one in examples if one["kind"] != "duplicates")
    )
    kind = "studies" if of_studies else "radiographs"
    refuse_without_match(
        replace(joined, report=report),
        file,
        f"{kind} of the data set",
        options.allow_unmatched,
        "no-radiograph-matched",
    )
    if options.ignoring:
        found = frame.assign(**{name: [items[at] if at >= 0 else text for at, text in zip(joined.owner, texts)]})
        rows, places = match(found, index)
    return MatchedRows(rows, places, report, joined.notes)


def match_to_dataset(
    frame: pd.DataFrame, columns: Columns, data: str, table: Table, notes: list[Note], options: JoinOptions
) -> tuple[pd.DataFrame, str, JoinReport]:
    """The rows whose radiographs are in the data set, with its studies, patients and bones; its reference; the join.

    The reference is '' if no row matches and that is allowed: the rows then stay as they are. OverreadError without a
    column of ids, or where several rows name one radiograph.
    """
    file = table.file
    if not columns.image and not columns.study:
        raise OverreadError(
            f"--data {data} needs --image COLUMN, or --study COLUMN where the scores are per study: rows are matched "
            "by these ids.",
            code="image-column-needed",
        )
    dataset, index = read_dataset(data), read_index(data)
    of_studies = not columns.image or dataset_match.are_studies(frame["image_id"])
    kind = "studies" if of_studies else "radiographs"
    what = f"rows of {file.name} and {kind} of {data} by {columns.image or columns.study}"
    matched = join_to_dataset(frame.assign(line=table.lines), index, of_studies, what, file, options)
    notes += matched.notes
    rows, places = matched.rows, matched.places
    if not len(rows):
        notes.append(
            Note(f"no row matches the {kind} of {data}; the rows are kept without this data set", "data-unused")
        )
        return frame, "", matched.report
    if missing := matched.report.unmatched_rows:
        first = ", ".join(example["key"] for example in matched.report.examples if example["kind"] == "unmatched_rows")
        notes.append(
            Note(
                f"{share_clause(missing, len(frame), 'row', 'match')} none of the {kind} of {data}; left out (first: "
                f"{first})",
                "rows-unmatched",
            )
        )
    if of_studies:
        text = f"each radiograph gets its study's score: {count_text(len(np.unique(rows)), 'score')} of studies"
        notes.append(Note(text, "scores-per-study"))
    frame, known = frame.loc[rows].reset_index(drop=True), index.iloc[places].reset_index(drop=True)
    if known["image_id"].duplicated().any():
        twice = known["image_id"][known["image_id"].duplicated()]
        raise OverreadError(
            f"{file}: more than one row names {count_text(twice.nunique(), 'radiograph')} of {data} (first: "
            f"{twice.iloc[0]!r}); expected each radiograph once. Remove the other rows.",
            code="rows-invalid",
        )
    for name in ("image_id", "path", "study_id", "patient_id", "group_id", "bone"):
        frame[name] = known[name]
    frame["view"] = known["view"].fillna(frame["view"])
    if not columns.split:
        frame["split"] = known["split"]
    if not columns.label:
        frame["label"] = known["label"]
        if dataset.label_level == "image" and IMAGE_LABEL in known:
            frame[IMAGE_LABEL] = known[IMAGE_LABEL]
    elif lacking := int((frame["label"].isna() & known["label"].notna()).sum()):
        own = IMAGE_LABEL if dataset.label_level == "image" and IMAGE_LABEL in known else "label"
        frame["label"] = frame["label"].fillna(known[own])
        notes.append(
            Note(f"{count_clause(lacking, 'row', 'have')} no label: that of {data} is used", "labels-of-data-set")
        )
    check_study_splits(frame, file)
    return frame, dataset.reference, matched.report


def _example(kind: str, row, key: str) -> dict:
    return {"kind": kind, "row": None if row is None else int(row), "key": str(key)[:120]}
