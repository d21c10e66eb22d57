"""The Index: one row per radiograph of a MURA tree, a manifest or a folder of DICOM, built and written as a data set.

Reading a data set is in `core.data.datasets`; its names can be imported from here as well.
"""

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.checksums import write_json
from core.data import earlier_index
from core.data.datasets import (
    DESCRIPTION_KEY,
    PROBLEM_KINDS,
    Dataset,
    broken_datasets,
    conflicting_studies,
    description_of,
    index_hash,
    list_datasets,
    read_dataset,
    read_index,
)
from core.data.earlier_index import EarlierIndex, read_earlier_index
from core.data.file_facts import FileFacts, Progress, StoredFacts, inspect_files
from core.data.identities import identity_notes, split_notes
from core.data.joins import JoinReport
from core.data.notes import Note, note_rows
from core.data.outside import outside_paths
from core.data.source_rows import SourceTables, label_rows, read_source
from core.data.split import assign_folds, assign_splits, group_ids, linked_group_ids
from core.data.split_like import TAKEN, TakenSplit, take_split
from core.errors import OverreadError
from core.parquet_files import write_parquet
from core.paths import dataset_folder, home, unwritable
from core.plural import count_clause, count_text
from core.schema import INDEX, check

__all__ = [
    "Dataset",
    "EarlierIndex",
    "IndexResult",
    "SourceTables",
    "broken_datasets",
    "build_index",
    "conflicting_studies",
    "index_hash",
    "list_datasets",
    "read_dataset",
    "read_earlier_index",
    "read_index",
    "write_dataset",
]


@dataclass(frozen=True)
class IndexResult:
    """A new Index with the lists of {path, reason} that indexing reports.

    unreadable: radiographs left out; stray: files that are not radiographs; conflicts: doubtful labels; converted:
    images that are shown differently from how they are stored. links: {path in the index: file below root}, used when
    a file's own name would identify the patient. facts: of every readable file, for the next indexing. joins: what each
    join of a table did. notes: remarks on ids, labels and splits.
    """

    frame: pd.DataFrame
    root: Path
    source: Path
    kind: str
    phantom: bool = False
    unreadable: list[dict] = field(default_factory=list)
    stray: list[dict] = field(default_factory=list)
    conflicts: list[dict] = field(default_factory=list)
    converted: list[dict] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    facts: dict[str, StoredFacts] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    joins: list[JoinReport] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    label_level: str = ""
    study_rule: str = ""
    outside: bool = False


@dataclass(frozen=True)
class _Splits:
    """The assignment of patients to splits and folds. taken: that of another data set, for the radiographs in both."""

    valid_fraction: float
    folds: int
    seed: int
    taken: TakenSplit | None = None


