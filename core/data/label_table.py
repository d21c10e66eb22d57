"""Labels for a folder of DICOM: a table joined to the files by path, SOPInstanceUID, StudyInstanceUID or accession."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from core.data.cells import SPLITS, check_rows, first_rows, label_notes, read_labels, text_of
from core.data.dicom_columns import table_columns
from core.data.joins import Joined, Key, join, refuse_without_match
from core.data.missing import blank_missing
from core.data.notes import Note
from core.data.tables import Table, simple_name
from core.errors import OverreadError
from core.plural import count_text, share_clause

# By the column's name without spaces and signs: DICOM's name, the header's key, and the level of the key in a join.
_KEYS = {
    "path": ("path", "path", 0),
    "sopinstanceuid": ("SOPInstanceUID", "instance", 0),
    "studyinstanceuid": ("StudyInstanceUID", "study", 1),
    "accessionnumber": ("AccessionNumber", "accession", 1),
}
_FACTS = ("bone", "split", "view")


@dataclass(frozen=True)
class LabelTable:
    """A table of labels, and what may be ignored or allowed when it is joined."""

    table: Table
    ignoring: Sequence[str] = ()
    allow_unmatched: bool = False

    @property
    def name(self) -> str:
        """The file's path, for messages."""
        return str(self.table.file)


@dataclass(frozen=True)
class GivenLabels:
    """label, bone, split and view of each radiograph (None where the table gives none), with the join's report.

    further: the table's other columns, a row for each radiograph.
    """

    facts: list[dict]
    joined: Joined | None = None
    notes: list[Note] = field(default_factory=list)
    contradicting: list[int] = field(default_factory=list)
    further: pd.DataFrame | None = None


def give_labels(names: Sequence[str], paths: Sequence[str], headers: Sequence[dict], table: LabelTable) -> GivenLabels:
    """Join the table to radiographs with these paths and headers. names: of the radiographs, for the report.

    A radiograph whose rows give different labels has none. OverreadError for a missing column, an invalid label, or a
    table of which no row matches.
    """
    frame = table.table.frame
    columns = {simple_name(name): name for name in frame.columns}
    used = [name for name in _KEYS if name in columns]
    if not used or "label" not in columns:
        raise OverreadError(
            f"{table.name} has the columns {', '.join(map(str, frame.columns))}; expected label, and one of "
            "path, SOPInstanceUID, StudyInstanceUID, AccessionNumber. Rename the columns.",
            code="labels-column-missing",
        )
    table.table.check_cells()
    text = {name: blank_missing(text_of(frame[columns[name]])) for name in [*used, "label", *_FACTS] if name in columns}
    rows = pd.DataFrame({name: text[name].str.lower() for name in _FACTS if name in text})
    if "split" in rows:
        unknown = (rows["split"] != "") & ~rows["split"].isin(SPLITS)
        check_rows(
            unknown, "the split is not valid", rows["split"], "train, valid or test (dev is not guessed)", table.table
        )
        rows["split"] = rows["split"].map(lambda word: SPLITS.get(word, word))
    rows["label"] = _label_values(text["label"], table.table)
    rows.index = table.table.lines
    keys = [_key(name, text, paths, headers) for name in used]
    what = f"{table.name} and radiographs by {', '.join(key.name for key in keys)}"
    joined = join(names, rows, keys, what, table.ignoring)
    refuse_without_match(joined, table.name, f"the {keys[0].name} of these radiographs", table.allow_unmatched)
    facts = [{name: _plain(cell) for name, cell in row.items()} for row in joined.values.to_dict("records")]
    notes = [*table.table.notes, *label_notes(text["label"], columns["label"]), *joined.notes]
    notes += _notes(joined, table.name, names)
    further, more = table_columns(names, headers, table.table, [columns[name] for name in text], keys, table.ignoring)
    return GivenLabels(facts, joined, notes + more, joined.disagreeing.get("label", []), further)


def _key(name: str, text: dict[str, pd.Series], paths: Sequence[str], headers: Sequence[dict]) -> Key:
    title, tag, level = _KEYS[name]
    if name == "path":
        return Key(title, list(paths), [_slashes(path) for path in text[name]], level, paths=True)
    items, rows = [header[tag] for header in headers], text[name].tolist()
    if level and "bone" in text:
        # A study of two body parts may have a label for each.
        bones = text["bone"].str.lower()
        parts = bones[bones != ""].groupby(text[name]).nunique()
        several = set(parts[parts > 1].index)
        rows = [f"{cell} {bone}" if cell in several else cell for cell, bone in zip(rows, bones)]
        items = [f"{cell} {header['bone']}" if cell in several else cell for cell, header in zip(items, headers)]
    return Key(title, items, rows, level)


def _slashes(path: str) -> str:
    path = path.replace("\\", "/")
    return path[2:] if path.startswith("./") else path


def _label_values(text: pd.Series, table: Table) -> list[float]:
    values, bad = read_labels(text)
    if bad.any():
        raise OverreadError(
            f"{table.file}: in {int(bad.sum()):,} of {count_text(len(text), 'row')} the label is not valid "
            f"({first_rows(bad, text, table)}); expected 1 (abnormal), 0 (normal), a pair of words such as positive "
            "and negative, or nothing. Correct that column.",
            code="label-invalid",
        )
    return values.tolist()


def _notes(joined: Joined, name: str, names: Sequence[str]) -> list[Note]:
    notes = []
    for column, places in joined.disagreeing.items():
        if column != "label":
            notes.append(
                Note(
                    f"rows of {name} give {count_text(len(places), 'radiograph')} different values of {column}; "
                    "none is used",
                    f"{column}-contradicts",
                )
            )
    if "split" in joined.values and joined.values["split"].notna().any() and joined.values["split"].isna().any():
        lacking = [at for at, missing in enumerate(joined.values["split"].isna()) if missing]
        first = ", ".join(str(names[at]) for at in lacking[:3])
        raise OverreadError(
            f"{share_clause(len(lacking), len(joined.values), 'radiograph', 'have')} no split in {name} (first: "
            f"{first}), so its "
            "splits cannot be used; expected one for each. Add these rows, or remove the column split to have splits "
            "made here.",
            code="split-lost",
        )
    return notes


def _plain(cell):
    return None if cell is None or cell != cell else cell
