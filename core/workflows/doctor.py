"""Examine a workspace: hashes, files that nothing uses, sizes, versions, rights; and make derived files again."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from core import jobs
from core.audit.audit import audit_file
from core.checksums import check_file, read_json
from core.data import pixel_store, thumbnails
from core.data.index import broken_datasets, list_datasets, read_index
from core.data.labels import read_labels
from core.errors import OverreadError, reason_of
from core.explain.map_store import is_whole, maps_folder
from core.models.checkpoint import list_checkpoints
from core.paths import home
from core.plural import count_text, share_clause
from core.review.database import VERSION as DATABASE_VERSION
from core.review.store import open_store
from core.scores.imports import broken_imports, imported_predictions, list_imported
from core.scores.operating_points import POINTS, read_points_file
from core.scores.predictions import read_file
from core.scores.shards import MANIFEST, check_shards
from core.scores.verification_log import LOOKS, read_looks
from core.temporaries import PRIVATE, stale_temporaries
from core.version import VERSION
from core.workflows.make_again import can_be_made_again, make_again
from core.workflows.verify_verdicts import verify_verdicts
from core.workflows.workspace import Share, shares

Progress = Callable[[int, int, str], None]
_STALE, _RIGHTS = "left by a killed process", "open to others"


@dataclass(frozen=True)
class FileProblem:
    """One thing that is wrong. kind: 'damaged', 'orphan', 'stale' or 'open'. repairable: by `repair`."""

    kind: str
    path: str
    problem: str
    repairable: bool


@dataclass(frozen=True)
class Examination:
    """The result of an examination of the workspace."""

    workspace: str
    checked: dict[str, int]
    findings: list[FileProblem]
    shares: list[Share]
    versions: dict[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """As JSON values."""
        sizes = [
            {"kind": one.kind.name, "files": one.files, "bytes": one.bytes, "may_be_deleted": one.kind.may_be_deleted,
             "made_again": one.kind.again} for one in self.shares
        ]  # fmt: skip
        return {
            "workspace": self.workspace, "checked": self.checked, "versions": self.versions, "sizes": sizes,
            "findings": [asdict(finding) for finding in self.findings],
        }  # fmt: skip


def examine(progress: Progress | None = None) -> Examination:
    """Compare every file of the workspace with its checksum, and list files that are damaged or that nothing uses."""
    steps: list[tuple[str, Callable[[], Iterator[FileProblem | None]]]] = [
        ("data sets", _datasets),
        ("radiographs", _radiographs),
        ("pixel caches", _pixels),
        ("thumbnails", _thumbnails),
        ("tables with a checksum", _checked_files),
        ("imported sets", _imports),
        ("checkpoints", _checkpoints),
        ("saliency maps", _maps),
        ("audits", _audits),
        ("label revisions", _revisions),
        ("records of thresholds", _records),
        ("review databases", _verdicts),
        ("jobs", _jobs),
        ("temporary files", _temporaries),
        ("files open to others", _open_files),
    ]
    checked, findings = {}, []
    for number, (name, step) in enumerate(steps):
        if progress:
            progress(number, len(steps), f"checking {name}")
        found = list(step())
        checked[name] = len(found)
        findings += [finding for finding in found if finding]
    findings += _orphans()
    if progress:
        progress(len(steps), len(steps), "checked")
    versions = {"overread": VERSION, "review database": DATABASE_VERSION, "pixel cache": pixel_store.VERSION}
    return Examination(str(home()), checked, findings, shares(), versions)


def repair(examination: Examination, progress: Progress | None = None) -> tuple[list[FileProblem], list[str]]:
    """Make again what can be made again; what was repaired, and a sentence for each that could not be."""
    done, failed = [], []
    for finding in examination.findings:
        if not finding.repairable:
            continue
        try:
            if finding.kind == "stale":
                Path(finding.path).unlink(missing_ok=True)
            elif finding.kind == "open":
                _close(Path(finding.path))
            else:
                make_again(finding.path, progress)
            done.append(finding)
        except (OverreadError, OSError) as error:
            failed.append(f"{finding.path} could not be made again: {reason_of(error, 300)}.")
    return done, failed


def _damaged(path: Path, problem: object) -> FileProblem:
    return FileProblem("damaged", str(path), str(problem), can_be_made_again(path))


def _tried(path: Path, read: Callable[[], object]) -> FileProblem | None:
    """None where a file can be read, else what is wrong."""
    try:
        read()
        return None
    except OverreadError as error:
        return _damaged(path, error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _damaged(path, f"{path} cannot be used: {reason_of(error)}.")


def _datasets() -> Iterator[FileProblem | None]:
    for name, reason in broken_datasets().items():
        yield _damaged(home() / "datasets" / name, reason)
    for dataset in list_datasets():
        yield _tried(dataset.folder / "index.parquet", partial(read_index, dataset.name))
        yield _tried(dataset.folder / "problems.json", dataset.problems)


def _radiographs() -> Iterator[FileProblem | None]:
    """Whether each radiograph is there with the size that it had when it was indexed; reading all would take hours."""
    for dataset in list_datasets():
        try:
            index = read_index(dataset.name)
        except OverreadError:
            continue  # named above
        root, wrong = Path(dataset.root), []
        for path, size in zip(index["path"].tolist(), index["bytes"].tolist()):
            try:
                problem = "" if (root / path).stat().st_size == size else "has another size than when it was indexed"
            except OSError:
                problem = "is missing"
            if problem:
                wrong.append(f"{path} {problem}")
            else:
                yield None
        if wrong:
            yield FileProblem(
                "damaged",
                str(root),
                f"{dataset.name}: {share_clause(len(wrong), len(index), 'radiograph', 'are')} not as indexed below "
                f"{root} (first: {wrong[0]}). Restore the files from a backup, or index the data set again.",
                False,
            )


def _pixels() -> Iterator[FileProblem | None]:
    for folder in sorted((home() / "cache").glob("*/*")):
        size = "".join(letter for letter in folder.name if letter.isdigit())
        if not folder.is_dir() or not folder.name.startswith(("pad", "crop", "stretch")) or not size:
            continue
        stored = pixel_store.load(folder, int(size))
        kept = np.flatnonzero(~stored.hashes.str.startswith(pixel_store.DROPPED)) if len(stored.hashes) else []
        damaged = stored.damaged(np.asarray(kept, int)) if len(kept) else []
        if len(damaged):
            words = f"the pixels of {count_text(len(damaged), 'radiograph')} do not have their checksum"
            yield _damaged(stored.file, f"{stored.file} was altered: {words}.")
        else:
            yield None


def _thumbnails() -> Iterator[FileProblem | None]:
    for file in sorted((home() / "cache").glob("*/thumbnails/*/*.jpg")):
        whole = thumbnails.is_intact(file)
        yield None if whole else _damaged(file, f"{file} was altered; it is made again when it is shown.")


def _checked_files() -> Iterator[FileProblem | None]:
    for place in ("datasets", "cache", "predictions", "embeddings", "stability", "checkpoints", "radiograph_weights"):
        for beside in sorted((home() / place).rglob("*.sha256")):
            file = beside.with_suffix("")
            if not file.exists():
                yield FileProblem("orphan", str(beside), f"{beside} is the checksum of a file that is gone.", False)
            elif place == "predictions":
                yield _tried(file, partial(read_file, file))
            elif file.name != "index.parquet":
                yield _tried(file, partial(check_file, file))
    for manifest in sorted((home() / "predictions").glob(f"*/*/{MANIFEST}")):
        yield _tried(manifest.parent, partial(check_shards, manifest.parent))


def _imports() -> Iterator[FileProblem | None]:
    for name, reason in broken_imports().items():
        yield _damaged(home() / "imported" / name, reason)
    for found in list_imported():
        yield _tried(found.folder / "predictions.parquet", partial(imported_predictions, found))


def _checkpoints() -> Iterator[FileProblem | None]:
    whole, broken = list_checkpoints()
    for name, reason in broken.items():
        yield _damaged(home() / "checkpoints" / name, reason)
    for checkpoint in whole:
        yield _tried(checkpoint.folder / "history.csv", checkpoint.history)


def _maps() -> Iterator[FileProblem | None]:
    for file in sorted(maps_folder().glob("*/*.json")):
        yield (None if is_whole(file) else _damaged(file, f"{file} was altered; it is made again when it is opened."))


def _audits() -> Iterator[FileProblem | None]:
    for dataset in list_datasets():
        if (file := audit_file(dataset)).exists():
            yield _tried(file, partial(read_json, file))


def _revisions() -> Iterator[FileProblem | None]:
    for file in sorted((home() / "labels").glob("*/revision*.parquet")):
        reference = file.stem.removeprefix("revision").replace("-", "@")
        yield _tried(file, partial(read_labels, file.parent.name, reference))


def _records() -> Iterator[FileProblem | None]:
    places = [*(home() / "records").glob("*/*"), *(home() / "imported").glob("*")]
    for folder in sorted(place for place in places if place.is_dir()):
        if (points := folder / POINTS).exists():
            yield _tried(points, partial(read_points_file, points))
        if (looks := folder / LOOKS).exists():
            yield _tried(looks, partial(read_looks, looks))


def _verdicts() -> Iterator[FileProblem | None]:
    try:
        store = open_store()
        problems = verify_verdicts(store).problems
    except OverreadError as error:
        yield FileProblem("damaged", "review database", str(error), False)
        return
    place = store.place
    store.engine.dispose()
    yield from (FileProblem("damaged", place, problem, False) for problem in problems)
    if not problems:
        yield None


def _jobs() -> Iterator[FileProblem | None]:
    yield from (FileProblem("damaged", name, reason, False) for name, reason in jobs.broken_jobs().items())
    yield from (None for _ in jobs.list_jobs())


def _temporaries() -> Iterator[FileProblem | None]:
    for file in stale_temporaries(home()):
        yield FileProblem("stale", str(file), f"{file} was {_STALE}.", True)


def _open_files() -> Iterator[FileProblem | None]:
    root = home()
    if root.is_dir() and root.stat().st_mode & PRIVATE:
        yield FileProblem("open", str(root), f"{root} is {_RIGHTS} than its owner.", True)


def _close(folder: Path) -> None:
    """Take the rights of others away, of the folder and all that is in it."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            with suppress(FileNotFoundError):
                path.chmod(path.stat().st_mode & ~PRIVATE)


def _orphans() -> list[FileProblem]:
    """Folders and files of data sets that are not indexed any more."""
    known, found = {dataset.name for dataset in list_datasets()} | set(broken_datasets()), []
    for place in ("cache", "predictions", "embeddings", "stability"):
        for folder in sorted((home() / place).glob("*")):
            if folder.is_dir() and folder.name not in known:
                words = f"{folder} belongs to a data set {folder.name} that is not indexed here; it may be deleted."
                found.append(FileProblem("orphan", str(folder), words, False))
    return found
