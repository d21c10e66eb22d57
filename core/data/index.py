"""The Index: one row per radiograph of a MURA tree, a manifest or a folder of DICOM, and the data set it is kept in."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.data import dicom_files, manifest, mura
from core.data.grey_levels import UnreadableImage
from core.data.inspect import FileFacts, inspect
from core.data.split import assign_folds, assign_splits, group_ids, linked_group_ids
from core.errors import OverreadError
from core.paths import dataset_folder, home, unwritable, write_atomically
from core.schema import INDEX, check

Progress = Callable[[int, int, str], None]
_FACTS = b"overread"
_FILE_FACTS = "files.parquet"
_COLUMNS = ("bytes", "mtime_ns", "width", "height", "sha1", "peculiar")
# A file written so shortly before it was looked at may be written again within the same tick of its clock.
_SETTLED_NS = 2_000_000_000
# Files that one task of a thread looks at.
_TOGETHER = 32


@dataclass(frozen=True)
class Indexed:
    """What indexing found. The lists hold {path, reason} of everything left out or in doubt, or stored oddly."""

    frame: pd.DataFrame
    root: Path
    source: Path
    kind: str
    phantom: bool = False
    unreadable: list = field(default_factory=list)
    stray: list = field(default_factory=list)
    conflicts: list = field(default_factory=list)
    converted: list = field(default_factory=list)
    # {path in the index: file below root}, where a file's own name would name the patient.
    links: dict = field(default_factory=dict)
    # {path: (bytes, mtime_ns, width, height, sha1, peculiar)} of every readable file, for the next indexing.
    facts: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Before:
    """What an earlier index knows: its frame, its files' facts, where its splits came from."""

    frame: pd.DataFrame
    facts: dict
    splits_from: str


