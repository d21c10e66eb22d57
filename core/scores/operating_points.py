"""Operating points: a threshold chosen on one split, locked, read on another, and applied only where it belongs.

`operating_points.json` lies beside the scores it was chosen on (in the checkpoint, or the imported set): a list that is
only ever appended to. Every entry carries a seal of each field and a hash over all of it, and names the hash of the
entry before, so that an edit by hand, down to a digit, is found and named. (It is a seal against mistakes, not a
signature: who recomputes the hashes is not found out.) `looks.jsonl` beside it keeps every verification: a split that
was looked at is no longer fresh. No torch.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from core.errors import OverreadError
from core.metrics.studies import study_table
from core.models.checkpoint import Checkpoint
from core.paths import unwritable, write_atomically
from core.scores.source import Source, source_of

POINTS, LOOKS = "operating_points.json", "looks.jsonl"
FORMAT = 1


@dataclass(frozen=True)
class OperatingPoint:
    """A locked threshold and all it depends on. `threshold_high` is None unless studies between the two are referred.

    reference, digest: whose scores, by name and by SHA-256 of the weights or the imported predictions. dataset:
    `name@hash8` of the rows. studies_hash: of the studies, labels and scores it was chosen on. figures: those there.
    previous: the hash of the entry before.
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

    @property
    def id(self) -> str:
        """The first twelve digits of its hash."""
        return self.hash[:12]


SEALED = tuple(field.name for field in fields(OperatingPoint) if field.name != "hash")


