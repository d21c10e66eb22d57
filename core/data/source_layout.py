"""The kind of a folder of radiographs (MURA tree, table with images, FracAtlas or DICOM), and its table's columns."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from core.data import dicom_files, fracatlas, mura
from core.data.archives import size_text
from core.data.manifest import NAMES
from core.data.tables import Table, read_table, simple_name
from core.errors import OverreadError
from core.plural import count_text

TABLES = {".csv", ".tsv", ".parquet", ".pq"}
KINDS = {
    "mura": "a MURA tree",
    "manifest": "a table of radiographs",
    "dicom": "a folder of DICOM files",
    "fracatlas": "FracAtlas",
}
# Beyond what `core.data.manifest` itself accepts, the first that a table has.
_GUESSES = {
    "path": ("file", "filename", "filepath", "image", "image_path", "imagefile", "image_id", "img", "png", "jpg"),
    "label": (
        "labels",
        "abnormal",
        "abnormality",
        "diagnosis",
        "target",
        "class",
        "y",
        "fractured",
        "fracture",
        "positive",
        "truth",
    ),
    "bone": ("bodypart", "region", "anatomy", "anatomical_region", "site", "part", "joint", "exam_type"),
    "patient": ("patientid", "subject", "subject_id", "person", "person_id", "case_id", "mrn", "pid"),
    "study": ("studyid", "exam", "exam_id", "examination", "accession", "accession_number", "case"),
    "split": ("set", "subset", "partition", "data_split"),
    "view": ("projection", "view_position", "position"),
}
_MOST_DEEP = 4  # folders that a zip puts around a tree
_HEAD = 1 << 18  # bytes of a table that tell its columns
_SAMPLED = 400  # files read to distinguish DICOM from images


@dataclass(frozen=True)
class SourceLayout:
    """The contents of a place. source: the path that `build_index` reads. labels: the table of labels beside DICOM.

    kind: one of KINDS. tables: the tables at its top, of which one may be chosen in place of `table`.
    """

    source: Path
    kind: str
    labels: Path | None = None
    table: Path | None = None
    tables: tuple[Path, ...] = ()


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, its first rows as text, and {our name: its name} as known, and as guessed beyond that."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    known: dict[str, str] = field(default_factory=dict)
    guess: dict[str, str] = field(default_factory=dict)


def find_layout(place: Path, table: Path | None = None) -> SourceLayout:
    """The contents of a folder (also one that a zip put around the real one) or of a table. table: chosen by hand.

    OverreadError where there is nothing to index.
    """
    if place.is_file():
        return SourceLayout(place, "manifest", table=place, tables=(place,))
    root = _inner(place)
    if found := mura.mura_root(root):
        return SourceLayout(found, "mura")
    tables = tuple(sorted(file for file in _entries(root) if file.suffix.lower() in TABLES and file.is_file()))
    chosen = table or next((file for file in tables if file.name == "labels.csv"), None)
    if chosen is None and fracatlas.is_fracatlas(root):
        return SourceLayout(root, "fracatlas")
    chosen = chosen or (tables[0] if len(tables) == 1 else None)
    if _has_dicom(root) and not (chosen and _lists_files(chosen)):
        return SourceLayout(root, "dicom", chosen, chosen, tables)
    if chosen is None:
        raise OverreadError(_nothing(place, tables), code="table-open" if tables else "source-not-recognised")
    return SourceLayout(chosen, "manifest", table=chosen, tables=tables)


def table_columns(file: Path, most_bytes: int = 256 << 20) -> TableColumns:
    """The columns of a table with the roles they seem to have. OverreadError for a table of more than `most_bytes`."""
    if (size := file.stat().st_size) > most_bytes:
        raise OverreadError(
            f"{file.name} has {size_text(size)}; at most {size_text(most_bytes)} are read. Divide it, or leave out "
            "columns that are not needed.",
            code="table-too-large",
        )
    table = _head(file)
    columns = tuple(map(str, table.frame.columns))
    rows = tuple(tuple(map(str, row)) for row in table.frame.head(5).itertuples(index=False))
    return TableColumns(columns, rows, known_columns(table), guess_columns(table))


def check_rows(file: Path, most: int = 1_000_000) -> None:
    """OverreadError for a table of text with more than `most` lines, which are counted without parsing them."""
    lines = 0
    with file.open("rb") as opened:
        if opened.read(4) == b"PAR1":
            return
        opened.seek(0)
        while chunk := opened.read(1 << 20):
            lines += chunk.count(b"\n")
    if lines > most:
        raise OverreadError(
            f"{file.name} has {count_text(lines, 'line')}; at most {most:,} are indexed as one data set. Divide it, "
            "or index it "
            "with python -m core index.",
            code="table-too-long",
        )


def known_columns(table: Table) -> dict[str, str]:
    """{our name: the table's} for the columns that `core.data.manifest` finds by itself."""
    found = {name: table.find(*names) for name, names in NAMES.items()}
    return {name: column for name, column in found.items() if column}


def guess_columns(table: Table) -> dict[str, str]:
    """{our name: the table's} for the columns that `core.data.manifest` would not find by itself."""
    columns, found = list(map(str, table.frame.columns)), {}
    known = known_columns(table)
    taken = set(known.values())
    for name, guesses in _GUESSES.items():
        if name in known:
            continue
        free = [column for column in columns if column not in taken]
        match = next(
            (column for guess in guesses for column in free if simple_name(column) == simple_name(guess)), None
        )
        if match is None and name == "path":
            match = next((column for column in free if _names_images(table.frame[column].head(20))), None)
        if match:
            found[name] = match
            taken.add(match)
    return found


def _head(file: Path) -> Table:
    """The first rows of a table: only the start of a long text is read, since a page waits for it."""
    with file.open("rb") as opened:
        start = opened.read(_HEAD)
    plain = not start.startswith((b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))
    end = start.rfind(b"\n")
    if len(start) < _HEAD or not plain or end < 0:
        return read_table(file)
    with tempfile.NamedTemporaryFile(suffix=file.suffix) as part:
        part.write(start[: end + 1])
        part.flush()
        return read_table(part.name)


def _inner(place: Path) -> Path:
    """The folder itself, or the only folder below it, as most zips have one around their files."""
    for _ in range(_MOST_DEEP):
        inside = [entry for entry in _entries(place) if not entry.name.startswith((".", "__MACOSX"))]
        if len(inside) != 1 or not inside[0].is_dir() or mura.mura_root(place):
            break
        place = inside[0]
    return place


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OverreadError(
            f"The folder {folder} cannot be read ({reason}); expected a folder of radiographs. Check the path, or "
            "permit reading it.",
            code="folder-missing" if isinstance(error, FileNotFoundError) else "folder-no-rights",
        ) from error


def _has_dicom(root: Path) -> bool:
    """Whether one of the first files is DICOM, by its content."""
    files = (os.path.join(folder, name) for folder, _, names in os.walk(root) for name in sorted(names))
    for file in islice(files, _SAMPLED):
        try:
            with open(file, "rb") as opened:
                if dicom_files.is_dicom(opened.read(132)):
                    return True
        except OSError:
            continue  # reported when the folder is indexed
    return False


def _lists_files(file: Path) -> bool:
    """Whether a table beside DICOM lists files with their bones, and does not only label them by DICOM's own ids."""
    try:
        table = read_table(file)
    except OverreadError:
        return False
    return bool(table.find(*NAMES["path"]) and table.find(*NAMES["bone"]))


def _names_images(cells: Sequence) -> bool:
    endings = [os.path.splitext(str(cell).strip())[1].lower() for cell in cells]
    return bool(endings) and all(ending in mura.IMAGE_EXTENSIONS | {".dcm"} for ending in endings)


def _nothing(place: Path, tables: Sequence[Path]) -> str:
    if tables:
        names = ", ".join(file.name for file in tables[:5])
        return (
            f"{place} contains {count_text(len(tables), 'table')} ({names}). Choose the one that lists the radiographs."
        )
    return (
        f"{place} contains neither MURA's folders (train/XR_WRIST/...) nor a table (CSV or Parquet) nor DICOM files. "
        "Add a labels.csv with the columns path, label and bone, or choose another folder."
    )
