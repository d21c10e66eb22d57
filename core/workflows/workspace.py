"""Contents of the workspace: megabytes by kind, and whether each kind may be deleted."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.paths import home
from core.review.database import FILE as REVIEW


@dataclass(frozen=True)
class FileKind:
    """A kind of files of the workspace. again: how they are made again, '' for what people made or gave."""

    name: str
    folders: tuple[str, ...]
    again: str = ""

    @property
    def may_be_deleted(self) -> bool:
        """Whether a command can make such files again."""
        return bool(self.again)


@dataclass(frozen=True)
class Share:
    """The files of one kind: their number and their bytes."""

    kind: FileKind
    files: int
    bytes: int


KINDS = (
    FileKind("indexes of the data sets", ("datasets",)),
    FileKind("decoded pixels, thumbnails and measures", ("cache",), "python -m core cache NAME --size PIXELS"),
    FileKind("scores of checkpoints", ("predictions",), "python -m core predict CHECKPOINT --data NAME"),
    FileKind("imported scores", ("imported",)),
    FileKind("saliency maps and their checks", ("maps", "trust"), "made again when a map is opened"),
    FileKind("feature vectors", ("embeddings",), "python -m core embed CHECKPOINT --data NAME"),
    FileKind("draws of the stability of scores", ("stability",), "made again on the page Augmentation"),
    FileKind("audits", ("audits",), "python -m core audit NAME"),
    FileKind("estimates of runs", ("estimates",), "python -m core estimate RECIPE --data NAME"),
    FileKind("checkpoints that were trained here", ("checkpoints",)),
    FileKind("locked thresholds and their verifications", ("records",)),
    FileKind("verdicts and walkthroughs", (REVIEW, f"{REVIEW}-wal", f"{REVIEW}-shm")),
    FileKind("label revisions", ("labels",), "written again from the review database when they are read"),
    FileKind("weights of radiographs in training", ("radiograph_weights",)),
    FileKind("radiographs that were uploaded or drawn", ("uploads", "phantoms", "kept-cases", "adding")),
    FileKind("decisions and reports of a service", ("decisions", "outbox")),
    FileKind("requests and output of jobs", ("jobs",)),
)
OTHER = FileKind("other files", ())


def shares(folder: Path | None = None) -> list[Share]:
    """Files and bytes of each kind in a workspace, the largest first; kinds without files are left out."""
    root = folder or home()
    found: dict[FileKind, tuple[int, int]] = {}
    of = {name: kind for kind in KINDS for name in kind.folders}
    for entry in os.scandir(root) if root.is_dir() else ():
        kind = of.get(entry.name, OTHER)
        for size in _sizes(entry):
            files, total = found.get(kind, (0, 0))
            found[kind] = files + 1, total + size
    return sorted((Share(kind, *counted) for kind, counted in found.items()), key=lambda share: -share.bytes)


def _sizes(entry: os.DirEntry) -> Iterator[int]:
    try:
        if entry.is_symlink() or not entry.is_dir():
            yield entry.stat(follow_symlinks=False).st_size
            return
        for child in os.scandir(entry.path):
            yield from _sizes(child)
    except OSError:
        return  # it was removed meanwhile