def lock(
    scored: Source,
    frame: pd.DataFrame,
    studies: pd.DataFrame,
    choice,
    figures: dict,
    *,
    split: str,
    rule: str,
    aggregation: str,
    prevalence: float | None = None,
    author: str = "",
    note: str = "",
) -> OperatingPoint:
    """Write a feasible `Choice` down. frame: the PREDICTIONS it was chosen on; studies: STUDIES made of them."""
    if not choice.feasible:
        raise OverreadError(f"There is no threshold to lock: {choice.reason}. Choose another rule, or more studies.")
    if not math.isfinite(choice.threshold):
        raise OverreadError("This rule calls nothing abnormal, so there is no threshold to lock; choose another rule.")
    path = scored.folder / POINTS
    with _locked(path):
        before = read_points(scored)
        unsealed = OperatingPoint(
            reference=scored.reference,
            kind=scored.kind,
            digest=scored.digest,
            dataset=str(frame["dataset"].iloc[0]),
            split=split,
            studies_hash=studies_hash(studies),
            aggregation=aggregation,
            precision=precision_of(scored, frame),
            threshold=float(choice.threshold),
            threshold_high=None if math.isnan(choice.high) else float(choice.high),
            rule=rule,
            bound=choice.bound,
            prevalence=prevalence,
            figures=plain(figures),
            author=author.strip(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            note=note.strip(),
            previous=before[-1].hash if before else "",
        )
        point = OperatingPoint(**{**asdict(unsealed), "hash": _hash(asdict(unsealed))})
        _write(path, [*before, point])
    return point


def read_points(scored: Source) -> list[OperatingPoint]:
    """Every point, oldest first, each held against its seals. OverreadError names what was altered; none is [] ."""
    return read_points_file(scored.folder / POINTS)


def read_points_file(path: Path) -> list[OperatingPoint]:
    """`read_points` of a file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=_exact)
        entries = content["points"]
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')!r}, expected {FORMAT}")
        if not isinstance(entries, list):
            raise ValueError(f"its points are {type(entries).__name__}, expected a list")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OverreadError(
            f"{path} is no list of operating points ({error or type(error).__name__}): restore it from a copy; no "
            "threshold is taken from it as it is."
        ) from error
    found: list[OperatingPoint] = []
    for number, entry in enumerate(entries, 1):
        altered = _altered(entry)
        if altered:
            raise OverreadError(
                f"{path}: operating point {number} of {len(entries)} was altered after it was locked: "
                f"{', '.join(altered)} {'does' if len(altered) == 1 else 'do'} not match the seal. Restore the file, "
                "or move it away and lock again; nothing is applied from it."
            )
        point = OperatingPoint(**{name: entry[name] for name in (*SEALED, "hash")})
        if point.previous != (found[-1].hash if found else ""):
            raise OverreadError(
                f"{path}: operating point {number} does not follow the one before it: an entry was removed, moved or "
                "added by hand. Restore the file, or move it away and lock again; nothing is applied from it."
            )
        found.append(point)
    return found


def find_point(scored: Source, wanted: str = "latest") -> OperatingPoint:
    """One point by its id (or the beginning of it), or the latest."""
    points = read_points(scored)
    if not points:
        raise OverreadError(
            f"{scored.name} has no operating point yet; lock one with: python -m core threshold {scored.name} "
            '--rule "sensitivity>=0.95" --lock'
        )
    if wanted in ("", "latest"):
        return points[-1]
    found = [point for point in points if point.hash.startswith(wanted)]
    if len(found) != 1:
        there = ", ".join(point.id for point in points)
        what = "no operating point" if not found else "more than one operating point"
        raise OverreadError(f"{scored.name} has {what} {wanted!r}; it has {there}. Name one, or 'latest'.")
    return found[0]


def check_applies(point: OperatingPoint, scored: Source, aggregation: str = "", precision: str = "") -> None:
    """OverreadError where a point was not made for these scores, this aggregation or this precision."""
    if point.digest != scored.digest:
        raise OverreadError(
            f"The operating point {point.id} was locked for {point.reference}, not for {scored.reference}: these are "
            "other weights or scores. Choose a threshold for them and lock it."
        )
    if aggregation and aggregation != point.aggregation:
        raise OverreadError(
            f"The operating point {point.id} holds for studies scored by {point.aggregation}, not by {aggregation}; "
            f"use --aggregation {point.aggregation}, or lock one for {aggregation}."
        )
    if precision and "unknown" not in (precision, point.precision) and precision != point.precision:
        raise OverreadError(
            f"The operating point {point.id} was chosen on scores computed in {point.precision}, and these are in "
            f"{precision}, which can differ in the third digit; score on a device with {point.precision} "
            "(--device cpu gives float32)."
        )


def point_for(checkpoint: Checkpoint, wanted: str, aggregation: str = "", device: str = "") -> OperatingPoint:
    """The point to score with, held against the checkpoint, the aggregation and the device's precision. Needs torch."""
    from core.device import pick_device
    from core.device import precision as of_device

    scored = source_of(checkpoint)
    point = find_point(scored, wanted)
    check_applies(point, scored, aggregation, of_device(pick_device(device)[0]))
    return point


def write_decisions(point: OperatingPoint, frame: pd.DataFrame, beside: Path) -> tuple[Path, pd.DataFrame]:
    """One row a study with its score and what the point calls it, as CSV beside the file of the scores."""
    studies = study_table(frame, point.aggregation)
    table = studies[["study_id", "patient_id", "bone", "split", "n_views", "score"]]
    table = table.assign(decision=decisions(point, studies), operating_point=point.id, reference=point.reference)
    path = beside.with_name(f"{beside.stem}.decisions.csv")
    return write_atomically(path, lambda new: table.to_csv(new, index=False)), table


def decisions(point: OperatingPoint, studies: pd.DataFrame) -> pd.Series:
    """'abnormal' or 'normal' for each study; with two thresholds 'rule in', 'refer' or 'rule out'."""
    score = studies["score"].to_numpy()
    if point.threshold_high is None:
        said = np.where(score >= point.threshold, "abnormal", "normal")
    else:
        said = np.where(
            score >= point.threshold_high, "rule in", np.where(score >= point.threshold, "refer", "rule out")
        )
    return pd.Series(said, index=studies.index, dtype="str")


def check_fresh(point: OperatingPoint, dataset: str, split: str, studies: pd.DataFrame) -> None:
    """OverreadError where the verification would read the very studies that the point was chosen on."""
    if (point.dataset, point.split) == (dataset, split) or studies_hash(studies) == point.studies_hash:
        raise OverreadError(
            f"The operating point {point.id} was chosen on the split {point.split} of {point.dataset}: its figures "
            "there flatter it (Leeflang 2008). Verify on other studies, with --split or --data."
        )


def record_look(scored: Source, point: OperatingPoint, dataset: str, split: str) -> list[dict]:
    """Note that this split is being looked at; the earlier looks at it, oldest first, whatever point they were for."""
    path = scored.folder / LOOKS
    with _locked(path):
        earlier = looks(scored, dataset, split)
        look = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "point": point.id,
            "dataset": dataset,
            "split": split,
        }
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        write_atomically(path, lambda new: new.write_text(text + json.dumps(look) + "\n", encoding="utf-8"))
    return earlier


