"""The reports of joins of outside tables, and the notes on them: one drawing for every page that reads a table."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.data.joins import JoinReport
from core.data.notes import Note
from core.plural import count_text
from dashboard.shared import widgets
from dashboard.shared.plain import plain

COLUMNS = {
    "what": "Join",
    "matched": "Rows matched",
    "unmatched_rows": "Rows that match nothing",
    "items_without_row": "Without a row in the table",
    "duplicates": "Equal duplicates",
    "contradictions": "Contradictions",
}
EXAMPLES = {
    "unmatched_rows": "Rows that match nothing",
    "items_without_row": "Without a row in the table",
    "duplicates": "Equal duplicates",
    "contradictions": "Contradictions, which count as unlabelled",
}


def draw_join_report(joins: Sequence[JoinReport], notes: Sequence[Note] = (), key: str = "joins") -> None:
    """Draw one row for each join, three examples of each kind of row, and the notes. Draws nothing for nothing."""
    if joins:
        widgets.draw_table(joins_table(joins), key=key)
        html = "".join(f"<li>{escape(line)}</li>" for line in example_lines(joins))
        if html:
            st.html(f'<ul class="note">{html}</ul>')
    if notes:
        st.html(f'<ul class="note">{"".join(f"<li>{escape(note_sentence(note))}</li>" for note in notes)}</ul>')


def draw_folded_join_report(joins: Sequence[JoinReport], notes: Sequence[Note] = (), key: str = "joins") -> None:
    """The same folded away under its counts, and opened where rows match nothing or contradict each other."""
    if not joins and not notes:
        return
    with st.expander(plain(joins_title(joins, notes)), icon=":material/join_inner:", expanded=is_doubtful(joins)):
        draw_join_report(joins, notes, key)


def is_doubtful(joins: Sequence[JoinReport]) -> bool:
    """Whether rows match nothing or contradict each other."""
    return any(report.unmatched_rows or report.contradictions for report in joins)


def joins_title(joins: Sequence[JoinReport], notes: Sequence[Note] = ()) -> str:
    """`Tables joined: 117 rows matched; 2 notes`."""
    rows = sum(report.matched for report in joins)
    parts = [f"Tables joined: {count_text(rows, 'row')} matched"] if joins else []
    return "; ".join([*parts, *([count_text(len(notes), "note")] if notes else [])])


def joins_table(joins: Sequence[JoinReport]) -> pd.DataFrame:
    """The counts of each join, under the words of the pages."""
    rows = [{words: getattr(report, name) for name, words in COLUMNS.items()} for report in joins]
    return pd.DataFrame(rows, columns=list(COLUMNS.values()))


def example_lines(joins: Sequence[JoinReport]) -> list[str]:
    """For each join and each kind of row, its first examples in one line."""
    lines = []
    for report in joins:
        for kind, words in EXAMPLES.items():
            shown = [example for example in report.examples if example["kind"] == kind]
            if shown:
                lines.append(f"{words}: {'; '.join(map(_example_text, shown))}")
    return lines


def note_sentence(note: str) -> str:
    """A note as a sentence of a page, with a capital and a full stop."""
    text = str(note)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def _example_text(example: dict) -> str:
    place = "" if example["row"] is None else f"row {example['row']:,}"
    return " ".join(part for part in (place, str(example["key"])[:80]) if part)
