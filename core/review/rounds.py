"""Each reader's read before and after the readers of a walkthrough talked about a case."""

import pandas as pd

from core.review.in_force import in_force
from core.review.reading_state import ALONE

COLUMNS = ("study_id", "reviewer", "before", "after", "note")


def reads_by_round(entries: pd.DataFrame) -> pd.DataFrame:
    """One row per study and reader (COLUMNS): studies by their first entry, the readers of each by name.

    entries: every entry of one walkthrough, as `entries_table` gives them. before: the read of the round alone, else
    the last blind read if an open one followed; '' without one. after: the last read of the round together; '' where a
    reader entered nothing then. note: all notes of the reader on the study. Undone entries do not count.
    """
    active = in_force(entries[["id", "supersedes"]].itertuples(index=False, name=None))
    kept = entries[entries["id"].isin(active) & (entries["action"] == "verdict") & (entries["kind"] == "review")]
    kept = kept.sort_values(["created", "sequence"])
    rows = []
    for (study, reader), own in kept.groupby(["study_id", "reviewer"], sort=False):
        alone = own[own["round"] == ALONE]
        together = own[own["round"] != ALONE]
        blind = together[together["blind"]]
        before, after = _last(alone), _last(together)
        if not before and len(blind) and not together["blind"].iloc[-1]:
            before = _last(blind)
        rows.append((study, reader, before, after, " | ".join(note for note in own["note"] if note)))
    place = {study: number for number, study in enumerate(dict.fromkeys(kept["study_id"]))}
    rows.sort(key=lambda row: (place[row[0]], row[1].casefold()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def change_words(before: str, after: str) -> str:
    """A reader's reads as one phrase: `abnormal`, or `normal, then abnormal`."""
    words = [read.replace("_", " ") for read in (before, after) if read]
    return ", then ".join(dict.fromkeys(words))


def _last(entries: pd.DataFrame) -> str:
    return "" if entries.empty else str(entries["read"].iloc[-1])
