"""Operating points: thresholds that were chosen on one split and locked, with everything they depend on. No torch.

`operating_points.json` is in the workspace's records of a checkpoint, or in the folder of imported scores
(`Source.file_to_write`). It is a sealed list (`core.scores.sealed_list`): points are only appended, and an edit by hand
is found and named.
"""

import hashlib
import math
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.thresholds import ThresholdChoice
from core.roles import needs
from core.scores.halves import DataSplit
from core.scores.json_values import json_values
from core.scores.sealed_list import file_lock, hash_of, read_sealed, write_sealed
from core.scores.source import Source
from core.scores.view import View

POINTS = "operating_points.json"
# Facts about a choice that a locked point does not repeat among its figures.
_NOT_FIGURES = ("name", "reference", "by", "groups", "shifted", "cost_in_words", "warning")


@dataclass(frozen=True)
class OperatingPoint:
    """A locked threshold and all it depends on. `threshold_high` is None unless studies between the two are referred.

    reference, digest: whose scores, by name and by SHA-256 of the weights or the imported predictions. dataset:
    `name@hash8` of the data set. studies_hash: of the studies, labels and scores it was chosen on. figures: its
    figures on them. previous: the hash of the entry before it. withdrawn: why it must not be used any more.
    """

    reference: str
    kind: str
    digest: str
    dataset: str
    split: str
    studies_hash: str
    aggregation: str
    precision: str
    threshold: float
    threshold_high: float | None
    rule: str
    bound: str
    prevalence: float | None
    figures: dict
    author: str
    date: str
    note: str
    previous: str
    hash: str = ""
    withdrawn: "Withdrawal | None" = None

    @property
    def id(self) -> str:
        """The first twelve digits of its hash."""
        return self.hash[:12]

    @property
    def chosen_on(self) -> DataSplit:
        """The split that it was chosen on."""
        return DataSplit(self.dataset, self.split)


@dataclass(frozen=True)
class Withdrawal:
    """The end of an operating point: an entry of its own in the list. withdraws: the hash of the point."""

    withdraws: str
    reason: str
    author: str
    date: str
    previous: str
    hash: str = ""

    @property
    def sentence(self) -> str:
        """A sentence with the person who withdrew the point, the day and the reason."""
        reason = self.reason.strip().rstrip(".")
        return (
            f"The operating point {self.withdraws[:12]} was withdrawn by {self.author} on {self.date[:10]}: {reason}."
        )


