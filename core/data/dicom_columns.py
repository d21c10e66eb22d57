"""Further columns of a folder of DICOM: age, sex and device from the headers, and the other columns of a label table.

No column may identify a patient: names, ids and birth dates are left out.
"""

import re
from collections.abc import Sequence

import pandas as pd

from core.data.extra_columns import keep_columns, typed
from core.data.joins import Key, join
from core.data.missing import is_missing
from core.data.notes import Note
from core.data.tables import Table, simple_name
from core.plural import count_clause, count_text

# The tag of each further column. PatientAge has a unit, as in 014Y.
HEADER_COLUMNS = {
    "age": "PatientAge",
    "sex": "PatientSex",
    "manufacturer": "Manufacturer",
    "manufacturer_model": "ManufacturerModelName",
}
# Columns that the rows of DICOM have beside those of every Index.
_OWN = ("modality", "instance_uid", "study_uid")
_AGE = re.compile(r"\d{1,3}[DWMY]")
_IDS = ("patient", "name", "study", "instance", "accession")
# Names of columns that identify a patient, without spaces and signs.
_IDENTIFYING = re.compile(
    r"(patient|subject|person|first|last|family|given|full|sur|physician|radiologist)*(names?)|name(first|last)|"
    r"(patient|subject|person|medicalrecord|case|hospital|insurance)*(ids?|numbers?|no)|(patient)?mrn|"
    r"(patients?)?(birth(day|date)?|dateofbirth|dob|born|geburtsdatum)|(patient)?(address|phone|email|ssn)|"
    r"accession(number|no|id)?|study(id|uid)|.*instanceuid|otherpatientids?|issuerofpatientid"
)


def header_columns(headers: Sequence[dict], taken: Sequence[str] = ()) -> tuple[pd.DataFrame, list[Note]]:
    """Age in years, sex and device of each radiograph, where any header has them.

    taken: names of a label table's columns; the header's column is then called NAME_header.
    """
    found, notes = {}, []
    for name in HEADER_COLUMNS:
        text = pd.Series([header[name] for header in headers], dtype="str")
        text = text.mask(text.map(is_missing), "")
        if name == "age":
            text = text.str.upper().str.replace(" ", "")
            valid = text.str.fullmatch(_AGE)
            if bad := int((~valid & (text != "")).sum()):
                notes.append(
                    Note(
                        f"{count_clause(bad, 'radiograph', 'have')} a PatientAge without a unit; expected one such as "
                        "014Y, so it "
                        "counts as missing",
                        "age-without-unit",
                    )
                )
            text = text.where(valid, "").map(lambda cell: cell.rjust(4, "0") if cell else cell)
        elif name == "sex":
            text = text.str.upper()
        if (text != "").any():
            # A model called 3000 is not a number.
            values = typed(text) if name == "age" else text.mask(text == "").astype("str")
            found[f"{name}_header" if name in taken else name] = values
    return pd.DataFrame(found, index=range(len(headers))), notes


def table_columns(
    names: Sequence[str],
    headers: Sequence[dict],
    table: Table,
    used: Sequence[str],
    keys: list[Key],
    ignoring: Sequence[str],
) -> tuple[pd.DataFrame, list[Note]]:
    """The other columns of a label table, typed and joined to the radiographs with these names; notes on them.

    used: its columns that are read otherwise. Columns with identifying names or with ids of `headers` are left out. A
    radiograph whose rows disagree has no value.
    """
    ids = {header[kind] for header in headers for kind in _IDS if len(header[kind]) > 3}
    left = [
        name
        for name in table.frame.columns
        if name not in used and (_IDENTIFYING.fullmatch(simple_name(name)) or _names_many(table.frame[name], ids))
    ]
    notes = []
    if left:
        notes.append(
            Note(f"columns that may identify a patient are not kept: {', '.join(left)}", "identifying-columns")
        )
    # Columns of DICOM's own rows count as taken.
    own = pd.DataFrame("", index=table.frame.index, columns=list(_OWN))
    kept, more = keep_columns(table.frame, {*used, *left}, own, table.file.name)
    kept, notes = kept.drop(columns=list(_OWN)), notes + more
    if kept.columns.empty:
        return pd.DataFrame(index=range(len(names))), notes
    kept.index = table.lines
    joined = join(names, kept, keys, table.file.name, ignoring)
    for name, places in joined.disagreeing.items():
        notes.append(
            Note(
                f"rows of {table.file.name} give {count_text(len(places), 'radiograph')} different values of "
                f"{name}; none is used",
                "column-contradicts",
            )
        )
    return pd.DataFrame({name: joined.values[name].astype(kept[name].dtype) for name in kept.columns}), notes


def _names_many(cells: pd.Series, ids: set[str]) -> bool:
    """Whether half of a column's different cells, or more, are ids from headers."""
    distinct = set(cells.dropna().astype("str").str.strip()) - {""}
    return len(distinct & ids) * 2 >= len(distinct) > 0
