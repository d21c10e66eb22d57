"""A revealed case: everyone's verdicts side by side, and what the room decides."""

from html import escape
from uuid import uuid4, uuid5

import streamlit as st

from core.errors import OverreadError
from core.review.in_force import with_in_force
from core.review.reading_state import TOGETHER
from core.review.rounds import change_words, reads_by_round
from core.review.store import add_verdict_once, entries_table
from core.review.vocabulary import Verdict
from dashboard.shared import theme
from dashboard.shared.case import loader
from dashboard.walkthroughs.opened import Opened
from dashboard.walkthroughs.reading_status import Status

DECISIONS = {
    "Abnormal": {"reading": "abnormal"},
    "Normal": {"reading": "normal"},
    "Unreadable": {"verdict": "cannot_tell"},
    "Out of scope": {"verdict": "out_of_scope"},
}


def draw_reveal(opened: Opened, status: Status, study: str, every: float) -> None:
    """Label and verdicts of a revealed case; the lead's page also has the buttons of the decision.

    every: seconds between two looks for verdicts that have come since.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="reveal"):
        st.fragment(_draw_verdicts, run_every=every)(opened, study)
        if status.leads and status.together:
            press = uuid4()
            for name, fields in DECISIONS.items():
                st.button(
                    name,
                    key=f"decide_{name.lower().replace(' ', '_')}",
                    on_click=_decide,
                    args=(opened, study, fields, str(uuid5(press, name)), status.reader),
                    help="The decision of the room counts in the minutes and in revisions of the labels.",
                )


def _draw_verdicts(opened: Opened, study: str) -> None:
    entries = entries_table(loader.store(), study_id=study, walkthrough_id=opened.walkthrough.id)
    reads = reads_by_round(entries)
    label = opened.cases.table["label"].get(study)
    words = theme.LABELS.get(label, theme.UNKNOWN)[0].lower()
    cells = [f"<div><small>Label</small><b>{words}</b></div>"]
    cells += [
        f"<div><small>{escape(row.reviewer)}</small><b>{escape(change_words(row.before, row.after))}</b></div>"
        for row in reads.itertuples()
    ]
    decided = with_in_force(entries)
    decided = decided[decided["in_force"] & (decided["kind"] == "adjudication")]
    if len(decided):
        last = decided.sort_values(["created", "sequence"]).iloc[-1]
        cells.append(
            f'<div class="decided"><small>The room decided</small><b>{escape(last["read"].replace("_", " "))}</b></div>'
        )
    if not len(decided):
        cells.append('<div class="decided"><small>The room decides</small><b>not yet</b></div>')
    st.html(f'<div class="reveal" aria-label="Verdicts side by side">{"".join(cells)}</div>')


def _decide(opened: Opened, study: str, fields: dict, press: str, reader: str) -> None:
    # The reader is not read from the session, since a run may end a callback at any access to it.
    label, score = (opened.cases.table.at[study, name] for name in ("label", "score"))
    entry = Verdict(
        opened.walkthrough.dataset,
        study,
        reader,
        kind="adjudication",
        given_label=None if label != label else float(label),
        checkpoint=opened.reference or None,
        threshold=opened.view.threshold,
        score=None if score != score else float(score),
        walkthrough_id=opened.walkthrough.id,
        round=TOGETHER,
        id=press,
        **fields,
    )
    try:
        add_verdict_once(loader.store(), entry)
    except OverreadError as error:
        st.session_state["walk_error"] = str(error)
