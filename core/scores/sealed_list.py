"""A sealed list of records in a JSON file: reading it finds every edit made by hand, down to one digit.

Records are only appended. Each carries a seal for every field, a hash over all fields, and the hash of the record
before it. This protects against mistakes and is not a signature: someone who recomputes the hashes can forge it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from core.errors import OverreadError
from core.paths import unwritable, write_atomically

FORMAT = 1


def read_sealed(path: Path, *kinds: Sequence[str]) -> list[dict]:
    """The records of a file, oldest first, each checked against its seals; empty where there is no file.

    kinds: the sealed fields of each kind of record. OverreadError names the record and the fields that were altered.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=_exact)
        entries = content["points"]
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')!r}, expected {FORMAT}")
        if not isinstance(entries, list):
            raise ValueError(f"its points are {type(entries).__name__}, expected a list")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OverreadError(
            f"{path} is not a readable list of operating points ({error or type(error).__name__}). Restore it from a "
            "copy; until then no threshold is read from it.",
            code="operating-points-unreadable",
        ) from error
    records: list[dict] = []
    for number, entry in enumerate(entries, 1):
        names = _fields_of(entry, kinds)
        if altered := altered_fields(entry, names):
            raise OverreadError(
                f"{path}: entry {number} of {len(entries)} was altered after it was locked: "
                f"{', '.join(altered)} {'does' if len(altered) == 1 else 'do'} not match the checksum. Restore the "
                "file, or move it away and lock again. No operating point in it is applied.",
                code="operating-point-altered",
            )
        if entry["previous"] != (records[-1]["hash"] if records else ""):
            raise OverreadError(
                f"{path}: entry {number} does not follow the one before it: an entry was removed, moved or "
                "added by hand. Restore the file, or move it away and lock again. No operating point in it is applied.",
                code="operating-points-broken-chain",
            )
        records.append({name: entry[name] for name in (*names, "hash")})
    return records


def write_sealed(path: Path, records: Iterable[dict], *kinds: Sequence[str]) -> None:
    """Write the records with their seals. Hold `file_lock` from reading to writing."""
    points = []
    for record in records:
        seals = {name: _seal(name, record[name]) for name in _fields_of(record, kinds)}
        points.append({"id": record["hash"][:12], **record, "seals": seals})
    content = json.dumps({"format": FORMAT, "points": points}, indent=1)
    write_atomically(path, lambda new: new.write_text(content + "\n", encoding="utf-8"))


def hash_of(record: dict, names: Sequence[str]) -> str:
    """SHA-256 over the sealed fields of a record."""
    return hashlib.sha256(_text({name: record[name] for name in names}).encode()).hexdigest()


def altered_fields(entry, names: Sequence[str]) -> list[str]:
    """The names of the fields that do not match their seals; empty for a record as it was written."""
    if not isinstance(entry, dict):
        return ["all of it"]
    seals = entry.get("seals") if isinstance(entry.get("seals"), dict) else {}
    altered = [name for name in names if name not in entry or seals.get(name) != _seal(name, entry[name])]
    altered += sorted(set(entry) - {"id", "hash", "seals", *names})
    if not altered and entry.get("hash") != hash_of(entry, names):
        altered.append("hash")
    if not altered and entry.get("id") != str(entry["hash"])[:12]:
        altered.append("id")
    return altered


def file_lock(path: Path) -> FileLock:
    """A lock for reading and then writing a file; its folder is made if needed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = path.with_name(f".{path.name}.lock")
        lock_file.touch()
    except OSError as error:
        raise unwritable(path, error) from error
    return FileLock(lock_file)


def _fields_of(entry, kinds: tuple[Sequence[str], ...]) -> Sequence[str]:
    """The fields of the kind of record that this is: the one with most of them."""
    present = set(entry) if isinstance(entry, dict) else set()
    return max(kinds, key=lambda names: len(present & set(names)) / len(names))


def _exact(text: str) -> float | str:
    """The number, or its text where this program would have written it differently; text matches no seal.

    The 17th digit of a number can be altered without changing the number that is read.
    """
    return float(text) if repr(float(text)) == text else text


def _seal(name: str, value) -> str:
    return hashlib.sha256(f"{name}={_text(value)}".encode()).hexdigest()[:16]


def _text(value) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
