"""The summary of a walkthrough: each case with its reads and its action, open actions, and the minutes."""

from html import escape

import pandas as pd
import streamlit as st

from core.among import among
from core.errors import OverreadError
from core.plural import count_text
from core.review import summary
from core.review.actions import Action, add_action, close_action, list_actions
from core.review.in_force import with_in_force
from core.review.minutes import changes_of_list, weighted_words
from core.review.minutes_page import minutes_csv, minutes_html
from core.review.reading_state import read_state
from core.review.store import entries_table
from core.workflows.minutes import collect_minutes
from dashboard.shared import widgets
from dashboard.shared.case import loader, reader_name
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.walkthroughs.opened import Opened, find_source

SHOWN = ("place", "study_id", "bone", "label", "reads", "adjudicated", "action", "notes")


def draw_summary(opened: Opened, reader: str) -> None:
    """The minutes, the open actions, and each case with its reads and what to do with its label.

    A case that is still read blind shows nothing, so that nobody sees more here than beside its films.
    """
    walkthrough = opened.walkthrough
    state = read_state(loader.store(), walkthrough)
    hidden = {case.study_id for case in walkthrough.cases if state.hides(walkthrough, case.study_id)}
    made_from = "" if hidden else f"; made from: {walkthrough.made_from or 'a list'}"
    widgets.caption(walkthrough.name, f"{count_text(len(walkthrough.cases), 'case')}{made_from}")
    if hidden:
        widgets.note(f"{count_text(len(hidden), 'case')} not revealed yet; the lead reveals them.")
    draw_minutes(opened)
    draw_actions(opened, reader)
    draw_cases(opened, hidden)


def draw_minutes(opened: Opened) -> None:
    """The button that collects the minutes, then their files."""
    walkthrough, state = opened.walkthrough, st.session_state
    if st.button("Make the minutes", key="minutes", type="primary", icon=":material/description:"):
        bar = st.empty()
        with bar:
            advance = widgets.progress("Collecting the minutes")
        try:
            minutes = collect_minutes(
                loader.store(),
                walkthrough,
                find_source,
                lambda done, total, words: advance(done / max(total, 1), words),
            )
        except OverreadError as error:
            st.error(plain(error))
            return
        bar.empty()
        state["minutes_made"] = walkthrough.id, minutes_html(minutes), minutes_csv(minutes)
    made = state.get("minutes_made")
    if made and made[0] == walkthrough.id:
        with st.container(horizontal=True, vertical_alignment="center"):
            for label, data, kind in (("Minutes", made[1], "html"), ("Table", made[2], "csv")):
                st.download_button(
                    f"{label} ({kind.upper()})", data, f"{_file_name(walkthrough.name)}.{kind}", f"text/{kind}",
                    on_click="ignore", icon=":material/download:", key=f"minutes_{kind}",
                )  # fmt: skip
            widgets.note("One page that opens without a network; print it to get a PDF.")


def draw_actions(opened: Opened, reader: str) -> None:
    """The actions with their owners and dates, and the form of another one."""
    walkthrough = opened.walkthrough
    actions = list_actions(loader.store(), walkthrough.id)
    still_open = sum(not action.closed for action in actions)
    widgets.caption("Actions", f"{still_open} open" if actions else "none yet")
    if error := st.session_state.pop("action_error", None):
        st.error(plain(error))
    for action in actions:
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(_action_words(action))
            if not action.closed:
                st.button(
                    "Close",
                    key=f"close_{action.id}",
                    type="tertiary",
                    on_click=_close,
                    args=(action.id,),
                    **gate("read"),
                )
    # Enter in a text must not send half an action.
    form = st.form("action_form", clear_on_submit=True, enter_to_submit=False, border=False)
    with form, st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Action", key="action_text", max_chars=500, width=420)
        st.text_input("Who", key="action_owner", max_chars=100, width=180)
        st.date_input("Until", None, key="action_due", width=150)
        st.form_submit_button("Add", on_click=_add, args=(walkthrough.id,), **gate("read", not reader))


def draw_cases(opened: Opened, hidden: set[str]) -> None:
    """The figures as labelled and as adjudicated, and a table of all cases."""
    walkthrough, view = opened.walkthrough, opened.view
    verdicts = with_in_force(entries_table(loader.store(), walkthrough_id=walkthrough.id))
    studies = opened.cases.table[["study_id", "bone", "label", "score", "outcome"]]
    table = summary.summary_table(walkthrough, verdicts[verdicts["in_force"]], studies)
    widgets.caption("Cases", "as labelled, and as adjudicated by the readers of this walkthrough")
    draw_changes(table[~among(table["study_id"], hidden)], view.threshold)
    table = summary.masked(table, hidden)
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in SHOWN)
    body = "".join(
        "<tr>" + "".join(f"<td class='wrap'>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table[list(SHOWN)].itertuples(index=False)
    )
    st.html(
        f'<div class="table tight summary"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def draw_changes(table: pd.DataFrame, threshold: float) -> None:
    """Sensitivity and specificity before and after, in the words of the minutes."""
    rows = "".join(
        f"<tr><td><b>{escape(one.name)}</b></td><td>{escape(one.before)}</td><td>{escape(one.after)}</td></tr>"
        for one in changes_of_list(table, threshold)
    )
    head = "<tr><th></th><th>As labelled</th><th>As adjudicated</th></tr>"
    st.html(f'<div class="table tight"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>')
    if (table["stratum"] == "chosen").any():
        widgets.note("Cases were chosen by their score, so these figures describe this list only, not the split.")
    else:
        for sentence in weighted_words(summary.adjudicated_figures(table, threshold)):
            widgets.note(sentence)


def _action_words(action: Action) -> str:
    until = f", until {action.due}" if action.due else ""
    closed = f" (closed {action.closed})" if action.closed else ""
    return f"{action.text}: {action.owner}{until}{closed}"


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in f"minutes-{name}")[:80]


def _add(walkthrough_id: str) -> None:
    state = st.session_state
    due = state["action_due"].isoformat() if state["action_due"] else ""
    try:
        add_action(
            loader.store(), walkthrough_id, state["action_text"], state["action_owner"], due, reader_name.reader_name()
        )
    except OverreadError as error:
        state["action_error"] = str(error)


def _close(action_id: str) -> None:
    try:
        close_action(loader.store(), action_id, reader_name.reader_name() or "unnamed")
    except OverreadError as error:
        st.session_state["action_error"] = str(error)
