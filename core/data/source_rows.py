"""The rows of a source before its radiographs are read: of a MURA tree, of a manifest, or of DICOM headers."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from core.data import dicom_files, manifest, mura
from core.data.cells import text_of
from core.data.joins import JoinReport
from core.data.label_levels import LabelledRows, LabelRule, StoredRule, label_studies
from core.data.label_table import LabelTable
from core.data.notes import Note
from core.data.tables import read_table
from core.errors import OverreadError

_FROM_HEADERS = (
    "labels.csv lists DICOM files and names neither patients nor studies, so these are read from the headers; DICOM "
    "files that it does not list are indexed without a label"
)
_HEADERS_UNUSED = (
    "the table lists DICOM files and names neither patients nor studies, and headers are not read: name them in the "
    "columns patient and study, or give the folder in place of the table"
)
_SAMPLED = 50  # listed files that are opened to tell DICOM from images


@dataclass(frozen=True)
class SourceTables:
    """How the tables of a source are read.

    columns: {our name: the manifest's name}. labels: a table of labels for a folder of DICOM. ignoring: differences of
    ids that do not matter (`core.data.joins.DIFFERENCES`). allow_unmatched: continue if no row of the labels matches.
    rule: what the labels are about; stored: the same of an earlier index of the name. allow_outside: take files
    that are not in the data set's folder. split_of: the data set whose split is taken over, '' for none.
    """

    columns: dict[str, str] = field(default_factory=dict)
    labels: Path | None = None
    ignoring: tuple[str, ...] = ()
    allow_unmatched: bool = False
    rule: LabelRule = LabelRule()
    stored: StoredRule | None = None
    allow_outside: bool = False
    split_of: str = ""


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source before its files are read; the fields are those of `IndexResult`."""

    frame: pd.DataFrame
    root: Path
    kind: str
    rejected: list[dict] = field(default_factory=list)
    stray: list[dict] = field(default_factory=list)
    conflicts: list[dict] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    joins: list[JoinReport] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def read_source(source: Path, tables: SourceTables) -> SourceRows:
    """The rows of a source: a MURA tree, a manifest, or a folder of DICOM files.

    OverreadError if the source is none of them, or its tables do not fit.
    """
    if source.is_dir() and (root := mura.mura_root(source)):
        rows, stray = mura.list_radiographs(root)
        return SourceRows(mura.index_rows(rows), root, "mura", stray=stray, conflicts=mura.csv_conflicts(root, rows))
    file = source / "labels.csv" if source.is_dir() else source
    lists_dicom = not tables.labels and not tables.columns and _lists_nameless_dicom(file)
    if source.is_dir() and (tables.labels or lists_dicom or not _is_manifest(file, tables.columns)):
        found = dicom_files.list_dicom_files(source)
        if found.files:
            from core.data import dicom_rows  # loads pydicom, so only when there is DICOM to read

            given = tables.labels or (file if file.is_file() else None)
            table = dicom_files.read_labels(given)
            labels = None if table is None else LabelTable(table, tables.ignoring, tables.allow_unmatched)
            in_headers = dicom_rows.read_rows(source, found.files, labels, found.stray)
            return SourceRows(
                in_headers.frame,
                source,
                "dicom",
                in_headers.left_out,
                in_headers.stray,
                in_headers.conflicts,
                in_headers.links,
                in_headers.joins,
                [*in_headers.notes, *([Note(_FROM_HEADERS, "dicom-listed")] if lists_dicom else [])],
            )
    if not file.is_file():
        raise OverreadError(
            f"{source} contains neither MURA's folders (train/XR_WRIST/...) nor labels.csv nor DICOM files. Give the "
            "MURA folder, a manifest with the columns path, label and bone, or a folder of DICOM.",
            code="source-not-recognised",
        )
    listed = manifest.read_manifest(file, tables.columns, tables.ignoring)
    return SourceRows(
        listed.frame,
        file.parent,
        "manifest",
        listed.rejected,
        conflicts=listed.conflicts,
        joins=listed.joins,
        notes=[*listed.notes, *([Note(_HEADERS_UNUSED, "dicom-headers-unused")] if lists_dicom else [])],
    )


def _is_manifest(file: Path, columns: dict[str, str]) -> bool:
    """Whether labels.csv has a path and a bone column; without them it labels a folder of DICOM by DICOM's own ids."""
    if not file.is_file():
        return False
    try:
        table = read_table(file)
    except OverreadError:
        return True  # read_manifest reports the problem
    bones = [columns["bone"]] if "bone" in columns else manifest.NAMES["bone"]
    return bool(table.find(columns.get("path", "path")) and table.find(*bones))


def _lists_nameless_dicom(file: Path) -> bool:
    """Whether a manifest lists DICOM files and names neither their patients nor their studies."""
    try:
        table = read_table(file)
        names = [name for ours in ("patient", "study") for name in manifest.NAMES[ours]]
        column = table.find("path")
        if column is None or not table.find("label") or table.find(*names):
            return False
    except OverreadError:
        return False  # read_manifest reports the problem
    paths = [path.replace("\\", "/") for path in text_of(table.frame[column].head(_SAMPLED))]
    present = [file.parent / path for path in paths if path and os.path.isfile(file.parent / path)]
    return bool(present) and all(_begins_as_dicom(place) for place in present)


def _begins_as_dicom(place: Path) -> bool:
    try:
        with place.open("rb") as opened:
            return dicom_files.is_dicom(opened.read(132))
    except OSError:
        return False  # reported when the file is read


def label_rows(rows: SourceRows, tables: SourceTables, source: Path) -> LabelledRows:
    """The rows with the labels of their studies. MURA's folders always label whole studies.

    OverreadError where labels of radiographs are requested for MURA's folders.
    """
    if rows.kind != "mura":
        return label_studies(rows.frame, tables.rule, source.name, tables.stored)
    if tables.rule.level == "image":
        raise OverreadError(
            f"{source} is in MURA's layout, where folder names give the labels of studies; expected --label-level "
            f"study. For labels of "
            "single radiographs, index a manifest with the columns path, label and bone.",
            code="label-level-mura",
        )
    return LabelledRows(rows.frame, "study", "", [])