@dataclass(frozen=True)
class Dataset:
    """A named Index on disk: where its radiographs lie and what it was made from."""

    name: str
    root: str
    kind: str
    phantom: bool
    created: str
    index_hash: str
    patients_known: int
    splits_from: str

    @property
    def folder(self) -> Path:
        return dataset_folder(self.name)

    def problems(self) -> dict[str, list]:
        """What was left out or is in doubt: lists `unreadable`, `stray`, `conflicts`, `converted` of {path, reason}."""
        file = self.folder / "problems.json"
        try:
            lists = json.loads(file.read_text())
            return {
                kind: [{"path": row["path"], "reason": row["reason"]} for row in rows] for kind, rows in lists.items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise OverreadError(f"{file} cannot be read ({error}). Index the data set again.") from error


def build_index(
    source: Path | str,
    columns: dict[str, str] | None = None,
    valid_fraction: float = 0.2,
    folds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
    labels: Path | None = None,
    before: Before | None = None,
) -> Indexed:
    """Index a MURA tree, a manifest file, a folder that holds labels.csv, or a folder of DICOM.

    Splits that the source gives are kept; otherwise `valid_fraction` of the patients become 'valid'. Train is dealt
    into `folds`, by patient. labels: a table of labels for DICOM. before: an earlier index of the same source, from
    `read_before`: files that did not change are not read again, and patients stay where they were dealt.
    OverreadError where there is nothing to index.
    """
    source = Path(source)
    if not os.path.exists(source):  # unlike Path.exists, no error on a name that is too long
        raise OverreadError(
            f"{source} does not exist; expected a MURA folder, a manifest (CSV or Parquet), "
            "a folder with labels.csv, or a folder of DICOM. Check the path."
        )
    if not 0 <= valid_fraction < 1 or folds < 2 or seed < 0:
        raise OverreadError(
            f"valid fraction {valid_fraction}, {folds} folds and seed {seed} were given; expected a fraction from 0 "
            "(no valid, for out-of-fold scores of everything) to below 1, 2 folds or more and a seed from 0."
        )
    frame, root, kind, rejected, stray, conflicts, links = _gather(source, columns or {}, labels)
    paths = frame["path"].tolist()
    facts, unreadable, kept = _inspect_all(root, [links.get(path, path) for path in paths], progress, before)
    names = dict(zip(links.values(), links))
    unreadable = [{**row, "path": names.get(row["path"], row["path"])} for row in unreadable]
    converted = [{"path": path, "reason": fact.peculiar} for path, fact in zip(paths, facts) if fact and fact.peculiar]
    frame = frame[[fact is not None for fact in facts]].reset_index(drop=True)
    if frame.empty:
        first = [*unreadable, *rejected, *stray][:1]
        example = f" (first: {first[0]['path']}: {first[0]['reason']})" if first else ""
        raise OverreadError(
            f"{source} holds no radiograph that can be read{example}; expected images in MURA's layout "
            "or named in a manifest."
        )
    frame = _complete(frame, [fact for fact in facts if fact], valid_fraction, folds, seed, before)
    return Indexed(
        frame,
        root,
        source,
        kind,
        (root / "phantom.json").exists(),
        rejected + unreadable,
        stray,
        conflicts + _label_conflicts(frame),
        converted,
        links,
        kept,
        _changes(frame, before),
    )


def write_dataset(name: str, indexed: Indexed) -> Dataset:
    """Put the index in place, its description last. An older one of that name is replaced in whole or not at all."""
    frame = indexed.frame
    root = _link_files(name, indexed) if indexed.links else indexed.root
    dataset = Dataset(
        name=name,
        root=str(root.resolve()),
        kind=indexed.kind,
        phantom=indexed.phantom,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        index_hash=index_hash(frame),
        patients_known=int(frame["patient_id"].nunique()),
        splits_from=frame.attrs.get("splits_from", "source"),
    )
    kinds = ("unreadable", "stray", "conflicts", "converted")
    problems = {kind: getattr(indexed, kind) for kind in kinds}
    facts, folder = json.dumps(asdict(dataset), indent=1), dataset.folder
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # The facts travel inside the index, so that the one file that is replaced in one step says what it belongs to.
    table = table.replace_schema_metadata({**table.schema.metadata, _FACTS: facts.encode()})
    write_atomically(folder / "problems.json", lambda path: path.write_text(json.dumps(problems, indent=1)))
    write_atomically(folder / _FILE_FACTS, lambda path: _write_file_facts(path, indexed))
    write_atomically(folder / "index.parquet", lambda path: pq.write_table(table, path))
    write_atomically(folder / "dataset.json", lambda path: path.write_text(facts))
    return dataset


def read_before(name: str, source: Path | str) -> Before | None:
    """What an earlier index of the same source knows; None where there is none, or it is of something else."""
    file = dataset_folder(name) / _FILE_FACTS
    try:
        table = pq.read_table(file)
        if (table.schema.metadata or {}).get(b"source", b"").decode() != str(Path(source).resolve()):
            return None
        rows = table.to_pydict()
        dataset, frame = read_dataset(name), read_index(name)
    except (OSError, ValueError, KeyError, pa.ArrowException):  # OverreadError is a ValueError
        return None
    # Indexes of before did not note what is peculiar.
    rows.setdefault("peculiar", [""] * len(rows["path"]))
    facts = dict(zip(rows["path"], zip(*(rows[column] for column in _COLUMNS))))
    return Before(frame, facts, dataset.splits_from)


def read_dataset(name: str) -> Dataset:
    """The description of a data set. OverreadError names the ones there are."""
    file = dataset_folder(name) / "dataset.json"
    try:
        return _read_facts(file)
    except OSError:
        there = ", ".join(dataset.name for dataset in list_datasets()) or "none yet"
        raise OverreadError(
            f"There is no data set {name!r} in {home()} (there: {there}). "
            f"Make it with: python -m core index PATH --name {name}"
        ) from None
    except (ValueError, TypeError) as error:
        raise OverreadError(
            f"{file} is damaged ({error}). Index the data set again; its radiographs are not touched."
        ) from error


def read_index(name: str) -> pd.DataFrame:
    """The Index of a data set, checked."""
    file = read_dataset(name).folder / "index.parquet"
    try:
        frame = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be read ({str(error).splitlines()[0]}). Index the data set again."
        ) from error
    if frame.empty:
        raise OverreadError(f"{file} holds no radiograph. Index the data set again.")
    return check(frame, INDEX, str(file))


