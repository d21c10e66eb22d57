"""The log of verifications (`looks.jsonl`): a split on which a threshold was verified before is no longer fresh."""

from datetime import UTC, datetime
from pathlib import Path

from core.checksums import json_text, parse_json
from core.errors import OverreadError, reason_of
from core.paths import write_atomically
from core.roles import needs
from core.scores.halves import DataSplit
from core.scores.sealed_list import file_lock
from core.scores.source import Source

LOOKS = "looks.jsonl"


@needs("lock")
def record_verification(source: Source, point_id: str, on: DataSplit, figures: dict) -> list[dict]:
    """Add a verification to the log. Returns the earlier ones on this split, of any operating point, oldest first.

    figures: those of the verification, as JSON values.
    """
    path = source.file_to_write(LOOKS)
    with file_lock(path):
        earlier = verifications(source, on)
        entry = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "point": point_id,
            "dataset": on.dataset,
            "split": on.split,
            "figures": figures,
        }
        before = source.file_to_read(LOOKS)
        text = before.read_text(encoding="utf-8") if before.exists() else ""
        write_atomically(path, lambda new: new.write_text(text + json_text(entry), encoding="utf-8"))
    return earlier


def verifications(source: Source, on: DataSplit) -> list[dict]:
    """Every verification so far on any study of this split, oldest first."""
    return [row for row in _read(source) if on.overlaps(DataSplit(row["dataset"], row["split"]))]


def verifications_of(source: Source, point_id: str) -> list[dict]:
    """Every verification of one operating point, oldest first. Entries of earlier versions have no figures."""
    return [row for row in _read(source) if row["point"] == point_id]


def _read(source: Source) -> list[dict]:
    return read_looks(source.file_to_read(LOOKS))


def read_looks(path: Path) -> list[dict]:
    """Every verification in a file, oldest first. OverreadError where an entry was altered."""
    try:
        rows = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if missing := [row for row in rows if not {"date", "point", "dataset", "split"} <= set(row)]:
            raise ValueError(f"an entry lacks a field: {missing[0]}")
        return rows
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OverreadError(
            f"{path} cannot be read ({reason_of(error)}). It lists the splits that thresholds were verified on "
            "before; restore it from a copy.",
            code="verification-log-unreadable",
        ) from error


def verified_before_sentence(split: str, earlier: list[dict]) -> str:
    """A sentence on how often the split was used for verification before; '' for a fresh split."""
    if not earlier:
        return ""
    times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
    return f"the split {split} was already used for verification {times}, first on {earlier[0]['date'][:10]}"
