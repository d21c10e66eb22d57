"""Data sets on disk: a named Index with its description, read and listed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import pandas as pd

from core.checksums import read_json
from core.data.joins import JoinReport
from core.data.notes import Note, notes_of
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet, read_schema
from core.paths import dataset_folder, file_stamp, home
from core.schema import INDEX, check

# The key of the description inside index.parquet.
DESCRIPTION_KEY = b"overread"
# Folders of the workspace that have radiographs.
OWN_FOLDERS = ("uploads", "phantoms", "kept-cases", "datasets")
PROBLEM_KINDS = ("unreadable", "stray", "conflicts", "converted")


@dataclass(frozen=True)
class Dataset:
    """A named Index: the folder of its radiographs (`root`), what it was made from, and its hash.

    label_level, study_rule: what the labels are about (`core.data.label_levels`); '' where that is not known. outside:
    whether files outside of root were allowed.
    """

    name: str
    root: str
    kind: str
    phantom: bool
    created: str
    index_hash: str
    patients_known: int
    splits_from: str
    label_level: str = ""
    study_rule: str = ""
    outside: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the data set in the workspace."""
        return dataset_folder(self.name)

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the index's hash. Scores store it to say which index they are of."""
        return f"{self.name}@{self.index_hash[:8]}"

    def record(self) -> dict:
        """JSON values that identify the data set in a job."""
        return {"data": self.name, "index_hash": self.index_hash}

    def problems(self) -> dict[str, list]:
        """Lists of {path, reason} by kind (PROBLEM_KINDS): files left out, doubtful labels, converted images."""
        return {
            kind: [{"path": row["path"], "reason": row["reason"]} for row in rows]
            for kind, rows in self._problem_file().items()
            if kind not in ("joins", "notes")
        }

    def joins(self) -> list[JoinReport]:
        """The reports of the joins of this index. Indexes of earlier versions stored none."""
        return [JoinReport(**row) for row in self._problem_file().get("joins", [])]

    def notes(self) -> list[Note]:
        """Remarks on the ids, labels and splits of this index. Indexes of earlier versions stored none."""
        return notes_of(self._problem_file().get("notes", []))

    def _problem_file(self) -> dict:
        file = self.folder / "problems.json"
        try:
            lists = read_json(file)
            for kind in PROBLEM_KINDS:
                for row in lists.get(kind, []):
                    _ = row["path"], row["reason"]
            return {**lists, "joins": [{**row} for row in lists.get("joins", [])]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise OverreadError(
                f"{file} cannot be read ({reason_of(error)}). Index the data set again.", code="problems-unreadable"
            ) from error


def read_dataset(name: str) -> Dataset:
    """The description of a data set. OverreadError lists the data sets that exist."""
    file = dataset_folder(name) / "dataset.json"
    try:
        return _read_description(file)
    except OSError:
        known = ", ".join(dataset.name for dataset in list_datasets()) or "none yet"
        raise OverreadError(
            f"No data set {name!r} in {home()} (found: {known}). "
            f"Create it with: python -m core index PATH --name {name}",
            code="dataset-missing",
        ) from None
    except (ValueError, TypeError) as error:
        raise OverreadError(
            f"{file} is damaged ({reason_of(error)}). Index the data set again; its radiographs are not touched.",
            code="dataset-damaged",
        ) from error


def read_index(name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The Index of a data set, or these columns of INDEX, checked. OverreadError where it is empty or unreadable."""
    file = read_dataset(name).folder / "index.parquet"
    try:
        frame = read_parquet(file, columns)
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}). Index the data set again.", code="index-unreadable"
        ) from error
    if frame.empty:
        raise OverreadError(f"{file} contains no radiograph. Index the data set again.", code="index-empty")
    return check(frame, INDEX if columns is None else {name: INDEX[name] for name in columns}, str(file))


def list_datasets() -> list[Dataset]:
    """Every data set whose description can be read, by name."""
    found = []
    for file in sorted((home() / "datasets").glob("*/dataset.json")):
        try:
            found.append(_read_description(file))
        except (OSError, ValueError, TypeError):
            continue  # broken_datasets lists it
    return found


def broken_datasets() -> dict[str, str]:
    """Data sets whose description cannot be read, each with the reason and what to do."""
    found = {}
    for name in sorted({file.parent.name for file in (home() / "datasets").glob("*/*.*")}):
        try:
            _read_description(home() / "datasets" / name / "dataset.json")
        except (OSError, ValueError, TypeError) as error:
            reason = "it is missing" if isinstance(error, FileNotFoundError) else reason_of(error)
            found[name] = (
                f"Its description cannot be read ({reason}). Index it again: python -m core index PATH --name {name}"
            )
    return found


def index_hash(frame: pd.DataFrame) -> str:
    """SHA-256 of the columns that decide a result: files, studies, patients, bones, views, labels, splits, folds."""
    names = ("image_id", "path", "sha1", "study_id", "patient_id", "group_id", "bone", "view", "label", "split", "fold")
    parts = frame[list(names)].astype(str)
    return hashlib.sha256(parts.sort_values("image_id").to_csv(index=False).encode()).hexdigest()


def conflicting_studies(frame: pd.DataFrame) -> set[str]:
    """Studies whose radiographs have different labels; they count as unlabelled."""
    spread = frame.groupby("study_id")["label"].nunique()
    return set(spread[spread > 1].index)


def study_label_counts(frame: pd.DataFrame) -> dict[str, int]:
    """Studies that are abnormal, normal and unknown (without a label, or with both), of an INDEX or PREDICTIONS."""
    label = frame.groupby("study_id", sort=False)["label"].agg(["min", "max"])
    abnormal = int(((label["min"] == 1) & (label["max"] == 1)).sum())
    normal = int(((label["min"] == 0) & (label["max"] == 0)).sum())
    return {"abnormal": abnormal, "normal": normal, "unknown": len(label) - abnormal - normal}


def _read_description(file: Path) -> Dataset:
    """The description inside index.parquet, which is never older than dataset.json; else that file's own."""
    return _description_of(file_stamp(file), file_stamp(file.with_name("index.parquet")))


# Each run of a page lists the data sets; their files are read again only after a write.
@lru_cache(maxsize=256)
def _description_of(description: tuple[str, int, int], index: tuple[str, int, int]) -> Dataset:
    """The description in two files, each given by its `file_stamp`."""
    outside = read_json(Path(description[0]))
    try:
        inside = (read_schema(Path(index[0])).metadata or {}).get(DESCRIPTION_KEY)
    except (OSError, ValueError):
        inside = None  # read_index reports the problem
    found = Dataset(**(json.loads(inside) if inside else outside))
    # The file is WORKSPACE/datasets/NAME/dataset.json.
    return replace(found, root=_root_now(found.root, Path(description[0]).parents[2]))


def description_of(dataset: Dataset) -> dict:
    """The description as it is stored: a root in the workspace is relative to it, so that the workspace can move."""
    root, workspace = Path(dataset.root), home().resolve()
    inside = root.is_relative_to(workspace)
    return {**asdict(dataset), "root": root.relative_to(workspace).as_posix() if inside else dataset.root}


def _root_now(stored: str, workspace: Path) -> str:
    """Where the radiographs are now. Earlier versions stored a root in the workspace as an absolute path.

    Where that is gone, as after a restore from a backup into another folder, the same folder of this workspace is
    taken if it is there. The index has the hash of each file.
    """
    root, workspace = Path(stored), workspace.resolve()
    if not root.is_absolute():
        return str(workspace / root)
    if not root.exists():
        for place, part in enumerate(root.parts):
            moved = workspace.joinpath(*root.parts[place:])
            if part in OWN_FOLDERS and moved.exists():
                return str(moved)
    return stored