def list_datasets() -> list[Dataset]:
    """Every data set that can be read, by name."""
    found = []
    for file in sorted((home() / "datasets").glob("*/dataset.json")):
        try:
            found.append(_read_facts(file))
        except (OSError, ValueError, TypeError):
            continue  # named by read_dataset when it is asked for
    return found


def broken_datasets() -> dict[str, str]:
    """The data sets whose description cannot be read, and what to do about each."""
    names = {file.parent.name for file in (home() / "datasets").glob("*/*.*")} - {
        found.name for found in list_datasets()
    }
    return {
        name: f"Its description cannot be read. Index it again: python -m core index PATH --name {name}"
        for name in sorted(names)
    }


def _read_facts(file: Path) -> Dataset:
    """The description beside the index; the one inside it, where a kill between the two left the older one beside."""
    beside = json.loads(file.read_text())
    try:
        inside = (pq.read_schema(file.with_name("index.parquet")).metadata or {}).get(_FACTS)
    except (OSError, pa.ArrowException):
        inside = None  # read_index says what is wrong with it
    return Dataset(**(json.loads(inside) if inside else beside))


def index_hash(frame: pd.DataFrame) -> str:
    """SHA-256 of what decides a result: which files, whose, of what, their labels, splits and folds."""
    names = ("image_id", "path", "sha1", "study_id", "patient_id", "group_id", "bone", "view", "label", "split", "fold")
    parts = frame[list(names)].astype(str)
    return hashlib.sha256(parts.sort_values("image_id").to_csv(index=False).encode()).hexdigest()


def conflicting_studies(frame: pd.DataFrame) -> set[str]:
    """Studies whose radiographs carry different labels; they have no label to learn from or to be judged by."""
    spread = frame.groupby("study_id")["label"].nunique()
    return set(spread[spread > 1].index)


def _gather(source: Path, columns: dict[str, str], labels: Path | None):
    if source.is_dir() and (root := mura.mura_root(source)):
        rows, stray = mura.walk(root)
        return mura.frame_of(rows), root, "mura", [], stray, mura.csv_conflicts(root, rows), {}
    file = source / "labels.csv" if source.is_dir() else source
    if source.is_dir() and (labels or not _is_manifest(file, columns)):
        found = dicom_files.walk(source)
        if found.files:
            from core.data import dicom_rows  # pydicom is loaded where there is something to read

            table = dicom_files.read_labels(labels or (file if file.is_file() else None))
            rows = dicom_rows.frame_of(source, found.files, table, found.stray)
            return rows.frame, source, "dicom", rows.left_out, rows.stray, rows.repeated, rows.links
    if not file.is_file():
        raise OverreadError(
            f"{source} holds neither MURA's folders (train/XR_WRIST/...) nor labels.csv nor DICOM files; give the MURA "
            "folder, a manifest with the columns path, label and bone, or a folder of DICOM."
        )
    frame, rejected = manifest.read_manifest(file, columns)
    return frame, file.parent, "manifest", rejected, [], [], {}


def _is_manifest(file: Path, columns: dict[str, str]) -> bool:
    """Whether labels.csv names files and bones; one that names only DICOM's own ids labels a folder of DICOM."""
    if not file.is_file():
        return False
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            names = {name.strip().strip('"').lower() for name in opened.readline().replace(";", ",").split(",")}
    except OSError:
        return True  # the manifest's reader says what is wrong with it
    bones = {columns.get("bone", "").lower(), "bone", "body_part"}
    return {columns.get("path", "path").lower()} <= names and bool(bones & names)


