"""Agreement of readers, per bone and per pair, and the studies that a third reader must decide."""

from html import escape

import pandas as pd
import streamlit as st

from core.plural import count_text
from core.review.chain import ChainReport
from core.scores.view import View
from dashboard.agreement import loader as tables_loader
from dashboard.agreement.import_verdicts import draw_import
from dashboard.shared import address, clicks, scoring, selection, widgets
from dashboard.shared.case import cards, loader, open_study, reader_name
from dashboard.shared.case.blind_mode import draw_blind_switch, is_blind
from dashboard.shared.case.case_view import ReadingSession, draw_case
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name

READS = {"All reads": None, "Blind reads": True, "Reads with score and label": False}
MOST_CARDS = 48


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    cases = loader.all_studies(view)
    widgets.heading("Agreement", view.dataset, "between readers")
    with st.container(key="silent"):
        clicks.on_card(open_study.open_study)
    blind = is_blind()
    with st.container(horizontal=True, vertical_alignment="center"):
        reader = reader_name.draw_reader_field()
        draw_blind_switch()
    draw_case_or_tables(ReadingSession(view, cases, reader, blind))


@st.fragment
def draw_case_or_tables(session: ReadingSession) -> None:
    """The open case, or else the tables and the studies to decide."""
    with widgets.guarded():
        undecided = tables_loader.undecided(session.view)
        listed = undecided["study_id"].tolist()
        study = open_study.choose_study(session.cases, session.blind, listed)
        open_study.draw_missing_study()
        if study:
            draw_case(session, study, listed, open_study.open_study, kind="adjudication")
            return
        draw_agreement(session.view)
        draw_undecided(session, undecided)
        draw_import(session.view.source.data)
        draw_chain(loader.chain_report())


def draw_chain(report: ChainReport) -> None:
    """Whether every entry is as it was written."""
    if report.problems:
        more = f" and {len(report.problems) - 1:,} more" if len(report.problems) > 1 else ""
        st.error(plain(f"{report.problems[0].removesuffix('.')}{more}. In a terminal: python -m core verdicts verify"))
    else:
        widgets.note(f"{report.sentence}.")


def draw_agreement(view: View) -> None:
    """Raw agreement and kappa with intervals and n, per bone and per pair of readers."""
    chosen = address.bound(st.segmented_control, "Reads", list(READS), default="All reads", required=True, key="reads")
    tables = tables_loader.tables(view, READS[chosen])
    if tables is None:
        widgets.empty(
            "No study has been read by two readers yet",
            "Let a second reader read the same cases, best blind and in a walkthrough. Agreement then appears here.",
        )
        return
    bones = [
        (
            f"<b>{escape('All bones' if row.bone == 'all' else bone_name(row.bone))}</b>",
            f"{row.studies}",
            f"{row.readers}",
            _estimate_html(row.raw, "percent"),
            _estimate_html(row.kappa, "auroc"),
            row.statistic,
        )
        for row in tables.bones.itertuples()
    ]
    _draw_table(("Bone", "Studies read twice", "Readers", "Raw agreement", "Kappa", "Statistic"), bones)
    pairs = [
        (
            f"<b>{escape(row.first)}</b> and <b>{escape(row.second)}</b>",
            f"{row.studies}",
            _estimate_html(row.raw, "percent"),
            _estimate_html(row.kappa, "auroc"),
        )
        for row in tables.pairs.itertuples()
    ]
    widgets.caption(
        "Pairs of readers", "Cohen's kappa over the reads abnormal and normal; raw agreement over all reads"
    )
    _draw_table(("Pair", "Studies", "Raw agreement", "Kappa"), pairs)


def draw_undecided(session: ReadingSession, undecided: pd.DataFrame) -> None:
    """The studies on which readers differ, the oldest first."""
    cases = session.cases
    widgets.caption("For a third reader", f"{count_text(len(undecided), 'study')} on which readers differ")
    html = []
    for row in undecided.head(MOST_CARDS).itertuples():
        if row.study_id not in cases.table.index:
            widgets.note(f"{row.study_id[:100]} is no longer in the index. Its reads are kept.")
            continue
        files, study = cases.views_of(row.study_id), cases.table.loc[row.study_id]
        if session.blind:
            html.append(cards.blind_card(session.view, row.study_id, study["bone"], files))
        else:
            html.append(cards.outcome_card(session.view, study, files, study["outcome"] or "FN", row.reads))
    if html:
        widgets.gallery(html)


def _estimate_html(estimate, kind: str) -> str:
    value, rest = widgets.estimate_text(estimate, kind)
    return f"{escape(value)}<small>{escape(rest)}</small>"


def _draw_table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    st.html(f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


draw_page()
