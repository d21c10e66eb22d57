"""A manifest: one CSV or Parquet row per radiograph, with the columns path, label and bone (or body_part)."""

import lzma
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow

from core.errors import OverreadError

# Accepted names of each of our columns; `--column patient=NAME` takes precedence.
NAMES = {
    "path": ("path",),
    "label": ("label",),
    "bone": ("bone", "body_part"),
    "patient": ("patient", "patient_id"),
    "study": ("study", "study_id"),
    "split": ("split",),
    "view": ("view",),
}
_NEEDED = ("path", "label", "bone")
_LABELS = {"": None, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
# What pandas and pyarrow raise for damaged tables, compressed ones (labels.csv.gz) included. Subclasses: pandas'
# ParserError and EmptyDataError, and UnicodeDecodeError.
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    MemoryError,
    OverflowError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pyarrow.ArrowException,
)
# Cells that a row may have beyond the header; with more, the whole file does not parse.
_SPARE = 16
_OWN = {"image_id", "study_id", "patient_id", "group_id", "fold", "width", "height", "bytes", "sha1"}


def read_manifest(file: Path, columns: dict[str, str]) -> tuple[pd.DataFrame, list[dict]]:
    """The rows with the columns of an Index that a manifest has, and {path, reason} of the rows left out.

    columns: {our name: the manifest's name}. OverreadError if the file cannot be read or lacks a required column.
    """
    table, surplus = _read(file)
    given = _columns(table, columns, file)
    # Always as text: an empty or all-missing column of numbers has no .str.
    text = {ours: table[theirs].map(_text).astype("str") for ours, theirs in given.items()}
    paths = text["path"].map(lambda path: Path(path).as_posix() if path else path).astype("str")
    rejected, keep = _rejected(text, paths, surplus)
    frame = pd.DataFrame({"path": paths})
    frame["image_id"] = frame["path"]
    frame["bone"] = text["bone"].str.lower()
    frame["label"] = text["label"].map(_LABELS).astype("float64")
    nothing = pd.Series(None, index=frame.index, dtype="str")
    frame["patient_id"] = text.get("patient", nothing).where(lambda values: values != "")
    frame["view"] = text.get("view", nothing).where(lambda values: values != "")
    frame["study_id"] = _study_ids(frame, text.get("study"))
    if "split" in text:
        frame["split"] = text["split"].str.lower()
    for name in table.columns.difference([*given.values()], sort=False):
        # Otherwise a column of the manifest with the name of one of ours would be read as ours.
        frame[f"manifest_{name}" if name in _OWN | set(frame.columns) else name] = table[name]
    return frame[keep].reset_index(drop=True), rejected


def read_table(file: Path) -> pd.DataFrame:
    """A CSV or Parquet file as text. OverreadError if it cannot be read."""
    return _read(file)[0].map(_text)


def _read(file: Path) -> tuple[pd.DataFrame, pd.Series]:
    """The table, its rows numbered from 0, and which rows have text beyond the last column."""
    try:
        if file.suffix.lower() != ".parquet":
            return _read_csv(file)
        # A manifest does not need the stored pandas index, and one with repeated values could not be aligned.
        table = pd.read_parquet(file).reset_index(drop=True)
        table.columns = [str(name) for name in table.columns]
        # Without this, text that is not UTF-8 would fail only when a cell is first used.
        pyarrow.Table.from_pandas(table, preserve_index=False).validate(full=True)
    except _DAMAGE as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OverreadError(
            f"{file} could not be read as a table ({problem}); expected a CSV file in UTF-8 with a header line, or "
            "Parquet. Save it again as one of these.",
            code="table-unreadable",
        ) from error
    return table, pd.Series(False, index=table.index)


def _read_csv(file: Path) -> tuple[pd.DataFrame, pd.Series]:
    # index_col=False: otherwise pandas takes the paths as row names if every row ends in a comma. With it, pandas
    # drops cells beyond the header, so these get columns of their own to be found.
    how = {"dtype": "str", "keep_default_na": False, "index_col": False, "encoding": "utf-8-sig"}
    header = list(pd.read_csv(file, nrows=0, **how).columns)
    spare = [f"beyond the header {number}" for number in range(_SPARE)]
    # The header is read as a row and dropped: only then does pandas accept more column names than the header has.
    table = pd.read_csv(file, names=header + spare, header=None, **how).iloc[1:].reset_index(drop=True)
    return table[header], (table[spare] != "").any(axis=1)


def _columns(table: pd.DataFrame, columns: dict[str, str], file: Path) -> dict[str, str]:
    for ours, theirs in columns.items():
        if ours not in NAMES:
            raise OverreadError(
                f"--column {ours}={theirs}: the column {ours!r} is unknown; expected one of {', '.join(NAMES)}.",
                code="column-unknown",
            )
        if theirs not in table.columns:
            raise OverreadError(
                f"{file} has no column {theirs!r} (found: {', '.join(map(str, table.columns))}). Name one of these.",
                code="column-missing",
            )
    given = dict(columns)
    for ours, names in NAMES.items():
        match = next((name for name in names if name in table.columns), None)
        if ours not in given and match:
            given[ours] = match
    missing = [" or ".join(NAMES[ours]) for ours in _NEEDED if ours not in given]
    if missing:
        raise OverreadError(
            f"{file} lacks the column(s) {', '.join(missing)} (found: {', '.join(map(str, table.columns))}). "
            "Add them, or name yours with --column label=YOUR_NAME.",
            code="column-missing",
        )
    return given


def _text(value) -> str:
    # is_scalar: for a list in a cell (Parquet) isna returns an array.
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    # An id that was read as the number 3799.0 is 3799.
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text


def _rejected(text: dict[str, pd.Series], paths: pd.Series, surplus: pd.Series) -> tuple[list[dict], pd.Series]:
    rows = paths.index
    reasons = pd.Series("", index=rows, dtype="str")
    # Compares normalised paths: a.png and ./a.png are one file.
    reasons[paths.duplicated() & (paths != "")] = "the manifest lists this path twice; the first row is kept"
    bad = ~text["label"].isin(_LABELS)
    reasons[bad] = text["label"][bad].map(
        lambda label: f"its label is {label!r}; expected 1 (abnormal), 0 (normal) or empty"
    )
    reasons[text["bone"] == ""] = "its bone is empty; expected a name such as wrist"
    if "split" in text:
        wrong = ~text["split"].str.lower().isin(("train", "valid", "test"))
        reasons[wrong] = text["split"][wrong].map(
            lambda split: f"its split is {split!r}; expected train, valid or test"
        )
    reasons[surplus] = "its row has more cells than the header; put text that contains a comma in quotes"
    # The header is row 1, as an editor counts.
    reasons[text["path"] == ""] = [f"row {row + 2} has no path" for row in rows[text["path"] == ""]]
    left_out = reasons != ""
    return [
        {"path": path, "reason": reason} for path, reason in zip(text["path"][left_out], reasons[left_out])
    ], ~left_out


def _study_ids(frame: pd.DataFrame, study: pd.Series | None) -> pd.Series:
    """Study ids include patient and bone; a radiograph without a study is a study of its own."""
    if study is None:
        return frame["image_id"]
    patient = frame["patient_id"].fillna("")
    named = patient.where(patient == "", patient + "/") + frame["bone"] + "/" + study
    return frame["image_id"].where(study == "", named)
