"""One bit or byte is changed in every kind of file: read again, the values are the same or a sentence refuses them."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hard.artifacts import AGAIN, Artifact, find_artifacts
from hard.mutations import flip
from hard.trials import Trial, caught
from hard.workspace import make_workspace

# Of each kind of file.
COUNT = 60


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Make a workspace and flip `count` times in each kind of file."""
    for artifact in find_artifacts(make_workspace(folder)):
        yield from flip_file(artifact, seed, count)


def flip_file(artifact: Artifact, seed: int, count: int) -> Iterator[Trial]:
    """Flip in one file, each time from the content that it was written with."""
    draw = random.Random(f"{seed} {artifact.name}")
    original = settle(artifact)
    around = {file: file.read_bytes() for file in small_files(artifact.file)}
    expected = artifact.read()
    for _ in range(count):
        changed, words = blanked(original, artifact.block, draw) if artifact.block else flip(original, draw)
        if changed == original:
            continue
        artifact.file.write_bytes(changed)
        with caught("same") as outcome:
            found = artifact.read()
            if found != expected:
                outcome.name = "made again" if found == AGAIN else "silent"
        if outcome.name == "refused" and not is_named(artifact, outcome.detail):
            outcome.name = "unnamed"
        restore(artifact, original, around)
        yield Trial(artifact.name, outcome.name, f"{words}: {outcome.detail}" if outcome.detail else words)


def settle(artifact: Artifact) -> bytes:
    """The content of the file, after SQLite has moved its write-ahead log into it."""
    artifact.read()
    if artifact.file.suffix == ".sqlite":
        with sqlite3.connect(artifact.file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        for ending in ("-wal", "-shm"):
            artifact.file.with_name(artifact.file.name + ending).unlink(missing_ok=True)
    return artifact.file.read_bytes()


def small_files(file: Path) -> list[Path]:
    """The other files of its folder, which a reader may repair."""
    return [path for path in file.parent.iterdir() if path.is_file() and path != file and path.stat().st_size < 5e6]


def restore(artifact: Artifact, original: bytes, around: dict[Path, bytes]) -> None:
    """Put everything back as it was."""
    for path in small_files(artifact.file):
        if path not in around:
            path.unlink()
    for path, content in {artifact.file: original, **around}.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def is_named(artifact: Artifact, sentence: str) -> bool:
    """Whether a sentence says which file, folder or data set it is about."""
    return any(name in sentence for name in (*artifact.names, artifact.file.name, artifact.file.parent.name, "demo"))


def blanked(content: bytes, length: int, draw: random.Random) -> tuple[bytes, str]:
    """A block of the file set to zero."""
    place = 128 + length * draw.randrange(max(1, (len(content) - 128) // length))
    return content[:place] + bytes(len(content[place : place + length])) + content[
        place + length :
    ], f"zeros at {place}"
