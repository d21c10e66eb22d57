"""Checksums of files: written with them, and compared when a file is read.

A Parquet file or a file of bytes has its SHA-256 in `NAME.sha256` beside it, as `sha256sum` writes it. A JSON file has
it as its last key. Files of earlier versions have none and are read as they are.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock

from core.errors import OverreadError
from core.paths import home, unwritable, write_atomically

ENDING = ".sha256"
KEY = "sha256"
ALTERED = "it does not have the checksum that it was written with"
_LINE = re.compile(r"([0-9a-f]{64})  .+")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# Files that this process has compared, with their state on the disk then.
_compared: dict[Path, tuple] = {}
_compared_lock = threading.Lock()


def file_hash(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal. OverreadError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise OverreadError(
            f"{file} cannot be read ({error.strerror or error}). Restore it.", code="file-unreadable"
        ) from error


def checksum_file(path: Path) -> Path:
    """The file of a file's checksum."""
    return path.with_name(path.name + ENDING)


def write_checked(path: Path, write: Callable[[Path], object]) -> Path:
    """`core.paths.write_atomically`, with the SHA-256 of the new file beside it.

    While the file is replaced, the checksums of the old and the new file are stored, so a file fits after any kill.
    """
    new: list[str] = []

    def filled(temporary: Path) -> None:
        write(temporary)
        new.append(file_hash(temporary))
        before = _known(path) or ([file_hash(path)] if path.exists() else [])
        _write_known(path, [*before[-1:], *new])

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may score the same data set; elsewhere one process writes, and needs no lock file.
        shared = path.resolve().is_relative_to(home())
        with FileLock(path.parent / ".checksums.lock") if shared else nullcontext():
            write_atomically(path, filled)
            _write_known(path, new)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def check_file(path: Path) -> bool:
    """Whether a file has a checksum; ValueError where it does not fit. FileNotFoundError where there is no file.

    Each process compares a file once, and again after each write.
    """
    for _ in range(4):
        state = _state(path)
        with _compared_lock:
            if _compared.get(path) == state:
                return True
        found, expected = _hash(path), _known(path)
        if expected is None:
            return False
        if found in expected:
            with _compared_lock:
                _compared[path] = state
            return True
        # Another process may have replaced the file meanwhile.
        if _state(path) == state and _known(path) == expected:
            break
    raise ValueError(f"{ALTERED}, which is in {checksum_file(path).name}")


def remove_checked(path: Path) -> None:
    """Remove a file and its checksum, where they exist."""
    path.unlink(missing_ok=True)
    checksum_file(path).unlink(missing_ok=True)


def write_json(path: Path, values: dict, indent: int | None = None) -> Path:
    """Write a JSON object with its checksum as the last key."""
    text = json_text(values, indent)
    return write_atomically(path, lambda new: new.write_text(text, encoding="utf-8"))


def json_text(values: dict, indent: int | None = None) -> str:
    """A JSON object with its checksum as the last key; without an indent one line. `parse_json` reads it."""
    plain = json.loads(json.dumps(values))
    return json.dumps({**plain, KEY: digest(plain)}, indent=indent) + "\n"


def read_json(path: Path) -> dict:
    """The JSON object of a file, without its checksum. OSError or ValueError where it cannot be read or was altered."""
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str) -> dict:
    """The same, of the text of a file."""
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"it has {type(values).__name__} in place of a JSON object")
        stored = values.pop(KEY, None)
        if stored is not None and stored != digest(values):
            raise ValueError(ALTERED)
        if stored is None and any(_is_checksum(values, name) for name in values):
            raise ValueError(ALTERED)  # in the name of the key
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return values


def digest(values: object) -> str:
    """SHA-256 of JSON values; the order of their keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _is_checksum(values: dict, name: str) -> bool:
    value = values[name]
    if not (isinstance(value, str) and _DIGEST.fullmatch(value)):
        return False
    return digest({key: one for key, one in values.items() if key != name}) == value


def _hash(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _state(path: Path) -> tuple:
    facts = path.stat()
    beside = checksum_file(path)
    return facts.st_ino, facts.st_mtime_ns, facts.st_size, beside.stat().st_mtime_ns if beside.exists() else 0


def _known(path: Path) -> list[str] | None:
    """The checksums that a file may have; None where none are stored. ValueError where they cannot be read."""
    try:
        lines = checksum_file(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    found = [_LINE.fullmatch(line) for line in lines]
    if not found or None in found:
        raise ValueError(f"{checksum_file(path).name} beside it is damaged")
    return [match[1] for match in found if match]


def _write_known(path: Path, hashes: list[str]) -> None:
    text = "".join(f"{one}  {path.name}\n" for one in dict.fromkeys(hashes))
    write_atomically(checksum_file(path), lambda new: new.write_text(text, encoding="utf-8"))