def build_index(
    source: Path | str,
    tables: SourceTables = SourceTables(),
    valid_fraction: float = 0.2,
    folds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
    earlier: EarlierIndex | None = None,
) -> IndexResult:
    """Index a MURA tree, a manifest file, a folder with labels.csv, or a folder of DICOM.

    Splits given by the source are kept; otherwise `valid_fraction` of the patients become 'valid'. The train split is
    divided into `folds` by patient. earlier: from `read_earlier_index`; unchanged files are not read again, and
    patients stay in their split and fold. OverreadError if there is nothing to index.
    """
    source = Path(source)
    if not os.path.exists(source):  # unlike Path.exists, no error for a name that is too long
        raise OverreadError(
            f"{source} does not exist; expected a MURA folder, a manifest (CSV or Parquet), "
            "a folder with labels.csv, or a folder of DICOM. Check the path.",
            code="source-missing",
        )
    if not 0 <= valid_fraction < 1 or folds < 2 or seed < 0:
        raise OverreadError(
            f"Found the valid fraction {valid_fraction}, {count_text(folds, 'fold')} and the seed {seed}; expected "
            "a fraction from 0 "
            "(no valid split, for out-of-fold scores of everything) to below 1, at least 2 folds and a seed of at "
            "least 0.",
            code="split-settings-invalid",
        )
    rows = read_source(source, tables)
    # Before files are read, so that an unreadable radiograph still counts for the label of its study.
    labelled = label_rows(rows, tables, source)
    rows = replace(rows, frame=labelled.frame)
    paths = rows.frame["path"].tolist()
    # Facts of files whose names would identify the patient are never stored.
    keep = earlier.keep if earlier and not rows.links else None
    places = [rows.links.get(path, path) for path in paths]
    outside = _check_inside(rows.root, places, tables.allow_outside)
    files = inspect_files(rows.root, places, earlier.facts if earlier else {}, progress, keep)
    shown = dict(zip(rows.links.values(), rows.links))
    unreadable = [{**row, "path": shown.get(row["path"], row["path"])} for row in files.unreadable]
    frame = rows.frame[[facts is not None for facts in files.facts]].reset_index(drop=True)
    if frame.empty:
        first = [*unreadable, *rows.rejected, *rows.stray][:1]
        example = f" (first: {first[0]['path']}: {first[0]['reason']})" if first else ""
        offers = "".join(f" {note[0].upper()}{note[1:]}." for note in rows.notes if note.code == "join-near-match")
        raise OverreadError(
            f"{source} contains no readable radiograph{example}; expected images in MURA's layout or listed in a "
            f"manifest.{offers}",
            code="no-readable-radiograph",
        )
    known = [facts for facts in files.facts if facts]
    taken = _taken_split(tables.split_of, frame, source)
    frame = _completed(frame, known, _Splits(valid_fraction, folds, seed, taken), earlier)
    taken_notes = [taken.note(frame["split"])] if taken else []
    return IndexResult(
        frame,
        rows.root,
        source,
        rows.kind,
        phantom=(rows.root / "phantom.json").exists(),
        unreadable=rows.rejected + unreadable,
        stray=rows.stray,
        conflicts=rows.conflicts + _label_conflicts(frame),
        converted=[
            {"path": path, "reason": facts.conversion}
            for path, facts in zip(paths, files.facts)
            if facts and facts.conversion
        ],
        links=rows.links,
        facts=files.stored,
        changes=earlier_index.count_changes(frame, earlier),
        joins=[*rows.joins, *([taken.report] if taken else [])],
        outside=bool(outside),
        notes=[
            *rows.notes,
            *outside,
            *labelled.notes,
            *identity_notes(frame),
            *split_notes(frame, valid_fraction),
            *taken_notes,
        ],
        label_level=labelled.level,
        study_rule=labelled.rule,
    )


def _taken_split(name: str, frame: pd.DataFrame, source: Path) -> TakenSplit | None:
    """The split of the data set of this name for these radiographs; None for ''. OverreadError where they have one."""
    if name and "split" in frame:
        raise OverreadError(
            f"{source} has splits of its own, so those of {name} cannot be taken over. Leave out --split-of, or remove "
            "its column split.",
            code="split-given",
        )
    return take_split(name, frame["path"]) if name else None


def _check_inside(root: Path, places: list[str], allowed: bool) -> list[Note]:
    """A note on files outside the folder of the data set; OverreadError where they are not allowed."""
    outside = outside_paths(root, places)
    if not outside:
        return []
    said = (
        f"{count_clause(len(outside), 'file', 'are')} not in the folder {root} of the data set (first: {outside[0]!r})"
    )
    if not allowed:
        raise OverreadError(
            f"{said}: the paths are absolute, contain '..', or are links. Everybody who can open the pages would see "
            "them. Copy the files into the folder, or pass --allow-outside.",
            code="path-outside",
        )
    return [Note(f"{said}; --allow-outside was given", "path-outside")]


