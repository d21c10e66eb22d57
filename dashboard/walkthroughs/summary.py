"""The summary of a walkthrough: each case with its reads and its action, and the adjudicated figures."""

from html import escape

import streamlit as st

from core.plural import count_text
from core.review import summary
from core.review.reading_state import read_state
from core.review.store import entries_table, with_in_force
from dashboard.shared import widgets
from dashboard.shared.case import loader
from dashboard.walkthroughs.opened import Opened

SHOWN = ("place", "study_id", "bone", "label", "reads", "adjudicated", "action", "notes")


def draw_summary(opened: Opened, reader: str) -> None:
    """Each case with its reads and its action, the adjudicated figures, and the table as a file.

    A case that is still read blind shows nothing, so that nobody sees more here than beside its films.
    """
    walkthrough, view = opened.walkthrough, opened.view
    state = read_state(loader.store(), walkthrough)
    hidden = {case.study_id for case in walkthrough.cases if state.hides(walkthrough, case.study_id)}
    entries = entries_table(loader.store(), walkthrough_id=walkthrough.id)
    verdicts = with_in_force(entries)
    studies = opened.cases.table[["study_id", "bone", "label", "score", "outcome"]]
    table = summary.summary_table(walkthrough, verdicts[verdicts["in_force"]], studies)
    made_from = "" if hidden else f"; made from: {walkthrough.made_from or 'a list'}"
    widgets.caption(walkthrough.name, f"{count_text(len(table), 'case')}{made_from}")
    if hidden:
        widgets.note(f"{count_text(len(hidden), 'case')} not revealed yet; the lead reveals them.")
    shown = table[~table["study_id"].isin(hidden)]
    figures = summary.adjudicated_figures(shown, view.threshold)
    for name in ("sensitivity", "specificity"):
        weighted = widgets.sentence(f"{name.capitalize()} as adjudicated, weighted", figures[name])
        unweighted, _ = widgets.estimate_text(figures[f"{name}_unweighted"])
        estimable = unweighted != "Not estimable"
        widgets.note(f"{weighted}; not weighted: {unweighted}" if estimable else f"{weighted}.")
    if (table["stratum"] == "chosen").any() and not hidden:
        widgets.note("Cases were chosen by their score, so these figures describe this list only, not the split.")
    table = summary.masked(table, hidden)
    st.download_button(
        "CSV", summary.summary_csv(table), "walkthrough.csv", "text/csv", on_click="ignore", icon=":material/download:"
    )
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in SHOWN)
    body = "".join(
        "<tr>" + "".join(f"<td class='wrap'>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table[list(SHOWN)].itertuples(index=False)
    )
    st.html(
        f'<div class="table tight summary"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
