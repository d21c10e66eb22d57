"""The values of a verdict, which of them may be combined, and the read that follows from a verdict.

A **verdict** judges the label and the model's call; a **reading** says what the radiographs show, without regard to
either. An entry has one or both. From them follows one **read**, which agreement and adjudication use:

| entry | read |
|---|---|
| reading abnormal, normal | the reading (also together with poor_image) |
| true_miss | the given label: the label is right and the model is wrong |
| label_wrong | the opposite of the given label |
| cannot_tell, poor_image without a reading | unreadable |
| out_of_scope | out_of_scope |
"""

import math
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.review.boxes import boxes_text, read_boxes

VERDICTS = ("true_miss", "label_wrong", "cannot_tell", "poor_image", "out_of_scope")
READINGS = ("abnormal", "normal")
SUBTYPES = ("fracture", "hardware", "degenerative", "other")
CONFIDENCES = ("low", "medium", "high")
KINDS = ("review", "adjudication")
ROUNDS = ("alone", "together")  # of a walkthrough: each reader alone, then all with the lead
READS = ("abnormal", "normal", "unreadable", "out_of_scope")
NOTE_LIMIT, TEXT_LIMIT, NAME_LIMIT = 4_000, 1_000, 100  # characters
_CHOICES = {
    "verdict": VERDICTS,
    "reading": READINGS,
    "subtype": SUBTYPES,
    "confidence": CONFIDENCES,
    "kind": KINDS,
    "round": ROUNDS,
}
_TEXTS = ("id", "dataset", "study_id", "image_id", "view", "checkpoint", "walkthrough_id", "supersedes")


@dataclass(frozen=True)
class Verdict:
    """One reader's entry on one study. '' and None both mean no value.

    given_label: the study's label in the index, 1.0, 0.0 or None; entries never change it. kind: 'adjudication' for a
    third reader who decides between others. image_id, view: the radiograph that shows the finding. score_visible,
    label_visible: whether the reader could see them; a read without both was blind. checkpoint, threshold, score: the
    model's, if it was shown. walkthrough_id, round: the walkthrough it was entered in, and its round. id: chosen by the
    caller, so that repeating a request does not add a second entry. supersedes: the id of the reader's own earlier
    entry that this one replaces. boxes: where the finding is, as the JSON text of `core.review.boxes`; None without
    any.
    """

    dataset: str
    study_id: str
    reviewer: str
    verdict: str | None = None
    reading: str | None = None
    kind: str = "review"
    image_id: str | None = None
    view: str | None = None
    subtype: str | None = None
    confidence: str | None = None
    note: str = ""
    given_label: float | None = None
    score_visible: bool = True
    label_visible: bool = True
    checkpoint: str | None = None
    threshold: float | None = None
    score: float | None = None
    walkthrough_id: str | None = None
    round: str | None = None
    supersedes: str | None = None
    boxes: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))


def checked(entry: Verdict) -> Verdict:
    """The entry with empty texts as None and a normalised reader's name. OverreadError if it is contradictory."""
    # Text is stored unchanged, HTML included; pages and reports escape it.
    blank: dict[str, Any] = {name: getattr(entry, name) or None for name in (*_TEXTS, *_CHOICES) if name != "note"}
    entry = replace(entry, **blank, note=entry.note or "", reviewer=reviewer_name(entry.reviewer))
    entry = replace(entry, boxes=boxes_text(read_boxes(entry.boxes)) or None)
    for name, choices in _CHOICES.items():
        value = getattr(entry, name)
        if value is not None and value not in choices:
            raise OverreadError(
                f"The {name} is {str(value)[:40]!r}; expected one of {', '.join(choices)}.",
                code="verdict-value-unknown",
            )
    for name in _TEXTS:
        checked_text(getattr(entry, name), name, TEXT_LIMIT, needed=name in ("id", "dataset", "study_id"))
    checked_text(entry.note, "note", NOTE_LIMIT)
    if entry.kind is None:
        raise OverreadError(f"The entry has no kind; expected one of {', '.join(KINDS)}.", code="verdict-value-unknown")
    numbers: dict[str, Any] = {name: _number(entry, name) for name in _NUMBERS}
    return _checked_meaning(replace(entry, **numbers))


