"""Add a data set: read a source (`prepare`), say what was found (`preview_of`), and write the index (`commit`).

A zip is unpacked below `OVERREAD_HOME`. Facts of files that were read are kept in `adding/NAME`, so that stopped work
continues where it was. `core.workflows.adding` does these steps as jobs.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from core.checksums import write_json
from core.data import fracatlas
from core.data.archives import is_zip, unpack
from core.data.attribution import read_attribution, write_attribution
from core.data.datasets import Dataset, study_label_counts
from core.data.earlier_index import (
    EarlierIndex,
    check_labels_kept,
    earlier_labels,
    earlier_rule,
    read_earlier_index,
)
from core.data.index import IndexResult, SourceTables, build_index, write_dataset
from core.data.joins import JoinReport, check_differences
from core.data.label_levels import LabelRule
from core.data.notes import Note
from core.data.source_layout import SourceLayout, check_rows, find_layout, table_columns
from core.data.uploads import packed_upload, upload_folder
from core.errors import OverreadError
from core.roles import needs
from core.schema import bone_order
from core.workflows.data_request import (
    DataRequest,
    adding_folder,
    keep_facts,
    kept_facts,
    place_of,
    read_kept,
    refuse_taken,
    unpacked_file,
)

Progress = Callable[[int, int, str], None]
PROBLEMS = ("unreadable", "stray", "conflicts", "converted")
_SHOWN = 50  # entries of each list of problems in a preview


@dataclass(frozen=True)
class Prepared:
    """A source that was read, ready to be written as a data set. columns: {our name: the table's}, also as guessed."""

    request: DataRequest
    indexed: IndexResult
    layout: SourceLayout
    columns: dict[str, str]


@dataclass(frozen=True)
class Preview:
    """The result of indexing. radiographs, studies, patients: counts; bones, splits: rows of {name, radiographs,
    studies, abnormal, normal, unknown}, splits also with `patients`. problems: by kind the count and the first entries.
    """

    kind: str
    columns: dict[str, str]
    radiographs: int
    studies: int
    patients: int
    unnamed: int
    bones: list[dict]
    splits: list[dict]
    splits_from: str
    labels: dict[str, int]
    label_level: str
    study_rule: str
    problems: dict[str, dict]
    joins: list[JoinReport]
    notes: list[Note]


def prepare(request: DataRequest, progress: Progress | None = None) -> Prepared:
    """Unpack and read a source, without writing a data set."""
    refuse_taken(request)
    layout, notes = _located(request, progress)
    source, columns = layout.source, dict(request.columns)
    if request.new and layout.table:
        check_rows(layout.table)
    if request.guess_columns and layout.kind == "manifest" and layout.table:
        guess = {ours: theirs for ours, theirs in table_columns(layout.table).guess.items() if ours not in columns}
        columns |= guess
        named = ", ".join(f"{ours} is {theirs!r}" for ours, theirs in guess.items())
        notes = [
            *notes,
            *([Note(f"columns chosen because their names are similar: {named}", "columns-guessed")] if guess else []),
        ]
    rule = LabelRule(request.label_level, request.study_rule)
    tables = SourceTables(
        columns,
        layout.labels,
        check_differences(request.match_ignoring),
        request.allow_unmatched,
        rule,
        earlier_rule(request.name),
        request.allow_outside,
        request.split_of,
    )
    known = _known_facts(request.name, source)
    indexed = build_index(source, tables, request.valid_fraction, request.folds, request.seed, progress, known)
    if not indexed.links:
        keep_facts(request.name, source, indexed.facts)
    before = earlier_labels(request.name)
    kept = check_labels_kept(indexed.frame, before, f"the earlier index {request.name}", request.allow_lost_labels)
    return Prepared(request, replace(indexed, notes=[*indexed.notes, *notes, *kept]), layout, columns)


@needs("data")
def commit(prepared: Prepared) -> Dataset:
    """Write the data set, whole or not at all, and remove what was kept for adding it."""
    refuse_taken(prepared.request)
    name = prepared.request.name
    if prepared.layout.kind == "fracatlas" and read_attribution(name) is None:
        # Before the index, so that the set is never shown without it.
        write_attribution(name, fracatlas.ATTRIBUTION)
    dataset = write_dataset(name, prepared.indexed)
    shutil.rmtree(adding_folder(name), ignore_errors=True)
    packed_upload(name).unlink(missing_ok=True)
    return dataset


def preview_of(prepared: Prepared) -> Preview:
    """A summary of a prepared data set, before it is added."""
    indexed = prepared.indexed
    frame = indexed.frame
    bones = [{"bone": bone, **_counts(frame[frame["bone"] == bone])} for bone in bone_order(frame["bone"])]
    splits = []
    for split in ("train", "valid", "test"):
        rows = frame[frame["split"] == split]
        if len(rows):
            splits.append({"split": split, "patients": rows["patient_id"].nunique(), **_counts(rows)})
    problems = {kind: _listed(getattr(indexed, kind)) for kind in PROBLEMS}
    return Preview(
        kind="fracatlas" if prepared.layout.kind == "fracatlas" else indexed.kind,
        columns=prepared.columns,
        radiographs=len(frame),
        studies=frame["study_id"].nunique(),
        patients=frame["patient_id"].nunique(),
        unnamed=int(frame["patient_id"].isna().sum()),
        bones=bones,
        splits=splits,
        splits_from=frame.attrs.get("splits_from", "source"),
        labels=study_label_counts(frame),
        label_level=indexed.label_level,
        study_rule=indexed.study_rule,
        problems=problems,
        joins=indexed.joins,
        notes=indexed.notes,
    )


def _located(request: DataRequest, progress: Progress | None) -> tuple[SourceLayout, list[Note]]:
    """The contents of the source, and notes. A zip is unpacked first."""
    source = Path(request.source)
    packed = source.is_file() and is_zip(source)
    place = _unpacked(request, progress) if packed or not source.exists() else source
    layout = _layout(place, request)
    if request.labels:
        layout = replace(layout, labels=Path(request.labels))
    if layout.kind != "fracatlas":
        return layout, []
    notes = fracatlas.write_manifest(layout.source)
    return replace(layout, source=layout.source / fracatlas.MANIFEST), notes


def _layout(place: Path, request: DataRequest) -> SourceLayout:
    """The layout of a place. Where it has no known layout, the place itself: `build_index` says what it lacks."""
    if not place.exists():
        return SourceLayout(place, "manifest")
    try:
        found = find_layout(place, place / request.table if request.table else None)
    except OverreadError as error:
        if error.code == "source-not-recognised" or (error.code == "table-open" and request.labels):
            return SourceLayout(place, "dicom")
        raise
    # The folder itself, as earlier indexes of it were made: they keep their splits only if the source is the same.
    return replace(found, source=place) if found.source == place / "labels.csv" else found


def _unpacked(request: DataRequest, progress: Progress | None) -> Path:
    """The folder of a zip's files below `OVERREAD_HOME`, unpacked unless this very zip is there already."""
    source, target = Path(request.source), upload_folder(request.name)
    stored = read_kept(unpacked_file(request.name))
    if not source.exists():
        return place_of(request)
    stamp = {"source": str(source), "bytes": source.stat().st_size, "modified": source.stat().st_mtime_ns}
    if stored == stamp and target.is_dir():
        return target
    if not target.exists():
        unpack(source, target, progress)
    else:
        # The files of a data set that is indexed again stay until the new ones are whole.
        fresh = unpack(source, target.with_name(f".{target.name}.next"), progress)
        shutil.rmtree(target)
        fresh.rename(target)
    write_json(unpacked_file(request.name), stamp)
    return target


def _known_facts(name: str, source: Path) -> EarlierIndex:
    """The earlier index of this name and source, with the facts that an unfinished indexing has kept."""
    earlier = read_earlier_index(name, source)
    kept = kept_facts(name, source)
    nothing = pd.DataFrame({"image_id": [], "sha1": [], "split": [], "fold": []}, dtype="object")

    def keep(facts: dict) -> None:
        keep_facts(name, source, {**kept, **facts})

    if earlier is None:
        return EarlierIndex(nothing, kept, "", keep)
    return replace(earlier, facts={**earlier.facts, **kept}, keep=keep)


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {"radiographs": len(rows), "studies": rows["study_id"].nunique(), **study_label_counts(rows)}


def _listed(entries: list[dict]) -> dict:
    return {"count": len(entries), "first": entries[:_SHOWN]}
