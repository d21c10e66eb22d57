"""Ids of outside data that cannot be what they seem: notes, never corrections."""

import pandas as pd

from core.data.mura_paths import is_study_number
from core.data.notes import Note
from core.plural import count_clause, count_text

# 9.00E+09, also with a decimal comma, and the signs that a spreadsheet shows for a number that is too wide.
_SPREADSHEET = r"[1-9](?:[.,]\d+)?[eE]\+\d{1,3}|[1-9][.,]\d+[eE]\d{1,3}|#{3,}|#(?:NAME\?|VALUE!|REF!|DIV/0!)"


def identity_notes(frame: pd.DataFrame) -> list[Note]:
    """Notes on the patient ids of an INDEX or PREDICTIONS."""
    return patient_notes(frame["patient_id"])


def patient_notes(patient: pd.Series) -> list[Note]:
    """Notes on one patient of too many radiographs, ids that a spreadsheet damaged, and ids that are nearly equal."""
    known = patient.dropna().astype("str")
    return [*_crowded(known), *spreadsheet_notes(known, "patient ids"), *_nearly_equal(known)]


def _crowded(known: pd.Series) -> list[Note]:
    """A note if one patient has a fifth of the rows, or a twentieth and ten times as many as other patients.

    In real sets the patient with the most radiographs has .05% of them (2,013 knees), .16% (GRAZPEDWRI-DX, 24 of
    15,395) and .82% (NIH ChestX-ray14, 184 of 22,433), so a twentieth is six times the largest share. The share alone
    would not do for small sets, and the number compared with other patients not for large ones: it is 184 times theirs
    in the NIH set, where most patients have one radiograph.
    """
    counts = known.value_counts()
    if counts.empty:
        return []
    most, rows = int(counts.iloc[0]), len(known)
    usual = float(counts.iloc[1:].median()) if len(counts) > 1 else 0.0
    some = most >= 5 and most >= 0.2 * rows and most >= 5 * usual
    many = most >= 20 and most >= 0.05 * rows and most >= 10 * usual
    if rows < 10 or not (some or many):
        return []
    return [
        Note(
            f"the patient {counts.index[0][:60]!r} has {most:,} of {count_text(rows, 'radiograph')} "
            f"({most / rows:.0%}), other "
            f"patients about {usual:g}: the id may stand for 'unknown'; if so, leave it empty",
            "patient-implausible",
            f"one patient has {most:,} of {count_text(rows, 'radiograph')} ({most / rows:.0%}), other patients "
            f"about {usual:g}: "
            "the id may stand for 'unknown'",
        )
    ]


def spreadsheet_notes(texts: pd.Series, what: str) -> list[Note]:
    """A note on ids that a spreadsheet turned into rounded numbers or signs."""
    damaged = texts[texts.str.fullmatch(_SPREADSHEET)]
    # A spreadsheet keeps 15 digits and writes zeros for the others.
    digits = texts[texts.str.fullmatch(r"\d{16,}")]
    rounded = digits[digits.str[15:].str.strip("0") == ""]
    if len(digits) and len(rounded) == len(digits) and len(digits) >= 3:
        damaged = pd.concat([damaged, rounded])
    if damaged.empty:
        return []
    first = ", ".join(map(repr, damaged.drop_duplicates().head(3)))
    return [
        Note(
            f"{len(damaged):,} of {len(texts):,} {what} look like numbers that a spreadsheet rounded (first: {first}): "
            "different ids may have become one; export the column as text",
            "ids-spreadsheet",
            f"{len(damaged):,} of {len(texts):,} {what} look like numbers that a spreadsheet rounded",
        )
    ]


def _nearly_equal(known: pd.Series) -> list[Note]:
    ids = pd.Series(known.unique(), dtype="str")
    plain = ids.str.lower().str.lstrip("0").where(lambda text: text != "", ids)
    twice = plain.duplicated(keep=False)
    if ids.empty or not twice.any():
        return []
    groups = plain[twice].nunique()
    pair = ids[plain == plain[twice].iloc[0]].tolist()[:2]
    words = (
        f"{count_clause(groups, 'patient id', 'are')} written in several ways that differ in leading zeros or case only"
    )
    return [
        Note(
            f"{words} (first: {' and '.join(map(repr, pair))}); they count as different patients",
            "patient-ids-nearly-equal",
            f"{words}; they count as different patients",
        )
    ]


def split_notes(frame: pd.DataFrame, valid_fraction: float) -> list[Note]:
    """A note if the patients there are do not make a validation split with both labels."""
    if not valid_fraction or frame.attrs.get("splits_from") == "source":
        return []
    groups, valid = frame["group_id"].nunique(), frame[frame["split"] == "valid"]
    if len(valid) == 0 or len(valid) == len(frame):
        return [
            Note(
                f"no validation split can be made of {groups:,} patient{'' if groups == 1 else 's'}: every radiograph "
                f"is in {'train' if len(valid) == 0 else 'valid'}",
                "no-validation-split",
            )
        ]
    if frame["label"].nunique() == 2 and valid["label"].nunique() < 2:
        return [
            Note(
                f"the validation split has {valid['group_id'].nunique():,} of {count_text(groups, 'patient')} and "
                "not both labels; "
                "figures cannot be computed on it",
                "validation-split-one-label",
            )
        ]
    return []


def whole_study_names(study: pd.Series, patient: pd.Series, path: pd.Series) -> tuple[pd.Series, list[Note]]:
    """Study names, where a name such as study1_positive without a patient becomes the path above the radiograph.

    '' where the path does not have the study's folder either: such a radiograph is a study of its own.
    """
    alone = study.map(is_study_number).astype(bool) & (patient.fillna("") == "")
    if not alone.any():
        return study, []
    slashed = path.fillna("").astype("str").str.replace("\\", "/", regex=False)
    above = slashed.str.rpartition("/")[0]
    inside = alone & (above.str.rpartition("/")[2].str.lower() == study.str.lower()) & above.str.contains("/")
    whole = study.mask(inside, above).mask(alone & ~inside, "")
    notes = []
    if inside.any():
        notes.append(
            Note(
                f"{count_clause(int(inside.sum()), 'row', 'name')} a study such as {study[inside].iloc[0]!r} and no "
                "patient; the study "
                f"is the folder, such as {above[inside].iloc[0]!r}",
                "study-name-alone",
            )
        )
    if (alone & ~inside).any():
        lone = alone & ~inside
        notes.append(
            Note(
                f"{count_clause(int(lone.sum()), 'row', 'name')} a study such as {study[lone].iloc[0]!r} without a "
                "patient or a folder; "
                "each of these radiographs is its own study; name the patients",
                "study-name-alone",
            )
        )
    return whole, notes