def looks(scored: Source, dataset: str, split: str) -> list[dict]:
    """Every verification so far on this split of this data set, oldest first."""
    path = scored.folder / LOOKS
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [row for row in rows if (row["dataset"], row["split"]) == (dataset, split)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OverreadError(
            f"{path} cannot be read ({error}): it says which splits were looked at before. Restore it from a copy."
        ) from error


def looks_sentence(split: str, earlier: list[dict]) -> str:
    """What is to be said of a split that was looked at before; '' for a fresh one."""
    if not earlier:
        return ""
    times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
    return f"the verification split {split} was already looked at {times}, first on {earlier[0]['date'][:10]}"


def studies_hash(studies: pd.DataFrame) -> str:
    """SHA-256 of which studies, with which labels and scores, whatever their order."""
    rows = pd.util.hash_pandas_object(studies[["study_id", "label", "score"]], index=False).to_numpy()
    return hashlib.sha256(np.sort(rows).tobytes()).hexdigest()


def precision_of(scored: Source, frame: pd.DataFrame) -> str:
    """What the scores were computed in, as far as they say."""
    if scored.kind == "imported":
        return "as imported"
    said = frame["precision"].unique() if "precision" in frame else []
    return str(said[0]) if len(said) == 1 else "unknown"


def _exact(text: str) -> float | str:
    """The number; as text where it was not written by this program, which no seal matches.

    The 17th digit of a number can be altered without the number being another.
    """
    return float(text) if repr(float(text)) == text else text


def plain(value):
    """A value that JSON can hold: NaN and infinity become None."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _written(point: OperatingPoint) -> dict:
    entry = asdict(point)
    return {"id": point.id, **entry, "seals": {name: _seal(name, entry[name]) for name in SEALED}}


def _altered(entry) -> list[str]:
    """The names of what does not match its seal; empty for a point as it was locked."""
    if not isinstance(entry, dict):
        return ["all of it"]
    seals = entry.get("seals") if isinstance(entry.get("seals"), dict) else {}
    known = {"id", "hash", "seals", *SEALED}
    wrong = [name for name in SEALED if name not in entry or seals.get(name) != _seal(name, entry[name])]
    wrong += sorted(set(entry) - known)
    if not wrong and entry.get("hash") != _hash(entry):
        wrong.append("hash")
    if not wrong and entry.get("id") != str(entry["hash"])[:12]:
        wrong.append("id")
    return wrong


def _hash(entry: dict) -> str:
    return hashlib.sha256(_text({name: entry[name] for name in SEALED}).encode()).hexdigest()


def _seal(name: str, value) -> str:
    return hashlib.sha256(f"{name}={_text(value)}".encode()).hexdigest()[:16]


def _text(value) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _write(path: Path, points: Iterable[OperatingPoint]) -> None:
    content = json.dumps({"format": FORMAT, "points": [_written(point) for point in points]}, indent=1)
    write_atomically(path, lambda new: new.write_text(content + "\n", encoding="utf-8"))


def _locked(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = path.with_name(f".{path.name}.lock")
        lock_file.touch()
    except OSError as error:
        raise unwritable(path, error) from error
    return FileLock(lock_file)