def _inspect_all(root: Path, paths: list[str], progress: Progress | None, before: Before | None):
    """Facts of each file, None where it is unreadable; the list of those; and what to remember of the readable ones.

    In threads: hashing and decoding free the GIL.
    """
    facts: list[FileFacts | None] = []
    unreadable, kept = [], {}
    known = before.facts if before else {}
    now = time.time_ns()

    place = str(root)

    def look(path: str):
        try:
            about = os.stat(os.path.join(place, path))
            stamp = (about.st_size, about.st_mtime_ns)
            if known.get(path, ())[:2] == stamp:
                size, _, width, height, sha1, peculiar = known[path]
                return FileFacts(width, height, size, sha1, peculiar), stamp
        except (OSError, ValueError):
            stamp = None  # inspect says what is wrong
        try:
            return inspect(root / path), stamp
        except UnreadableImage as error:
            return error, stamp

    # A task a file would cost more than looking at one that did not change.
    parts = [paths[start : start + _TOGETHER] for start in range(0, len(paths), _TOGETHER)]
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        looked = chain.from_iterable(pool.map(lambda part: [look(path) for path in part], parts))
        for done, (path, (result, stamp)) in enumerate(zip(paths, looked), 1):
            failed = isinstance(result, UnreadableImage)
            facts.append(None if failed else result)
            if failed:
                unreadable.append({"path": path, "reason": result.reason})
            elif stamp and stamp[1] < now - _SETTLED_NS:
                kept[path] = (*stamp, result.width, result.height, result.sha1, result.peculiar)
            if progress and (done % 64 == 0 or done == len(paths)):
                progress(done, len(paths), "reading files")
    return facts, unreadable, kept


def _changes(frame: pd.DataFrame, before: Before | None) -> dict[str, int]:
    """How many radiographs were added, changed (in content), left as they were, and removed since the earlier index."""
    old = before.frame.set_index("image_id")["sha1"] if before else pd.Series(dtype="str")
    was = frame["image_id"].map(old)
    return {
        "added": int(was.isna().sum()),
        "changed": int((was.notna() & (was != frame["sha1"])).sum()),
        "unchanged": int((was == frame["sha1"]).sum()),
        "removed": int((~old.index.isin(frame["image_id"])).sum()),
    }


def _link_files(name: str, indexed: Indexed) -> Path:
    """A folder of links whose names name nobody, in place of the files themselves."""
    folder = dataset_folder(name) / "files"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # where the links lead still names the patient
        for shown, real in indexed.links.items():
            place, target = folder / shown, (indexed.root / real).resolve()
            if not (place.is_symlink() and place.resolve() == target):
                place.unlink(missing_ok=True)
                place.symlink_to(target)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _write_file_facts(file: Path, indexed: Indexed) -> None:
    # By the path in the index where the real one would name the patient: that file is then read again.
    rows = {} if indexed.links else indexed.facts
    table = pa.table(
        {"path": list(rows), **{column: [row[place] for row in rows.values()] for place, column in enumerate(_COLUMNS)}}
    )
    pq.write_table(table.replace_schema_metadata({b"source": str(indexed.source.resolve()).encode()}), file)


def _complete(
    frame: pd.DataFrame,
    facts: list[FileFacts],
    valid_fraction: float,
    folds: int,
    seed: int,
    before: Before | None,
) -> pd.DataFrame:
    for name in ("width", "height", "bytes", "sha1"):
        frame[name] = [getattr(fact, name) for fact in facts]
    for name in ("patient_id", "view"):
        frame[name] = frame[name].astype("str")
    given = "split" in frame.columns
    link = group_ids if given else linked_group_ids
    frame["group_id"] = link(frame["patient_id"], frame["study_id"], frame["sha1"])
    made = f"made here: {valid_fraction:.0%} of patients valid, seed {seed}"
    splits_from = "source" if given else made
    # Dealt with other settings, an earlier deal is no guide; with the same, nobody changes sides.
    same = before is not None and before.splits_from == splits_from
    old = before.frame.set_index("image_id")[["split", "fold"]] if same else None
    if not given:
        frame["split"] = assign_splits(
            frame, valid_fraction, seed, frame["image_id"].map(old["split"]) if same else None
        )
    same_folds = same and int(old["fold"].max()) < folds
    frame["fold"] = assign_folds(frame, folds, seed, frame["image_id"].map(old["fold"]) if same_folds else None)
    frame.attrs["splits_from"] = splits_from
    ordered = [*INDEX, *[name for name in frame.columns if name not in INDEX]]
    return check(frame[ordered], INDEX, "the new index")


def _label_conflicts(frame: pd.DataFrame) -> list[dict]:
    return [
        {
            "path": study,
            "reason": "its radiographs carry both labels; the study counts as unlabelled until that is mended",
        }
        for study in sorted(conflicting_studies(frame))
    ]