_NUMBERS = ("given_label", "threshold", "score")


def _number(entry: Verdict, name: str) -> float | None:
    value = getattr(entry, name)
    # Tables have NaN for a missing value.
    if value is None or value != value:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or (name == "given_label" and number not in (0.0, 1.0)):
        expected = "1 (abnormal), 0 (normal) or none" if name == "given_label" else "a finite number or none"
        raise OverreadError(f"The {name} is {str(value)[:40]!r}; expected {expected}.", code="verdict-number-invalid")
    return number


def _checked_meaning(entry: Verdict) -> Verdict:
    reading, given = entry.reading, {1.0: "abnormal", 0.0: "normal", None: None}[entry.given_label]
    if entry.verdict is None and reading is None:
        raise OverreadError(
            f"The entry is empty; expected a verdict ({', '.join(VERDICTS)}) or a reading ({', '.join(READINGS)}).",
            code="verdict-empty",
        )
    if entry.verdict in ("true_miss", "label_wrong") and given is None:
        raise OverreadError(
            f"The verdict {entry.verdict} judges a label, but the study {entry.study_id[:60]!r} has none. Give a "
            "reading (abnormal, normal) instead.",
            code="verdict-without-label",
        )
    wanted = {"true_miss": given, "label_wrong": {"abnormal": "normal", "normal": "abnormal"}.get(given)}
    if reading and entry.verdict in wanted and reading != wanted[entry.verdict]:
        raise OverreadError(
            f"The verdict {entry.verdict} on a study labelled {given} contradicts the reading {reading}. Give one of "
            "them.",
            code="verdict-contradicts-reading",
        )
    if reading and entry.verdict in ("cannot_tell", "out_of_scope"):
        raise OverreadError(
            f"The verdict {entry.verdict} contradicts the reading {reading}. Give one of them.",
            code="verdict-contradicts-reading",
        )
    if entry.supersedes == entry.id:
        raise OverreadError("The entry supersedes itself; expected an earlier one.", code="verdict-supersedes-itself")
    return entry


def reviewer_name(name: str) -> str:
    """The name as stored: composed characters, single spaces. OverreadError if it is empty or too long."""
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", str(name or ""))).strip()
    return checked_text(name, "reviewer's name", NAME_LIMIT, needed=True)


def reviewer_key(name: str) -> str:
    """A key that is equal for names that differ only in case or spaces."""
    return unicodedata.normalize("NFKC", name).casefold()


def checked_text(text: str | None, what: str, limit: int, needed: bool = False) -> str | None:
    """The text. OverreadError if it is required and missing, too long, or not storable in a database."""
    if needed and not text:
        raise OverreadError(f"The {what} is empty; expected 1 to {limit:,} characters.", code="text-missing")
    if text is None:
        return None
    if not isinstance(text, str):
        raise OverreadError(f"The {what} is {str(text)[:40]!r}; expected text.", code="text-expected")
    if len(text) > limit:
        raise OverreadError(
            f"The {what} has {len(text):,} characters; expected at most {limit:,}. Shorten it. It was not stored.",
            code="text-too-long",
        )
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise OverreadError(
            f"The {what} has a character that cannot be stored (NUL or half of a surrogate pair). Remove it.",
            code="text-not-storable",
        )
    return text


def reads(frame: pd.DataFrame) -> pd.Series:
    """The read of each entry by the table above: one of READS, '' for an undo."""
    given = frame["given_label"].to_numpy(dtype=np.float64)
    verdict, reading = (frame[name].fillna("").to_numpy(str) for name in ("verdict", "reading"))
    judged = np.where(verdict == "label_wrong", 1 - given, given)
    label = np.select([judged == 1, judged == 0], ["abnormal", "normal"], "")
    found = np.select(
        [
            verdict == "out_of_scope",
            reading != "",
            np.isin(verdict, ["true_miss", "label_wrong"]),
            np.isin(verdict, ["cannot_tell", "poor_image"]),
        ],
        ["out_of_scope", reading, label, "unreadable"],
        "",
    )
    return pd.Series(found, index=frame.index, dtype="str")
