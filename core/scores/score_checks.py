"""Doubts about scores: out of their range, in reverse order, decisions in place of scores, copies of the label."""

import numpy as np
import pandas as pd
from scipy.special import expit

from core.data import cells
from core.data.datasets import read_index
from core.data.notes import Note
from core.data.tables import Table, simple_name
from core.errors import OverreadError
from core.metrics.ranking import auroc
from core.plural import count_clause, count_text

TOLERANCE = 1e-6  # how far rounding may carry a probability out of 0..1
WRONG_WAY = 0.4  # an AUROC below this, with its interval below .5, is called reverse order
FEW = 5  # with fewer scores, equal or perfect ones mean nothing


def clipped(scores: np.ndarray, columns, table: Table, notes: list[Note]) -> np.ndarray:
    """Probabilities within 0..1. OverreadError for values beyond rounding, with what they may be instead."""
    outside = (scores < 0) | (scores > 1)
    near = outside & (scores >= -TOLERANCE) & (scores <= 1 + TOLERANCE)
    far = outside & ~near
    if far.any():
        shown = cells.text_of(table.frame[columns.score])
        percent = scores.min() >= 0 and scores.max() <= 100 and not columns.percent
        offer = "; if they are percentages, pass --percent" if percent else ""
        cells.check_rows(
            far,
            f"column {columns.score} is outside 0 to 1",
            shown,
            f"probabilities{offer}; pass --logit for logits, or --raw if only the order has a meaning",
            table,
        )
    if near.any():
        text = f"clipped: {count_text(int(near.sum()), 'value')} of {columns.score} outside 0 to 1 by rounding"
        notes.append(Note(text, "scores-clipped"))
    return np.clip(scores, 0, 1)


def softmax_notes(table: Table, columns, scale: str) -> list[Note]:
    """Notes on two columns that sum to 1: the one that is used, and whether its name suggests the other class."""
    normal = _names_normal(columns.score)
    notes = []
    pair = _complement(table, columns) if scale == "probability" else ""
    if pair:
        offer = f" For the other one, pass --score {pair}." if not columns.invert else ""
        text = f"columns {columns.score} and {pair} sum to 1: {columns.score} is read as the probability of abnormal"
        if columns.invert:
            text = f"columns {columns.score} and {pair} sum to 1: {columns.score} is read as the probability of normal"
        notes.append(Note(f"{text}.{offer}" if offer else text, "scores-two-columns"))
    if normal and not columns.invert:
        text = f"the name of column {columns.score} suggests the probability of normal; if it is that, pass --invert"
        notes.append(Note(text, "score-name-normal"))
    return notes


def _names_normal(name: str) -> bool:
    simple = simple_name(name)
    if any(word in simple for word in ("abnormal", "positive", "notnormal")):
        return False
    return any(word in simple for word in ("normal", "negative", "healthy")) or simple in (
        "p0", "prob0", "class0", "pneg", "probneg", "score0", "probability0", "softmax0", "proba0",
    )  # fmt: skip


def _complement(table: Table, columns) -> str:
    """The column that with the score sums to 1 (or 100) in every row; '' if there is none."""
    total = 100.0 if columns.percent else 1.0
    quiet: list[Note] = []
    scores = cells.numbers(table, columns.score, quiet)
    if len(scores) < 2 or len(np.unique(scores)) < 2:
        return ""
    for name in table.frame.columns:
        if name in (columns.score, columns.label):
            continue
        first = cells.text_of(table.frame[name].head(1)).iloc[0].replace(",", ".")
        try:
            if abs(float(first) + scores[0] - total) > 0.02 * total:
                continue
            others = cells.numbers(table, name, quiet)
        except (ValueError, OverreadError):
            continue
        # Scores are often printed with two or three digits.
        if np.abs(scores + others - total).max() <= 0.011 * total:
            return name
    return ""


def score_notes(frame: pd.DataFrame, columns) -> list[Note]:
    """Notes on the ranking of the studies, on scores with few values, and on scores that repeat the label."""
    score = frame["probability"] if "probability" in frame else pd.Series(expit(frame["logit"]), frame.index)
    rows = frame.assign(score=score)[["study_id", "bone", "label", "score"]]
    notes = []
    if copies := _repeats_label(rows):
        notes.append(Note(copies, "score-equals-label"))
    elif rows["score"].nunique() == 2 and len(rows) >= FEW:
        values = " and ".join(f"{value:g}" for value in sorted(frame.get("given", rows["score"]).unique()))
        text = f"column {columns.score} has only two distinct values ({values}): these are decisions, not scores"
        notes.append(Note(text, "scores-two-values"))
    notes += _constant_bones(rows, columns.score)
    return notes + _wrong_way(rows, columns)


