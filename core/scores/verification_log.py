"""The log of verifications (`looks.jsonl`): a split on which a threshold was verified before is no longer fresh."""

import json
from datetime import UTC, datetime

from core.errors import OverreadError, reason_of
from core.paths import write_atomically
from core.scores.halves import overlapping
from core.scores.sealed_list import file_lock
from core.scores.source import Source

LOOKS = "looks.jsonl"


def record_verification(source: Source, point_id: str, dataset: str, split: str) -> list[dict]:
    """Add a verification to the log. Returns the earlier ones on this split, of any operating point, oldest first.

    dataset: `name@hash8`.
    """
    path = source.file_to_write(LOOKS)
    with file_lock(path):
        earlier = verifications(source, dataset, split)
        entry = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "point": point_id,
            "dataset": dataset,
            "split": split,
        }
        before = source.file_to_read(LOOKS)
        text = before.read_text(encoding="utf-8") if before.exists() else ""
        write_atomically(path, lambda new: new.write_text(text + json.dumps(entry) + "\n", encoding="utf-8"))
    return earlier


def verifications(source: Source, dataset: str, split: str) -> list[dict]:
    """Every verification so far on any study of this split of this data set, oldest first."""
    path = source.file_to_read(LOOKS)
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [row for row in rows if row["dataset"] == dataset and overlapping(row["split"], split)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OverreadError(
            f"{path} cannot be read ({reason_of(error)}). It lists the splits that thresholds were verified on "
            "before; restore it from a copy.",
            code="verification-log-unreadable",
        ) from error


def verified_before_sentence(split: str, earlier: list[dict]) -> str:
    """How often the split was used for verification before; '' for a fresh split."""
    if not earlier:
        return ""
    times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
    return f"the split {split} was already used for verification {times}, first on {earlier[0]['date'][:10]}"
