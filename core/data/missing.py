"""Words that outside tables write for a missing value. Every reader of a table uses this one list."""

import pandas as pd

# In lower case. 'anonymous' and its relatives are what archives write in place of a patient's id.
WORDS = frozenset(
    {
        "", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "nil", "\\n", "(null)",
        "missing", "(missing)", "unknown", "unk", "undefined", "not available", "not applicable", "not known",
        "-", "--", "---", ".", "?", "–", "—",
        "anonymous", "anonymized", "anonymised", "anonymous patient", "anonym", "anon", "deidentified",
        "de-identified", "removed", "redacted",
    }
)  # fmt: skip


def is_missing(text: str) -> bool:
    """Whether a cell's text means 'no value', in any case and with any spaces around it."""
    return " ".join(text.split()).lower() in WORDS


def blank_missing(text: pd.Series) -> pd.Series:
    """The cells as stripped text, with '' in place of every word for a missing value."""
    cells = text.astype("str").str.strip()
    words = [cell for cell in cells.dropna().unique() if is_missing(cell)]
    return cells.mask(cells.isin(words) | cells.isna(), "")