def _repeats_label(rows: pd.DataFrame) -> str:
    known = rows[rows["label"].notna()]
    if len(known) < FEW or known["label"].nunique() < 2:
        return ""
    if known.groupby("label")["score"].nunique().max() > 1:
        return ""
    return f"the score is a copy of the label in all {count_text(len(known), 'labelled row')}; name the model's column"


def _constant_bones(rows: pd.DataFrame, name: str) -> list[Note]:
    if rows["score"].nunique() < 2:
        return []  # noted for the whole table
    found = rows.groupby("bone")["score"].agg(["size", "nunique"])
    equal = found.index[(found["size"] >= FEW) & (found["nunique"] == 1)]
    if not len(equal):
        return []
    shown = ", ".join(f"{bone} ({count_text(int(found.loc[bone, 'size']), 'row')})" for bone in equal[:3])
    text = f"every value of {name} is the same in {shown}: no threshold separates the studies there"
    return [Note(text, "scores-constant-in-bone")]


def _wrong_way(rows: pd.DataFrame, columns) -> list[Note]:
    """A note if the scores of all studies, or else those of a bone, rank normal studies above abnormal ones."""
    studies = rows.groupby("study_id", sort=False).agg(
        bone=("bone", "first"), low=("label", "min"), high=("label", "max"), score=("score", "mean")
    )
    studies = studies[studies["low"].notna() & (studies["low"] == studies["high"])]
    whole = _area_if_wrong(studies)
    advice = "leave --invert out" if columns.invert else "is this the probability of normal? Use --invert"
    if whole is not None:
        text = f"scores rank in reverse order (AUROC {_short(whole)} on {count_text(len(studies), 'study')}); {advice}"
        return [Note(text, "scores-wrong-way")]
    bones = {bone: area for bone, own in studies.groupby("bone") if (area := _area_if_wrong(own)) is not None}
    if not bones:
        return []
    shown = ", ".join(f"{bone} (AUROC {_short(area)})" for bone, area in list(bones.items())[:3])
    return [Note(f"scores rank in reverse order in {shown}", "scores-wrong-way-in-bone")]


def _area_if_wrong(studies: pd.DataFrame) -> float | None:
    abnormal = int((studies["low"] == 1).sum())
    if min(abnormal, len(studies) - abnormal) < 3:
        return None
    found = auroc(studies["score"].to_numpy(), studies["low"].to_numpy())
    if not found.value < WRONG_WAY:
        return None
    # Too few studies, or scores that are perfectly wrong, have no interval.
    without = np.isnan(found.high)
    surely = found.value < 0.25 if without else found.high < 0.5
    return float(found.value) if surely else None


def _short(area: float) -> str:
    return f"{area:.3f}".removeprefix("0")


def note_label_differences(frame: pd.DataFrame, data: str, notes: list[Note]) -> None:
    """Add a remark where the labels of the studies differ from those of the data set that the scores belong to."""
    known = read_index(data).drop_duplicates("image_id").set_index("image_id")["label"]
    label = frame["image_id"].map(known)
    differ = int(((frame["label"] != label) & frame["label"].notna() & label.notna()).sum())
    if differ:
        text = f"{count_clause(differ, 'label', 'differ')} from those of {data}; the labels of the file are used"
        notes.append(Note(text, "labels-differ"))


def note_doubts(frame: pd.DataFrame, columns, notes: list[Note]) -> None:
    """Add remarks on missing studies and patients, contradictory labels, shared patients and doubtful scores."""
    if not columns.study and (frame["study_id"] == frame["image_id"]).all():
        notes.append(Note(f"{count_text(len(frame), 'radiograph')}, each taken as its own study", "studies-unnamed"))
    if not frame["patient_id"].notna().any():
        notes.append(
            Note(
                "no patient is named: every study counts as another patient, so intervals may be too narrow",
                "patients-unnamed",
            )
        )
    spread = frame.groupby("study_id", sort=False)["label"].agg(["min", "max"])
    if both := int((spread["min"] != spread["max"])[spread["min"].notna()].sum()):
        notes.append(Note(f"{count_clause(both, 'study', 'have')} both labels: unlabelled", "labels-contradict"))
    sides = frame.drop_duplicates(["group_id", "split"])["group_id"]
    if crossing := int(sides[sides.duplicated()].nunique()):
        first = sides[sides.duplicated()].iloc[0]
        notes.append(
            Note(
                f"{count_clause(crossing, 'patient', 'are')} in more than one split (first: {first!r}): figures may be "
                "too good",
                "patients-in-two-splits",
            )
        )
    present = frame["label"].dropna().unique()
    if len(present) < 2:
        kind = {0: "no label is known", 1: "every known label is the same"}[len(present)]
        notes.append(Note(f"{kind}: AUROC and most thresholds cannot be estimated", "labels-of-one-class"))
    notes += score_notes(frame, columns)
    if len(frame) > 1 and frame["logit"].nunique() == 1:
        notes.append(Note("every score is the same, so no threshold separates the studies", "scores-constant"))
