"""How far readers agree, per bone and per pair, and the queue of what a third reader decides."""

from html import escape

import pandas as pd
import streamlit as st

from core.review.agreement import agreement_table, disagreements, latest_reads, pair_table
from dashboard.shared import clicks, scoring, selection, widgets
from dashboard.shared.case import loader
from dashboard.shared.case import reader as reviewer
from dashboard.shared.case import room as case_view
from dashboard.shared.case import study as study_view
from dashboard.shared.case.room import Room
from dashboard.shared.selection import bone_name

WHICH = {"All reads": None, "Blind reads": True, "Reads with score and label": False}


def show() -> None:
    view = selection.current()
    scoring.require_model(view)
    cases = loader.all_studies(view)
    widgets.heading("Agreement", view.dataset, "between readers")
    with st.container(key="silent"):
        clicks.on_card(study_view.open_study)
        reviewer.recall()
    blind = reviewer.is_blind()
    with st.container(horizontal=True, vertical_alignment="center"):
        reader = reviewer.draw()
        reviewer.blind_switch()
    read(Room(view, cases, reader, blind))


@st.fragment
def read(room: Room) -> None:
    """The open case of the queue, else the tables and the queue."""
    with widgets.guarded():
        verdicts = loader.verdicts(room.view.source.data)
        queue = disagreements(verdicts)
        listed = queue["study_id"].tolist()
        study = study_view.choose_study(room.cases, room.blind, listed)
        study_view.say_gone()
        if study:
            case_view.show(room, study, listed, opened=study_view.open_study, kind="adjudication")
            return
        show_tables(verdicts, room.cases.table)
        show_queue(room, queue)


def show_tables(verdicts: pd.DataFrame, studies: pd.DataFrame) -> None:
    """Raw agreement and kappa, with intervals and n."""
    which = st.segmented_control(
        "Reads", list(WHICH), default="All reads", required=True, key="reads", bind="query-params"
    )
    reads = latest_reads(verdicts, WHICH[which])
    if reads["study_id"].duplicated().sum() == 0:
        widgets.empty(
            "No study was read by two readers yet",
            "Read the same cases under two names, best in a walkthrough and blind; agreement appears here.",
        )
        return
    table = agreement_table(reads, studies)
    rows = [
        (
            f"<b>{escape('All bones' if row.bone == 'all' else bone_name(row.bone))}</b>",
            f"{row.studies}",
            f"{row.readers}",
            _cell(row.raw, "percent"),
            _cell(row.kappa, "auroc"),
            row.statistic,
        )
        for row in table.itertuples()
    ]
    _table(("Bone", "Studies read twice", "Readers", "Raw agreement", "Kappa", "Statistic"), rows)
    pairs = [
        (
            f"<b>{escape(row.first)}</b> and <b>{escape(row.second)}</b>",
            f"{row.studies}",
            _cell(row.raw, "percent"),
            _cell(row.kappa, "auroc"),
        )
        for row in pair_table(reads).itertuples()
    ]
    widgets.caption(
        "Pairs of readers", "Cohen's kappa over the reads abnormal and normal; raw agreement over all reads"
    )
    _table(("Pair", "Studies", "Raw agreement", "Kappa"), pairs)


def show_queue(room: Room, queue: pd.DataFrame) -> None:
    """The studies on which readers differ, the oldest first."""
    cases = room.cases
    widgets.caption("For a third reader", f"{len(queue)} studies on which readers differ")
    cards = []
    for row in queue.head(48).itertuples():
        if row.study_id not in cases.table.index:
            widgets.note(f"{row.study_id[:100]} is not in the index any more; its reads are kept.")
            continue
        files, study = cases.views_of(row.study_id), cases.table.loc[row.study_id]
        if room.blind:
            cards.append(study_view.blind_card(room.view, row.study_id, study["bone"], files))
        else:
            cards.append(study_view.card(room.view, study, files, study["outcome"] or "FN", row.reads))
    if cards:
        widgets.gallery(cards)


def _cell(estimate, kind: str) -> str:
    value, rest = widgets.estimate_text(estimate, kind)
    return f"{escape(value)}<small>{escape(rest)}</small>"


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    st.html(f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


show()