SEALED = tuple(one.name for one in fields(OperatingPoint) if one.name not in ("hash", "withdrawn"))
SEALED_WITHDRAWAL = tuple(one.name for one in fields(Withdrawal) if one.name != "hash")


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold that a rule chose and that can be locked.

    view: the source, split and aggregation it was chosen in. frame: the PREDICTIONS it was chosen on; studies: STUDIES
    made of them. rule: the rule's text. facts: `choice_facts` with name, reference, split and aggregation.
    """

    view: View
    frame: pd.DataFrame
    studies: pd.DataFrame
    choice: ThresholdChoice
    rule: str
    prevalence: float | None
    facts: dict


@needs("lock")
def lock(chosen: ChosenThreshold, author: str = "", note: str = "") -> OperatingPoint:
    """Append the threshold to the operating points of its source. OverreadError where the rule could not be met."""
    choice, view, source = chosen.choice, chosen.view, chosen.view.source
    if not choice.feasible:
        raise OverreadError(
            f"There is no threshold to lock: {choice.reason}. Choose another rule, or more studies.",
            code="nothing-to-lock",
        )
    if not math.isfinite(choice.threshold):
        raise OverreadError(
            "This rule calls nothing abnormal, so there is no threshold to lock; choose another rule.",
            code="nothing-called-abnormal",
        )
    author = _named(author, "--author")
    path = source.file_to_write(POINTS)
    with file_lock(path):
        entries = _read_entries(source.file_to_read(POINTS))
        unsealed = OperatingPoint(
            reference=source.reference,
            kind=source.kind,
            digest=source.digest,
            dataset=str(chosen.frame["dataset"].iloc[0]),
            split=view.split,
            studies_hash=studies_hash(chosen.studies),
            aggregation=view.aggregation,
            precision=precision_of(source, chosen.frame),
            threshold=float(choice.threshold),
            threshold_high=None if math.isnan(choice.high) else float(choice.high),
            rule=chosen.rule,
            bound=choice.bound,
            prevalence=chosen.prevalence,
            figures=json_values({key: value for key, value in chosen.facts.items() if key not in _NOT_FIGURES}),
            author=author,
            date=_now(),
            note=note.strip(),
            previous=entries[-1]["hash"] if entries else "",
        )
        _check_new(unsealed, _points_of(entries))
        return _append(path, entries, unsealed, SEALED)


@needs("lock")
def withdraw(source: Source, wanted: str, reason: str, author: str) -> Withdrawal:
    """Append that a point must not be used any more. The point stays in the list. OverreadError without a reason."""
    author = _named(author, "--author")
    if not reason.strip():
        raise OverreadError(
            "A withdrawal needs a reason, which is kept beside the point; pass --reason.", code="reason-missing"
        )
    path = source.file_to_write(POINTS)
    with file_lock(path):
        point = find_point(source, wanted)
        entries = _read_entries(source.file_to_read(POINTS))
        unsealed = Withdrawal(point.hash, reason.strip(), author, _now(), entries[-1]["hash"])
        return _append(path, entries, unsealed, SEALED_WITHDRAWAL)


def read_points(source: Source) -> list[OperatingPoint]:
    """Every operating point of a source, withdrawn ones too, oldest first; empty where none is locked.

    OverreadError names what was altered.
    """
    return read_points_file(source.file_to_read(POINTS))


def read_points_file(path: Path) -> list[OperatingPoint]:
    """`read_points` of a file."""
    return _points_of(_read_entries(path))


def usable_points(source: Source) -> list[OperatingPoint]:
    """The operating points of a source that were not withdrawn, oldest first."""
    return [point for point in read_points(source) if not point.withdrawn]


def find_point(source: Source, wanted: str = "latest") -> OperatingPoint:
    """The operating point with this id (or its first digits), or the latest one. OverreadError if it was withdrawn."""
    points = read_points(source)
    usable = [point for point in points if not point.withdrawn]
    if not points or (wanted in ("", "latest") and not usable):
        ended = points[-1].withdrawn if points else None
        withdrawn = f" {ended.sentence}" if ended else ""
        raise OverreadError(
            f"{source.name} has no operating point {'in use' if points else 'yet'}; lock one with: python -m core "
            f'threshold {source.name} --rule "sensitivity>=0.95" --lock --author NAME.{withdrawn}',
            code="no-operating-point",
        )
    if wanted in ("", "latest"):
        return usable[-1]
    found = [point for point in points if point.hash.startswith(wanted)]
    if len(found) != 1:
        known = ", ".join(point.id for point in usable) or "none"
        count = "no operating point" if not found else "more than one operating point"
        raise OverreadError(
            f"{source.name} has {count} {wanted!r}; it has {known}. Name one, or 'latest'.",
            code="operating-point-unknown",
        )
    check_standing(found[0])
    return found[0]


def check_standing(point: OperatingPoint) -> None:
    """OverreadError where a point was withdrawn."""
    if point.withdrawn:
        raise OverreadError(
            f"{point.withdrawn.sentence} It cannot be used any more. Lock another one, or name another.",
            code="operating-point-withdrawn",
        )


def studies_hash(studies: pd.DataFrame) -> str:
    """SHA-256 of the studies with their labels and scores; independent of their order."""
    rows = pd.util.hash_pandas_object(studies[["study_id", "label", "score"]], index=False).to_numpy()
    return hashlib.sha256(np.sort(rows).tobytes()).hexdigest()


def precision_of(source: Source, frame: pd.DataFrame) -> str:
    """The number format that the scores were computed in, 'unknown' where they do not record one."""
    if source.kind == "imported":
        return "as imported"
    recorded = frame["precision"].unique() if "precision" in frame else []
    return str(recorded[0]) if len(recorded) == 1 else "unknown"


def _check_new(point: OperatingPoint, before: list[OperatingPoint]) -> None:
    """OverreadError where the same threshold is locked already, by the same rule on the same studies."""
    names = ("digest", "split", "studies_hash", "threshold", "threshold_high", "rule")
    same = [getattr(point, name) for name in names]
    for one in before:
        if not one.withdrawn and [getattr(one, name) for name in names] == same:
            raise OverreadError(
                f"This threshold is locked already: {one.author or 'an unnamed author'} locked it on {one.date[:10]} "
                f"as {one.id}, by the same rule on the same studies. Use that one, or withdraw it first.",
                code="point-duplicate",
            )


def _read_entries(path: Path) -> list[dict]:
    return read_sealed(path, SEALED, SEALED_WITHDRAWAL)


def _append(path: Path, entries: list[dict], unsealed, names: tuple[str, ...]):
    """Seal a point or a withdrawal, write it after the entries, and return it with its hash."""
    sealed = replace(unsealed, hash=hash_of(asdict(unsealed), names))
    record = {name: value for name, value in asdict(sealed).items() if name in (*names, "hash")}
    write_sealed(path, [*entries, record], SEALED, SEALED_WITHDRAWAL)
    return sealed


def _points_of(entries: list[dict]) -> list[OperatingPoint]:
    ended = {entry["withdraws"]: Withdrawal(**entry) for entry in entries if "withdraws" in entry}
    points = [OperatingPoint(**entry) for entry in entries if "withdraws" not in entry]
    return [replace(point, withdrawn=ended.get(point.hash)) for point in points]


def _named(author: str, option: str) -> str:
    if not author.strip():
        raise OverreadError(
            f"The name of the person who locks or withdraws an operating point is kept; pass {option} NAME, or set "
            "OVERREAD_READER.",
            code="author-missing",
        )
    return author.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