def write_dataset(name: str, result: IndexResult) -> Dataset:
    """Write the index and then its description. An older data set of that name is replaced as a whole or not at all."""
    frame = result.frame
    root = _link_files(name, result) if result.links else result.root
    dataset = Dataset(
        name=name,
        root=str(root.resolve()),
        kind=result.kind,
        phantom=result.phantom,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        index_hash=index_hash(frame),
        patients_known=int(frame["patient_id"].nunique()),
        splits_from=frame.attrs.get("splits_from", "source"),
        label_level=result.label_level,
        study_rule=result.study_rule,
        outside=result.outside,
    )
    problems = {kind: getattr(result, kind) for kind in PROBLEM_KINDS}
    # Stored without the ids of rows: those of DICOM identify patients.
    problems["joins"] = [report.without_keys() for report in result.joins]
    problems["notes"] = note_rows(result.notes, anonymous=True)
    # A link's target would identify the patient, so no facts are stored and these files are read again next time.
    facts = {} if result.links else result.facts
    description, folder = json.dumps(description_of(dataset), indent=1), dataset.folder
    write_json(folder / "problems.json", problems, indent=1)
    earlier_index.write_file_facts(folder / earlier_index.FILE, facts, result.source)
    # The description is also inside the index, so that index and description can never belong to different versions.
    write_parquet(folder / "index.parquet", frame, {DESCRIPTION_KEY: description.encode()})
    write_json(folder / "dataset.json", description_of(dataset), indent=1)
    return dataset


def _completed(
    frame: pd.DataFrame, facts: list[FileFacts], splits: _Splits, earlier: EarlierIndex | None
) -> pd.DataFrame:
    """The rows with the facts of their files, groups, splits and folds: an INDEX."""
    for name in ("width", "height", "bytes", "sha1"):
        frame[name] = [getattr(fact, name) for fact in facts]
    for name in ("patient_id", "view"):
        frame[name] = frame[name].astype("str")
    given = "split" in frame.columns
    group = group_ids if given else linked_group_ids
    frame["group_id"] = group(frame["patient_id"], frame["study_id"], frame["sha1"])
    # Stored in every data set and compared with earlier ones: do not reword.
    made = f"made here: {splits.valid_fraction:.0%} of patients valid, seed {splits.seed}"
    splits_from = "source" if given else made
    old = None
    if splits.taken:
        splits_from, old = splits.taken.splits_from, splits.taken.rows
    elif earlier is not None:
        if earlier.splits_from.startswith(TAKEN) and not given:
            splits_from = earlier.splits_from
        # Earlier splits are kept only if they were assigned with the same settings.
        if earlier.splits_from == splits_from:
            old = earlier.frame.set_index("image_id")[["split", "fold"]].reindex(frame["image_id"])
            old = old.set_index(frame.index)
    if not given:
        frame["split"] = assign_splits(frame, splits.valid_fraction, splits.seed, None if old is None else old["split"])
    same_folds = old is not None and old["fold"].max() < splits.folds
    frame["fold"] = assign_folds(frame, splits.folds, splits.seed, old["fold"] if same_folds else None)
    frame.attrs["splits_from"] = splits_from
    ordered = [*INDEX, *[name for name in frame.columns if name not in INDEX]]
    return check(frame[ordered], INDEX, "the new index")


def _label_conflicts(frame: pd.DataFrame) -> list[dict]:
    reason = "its radiographs have both labels; the study counts as unlabelled until this is corrected"
    return [{"path": study, "reason": reason} for study in sorted(conflicting_studies(frame))]


def _link_files(name: str, result: IndexResult) -> Path:
    """A folder of links to the files, under names that identify nobody."""
    folder = dataset_folder(name) / "files"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # the targets of the links still identify the patient
        for shown, real in result.links.items():
            place, target = folder / shown, (result.root / real).resolve()
            if not (place.is_symlink() and place.resolve() == target):
                place.unlink(missing_ok=True)
                inside = target.is_relative_to(home().resolve())
                # Relative within the workspace, so that it can move as a whole.
                place.symlink_to(os.path.relpath(target, place.parent.resolve()) if inside else target)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder
