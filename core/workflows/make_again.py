"""Make a derived file again: for the button beside an error, and for `doctor --repair`.

Derived are decoded pixels, thumbnails, measures, scores, audits, feature vectors, maps and label revisions. Files that
people made or gave (indexes, verdicts, thresholds, checkpoints) are not derived; restore them from a copy.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from core.checksums import ENDING, remove_checked
from core.data.index import read_dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.paths import home

Progress = Callable[[int, int, str], None]
Way = Callable[[Progress | None], object]
_PIXELS = re.compile(r"(pad|crop|stretch)(\d+)")


def can_be_made_again(file: Path | str) -> bool:
    """Whether `make_again` knows how."""
    return _way(Path(file)) is not None


def make_again(file: Path | str, progress: Progress | None = None) -> None:
    """Make a damaged derived file of this workspace again. OverreadError where the file is not derived, or cannot be
    made now."""
    way = _way(Path(file))
    if way is None:
        raise OverreadError(
            f"{file} cannot be made again: it is not derived from other files. Restore it from a copy.",
            code="not-derived",
        )
    way(progress)


def _way(file: Path) -> Way | None:
    """The function that makes a file again; None for a file that is not derived."""
    try:
        kind, *rest = file.resolve().relative_to(home()).parts
    except (ValueError, OSError):
        return None
    path = file if file.suffix != ENDING else file.with_suffix("")
    if kind == "cache" and len(rest) > 1:
        return _cached(path, rest[0], rest[1])
    if kind in ("maps", "estimates", "stability") and rest:
        return lambda progress: _remove(path, path.with_suffix(".npz"))
    whole = {"predictions": _score, "embeddings": _embed, "labels": _revise}
    if kind == "predictions" and len(rest) == 3:
        return lambda progress: _score(path.parent, rest[0], progress)  # a shard: whole ones are not scored again
    if kind in whole and len(rest) == 2:
        return lambda progress: whole[kind](path, rest[0], progress)
    if kind == "audits" and len(rest) == 1:
        return lambda progress: _audit(path, progress)
    return None


def _cached(path: Path, name: str, part: str) -> Way | None:
    from core.data.decode import decode, measures_table

    if found := _PIXELS.fullmatch(part):
        spec = InputSpec(int(found[2]), found[1])
        return lambda progress: decode(read_dataset(name), read_index(name), spec, progress=progress, mend=True)
    if part == "thumbnails":

        def thumbnails(progress: Progress | None) -> None:
            _remove(path)
            decode(read_dataset(name), read_index(name), thumbnail=True, progress=progress)

        return thumbnails
    if part.startswith("measures-"):

        def measures(progress: Progress | None) -> None:
            _remove(path)
            measures_table(read_dataset(name), read_index(name), progress)

        return measures
    return None


def _score(path: Path, data: str, progress: Progress | None) -> None:
    from core.models.checkpoint import read_checkpoint
    from core.scores.score_table import ScoringOrder
    from core.scores.shards import is_sharded, read_table
    from core.scores.source import source_of
    from core.workflows.score import score

    checkpoint = read_checkpoint(path.stem.split(".tta-")[0])
    if ".tta-" in path.stem:
        # Which augmentation it had is in its own rows alone.
        shutil.rmtree(path) if is_sharded(path) else _remove(path)
        return
    splits = read_table(path).splits if is_sharded(path) else None
    score(ScoringOrder(source_of(checkpoint, read_dataset(data)), splits), progress)


def _embed(path: Path, data: str, progress: Progress | None) -> None:
    from core.models.checkpoint import list_checkpoints
    from core.scores.embeddings import compute_embeddings, embeddings_files
    from core.scores.source import source_of

    dataset = read_dataset(data)
    for checkpoint in list_checkpoints()[0]:
        source = source_of(checkpoint, dataset)
        if path in embeddings_files(source):
            compute_embeddings(source, progress)
            return
    _remove(path)  # its weights or its index no longer exist


def _revise(path: Path, data: str, progress: Progress | None) -> None:
    from core.review.label_revisions import find_revision
    from core.review.store import open_store

    _remove(path)
    number = path.stem.removeprefix("revision").split("-")[0]
    find_revision(open_store(), data, number)


def _audit(path: Path, progress: Progress | None) -> None:
    from core.workflows.audit_job import audit_dataset

    _remove(path)
    audit_dataset(read_dataset(path.stem), progress)


def _remove(*files: Path) -> None:
    for file in files:
        remove_checked(file)
