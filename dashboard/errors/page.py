"""Studies by outcome, the most confident errors first; one of them opened, with its verdict keys."""

import streamlit as st

from dashboard.errors.filters import BLIND, NEAR, Filters, draw_filters, list_studies
from dashboard.errors.id_list import draw_id_list
from dashboard.shared import address, clicks, maps, scoring, selection, widgets
from dashboard.shared.case import cards, open_study, reader_name, walkthrough_forms
from dashboard.shared.case.blind_mode import draw_blind_switch, is_blind
from dashboard.shared.case.case_view import ReadingSession, draw_case
from dashboard.shared.case.verdict_panel import verdict_summaries
from dashboard.shared.selection import bone_name

PER_PAGE = 24


def draw_page() -> None:
    view = selection.current()
    maps.load_ahead(view.source)
    scoring.require_model(view)
    blind = is_blind()
    threshold = f"threshold {view.threshold:.3f}"
    widgets.heading("Errors", view.dataset, view.source.name, f"{view.split} studies", threshold)
    if not view.source.has_images:
        draw_id_list(view)
        return
    cases = scoring.require_cases(view)
    filters = draw_filters(view, cases, blind, open_study.close_study)
    listed = list_studies(cases, filters, view)
    with st.container(key="silent"):
        clicks.on_card(open_study.open_study)
    with st.container(horizontal=True, vertical_alignment="center"):
        reader = reader_name.draw_reader_field()
        draw_blind_switch()
    draw_case_or_list(ReadingSession(view, cases, reader, blind, filters.second), listed, filters)


@st.fragment
def draw_case_or_list(session: ReadingSession, listed: list[str], filters: Filters) -> None:
    """The open case, or else the list. As a fragment, so that the next case does not run the whole page again."""
    with widgets.guarded():
        study = open_study.choose_study(session.cases, session.blind, listed)
        if not study and open_study.draw_missing_study():
            return
        if study:
            draw_case(session, study, listed, open_study.open_study)
        elif not listed:
            view = session.view
            widgets.empty(
                f"No {filters.name.lower()} study: {bone_name(view.bone).lower()}, {view.split}, "
                f"threshold {view.threshold:.3f}",
                "Choose another bone, outcome, filter or threshold.",
            )
        else:
            draw_list(session, listed, filters)


def draw_list(session: ReadingSession, listed: list[str], filters: Filters) -> None:
    """One page of cards."""
    view, blind = session.view, session.blind
    order = {NEAR: "nearest first", BLIND: "in a random order"}.get(
        filters.outcome, "lowest score first" if filters.outcome in ("FN", "TN") else "highest score first"
    )
    pages = -(-len(listed) // PER_PAGE)
    # A list that changed starts at its first page.
    list_key = (view, filters)
    if st.session_state.get("page_of", list_key) != list_key:
        st.session_state["page"] = 1
    st.session_state["page_of"] = list_key
    page = min(st.session_state.get("page", 1), pages)
    shown = listed[(page - 1) * PER_PAGE : page * PER_PAGE]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        widgets.caption(f"{filters.name} studies", f"{len(listed):,}; {order}")
        if not blind:
            walkthrough_forms.draw_form_for_list(view, session.cases, listed, filters.name)
    widgets.gallery(card_list(session, shown))
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            address.bound(st.pagination, pages, key="page")


def card_list(session: ReadingSession, studies: list[str]) -> list[str]:
    """The cards of these studies, blind or with the verdicts on them."""
    view, rows = session.view, session.cases.table.loc[studies]
    if session.blind:
        return [
            cards.blind_card(view, row.study_id, row.bone, session.cases.views_of(row.study_id))
            for row in rows.itertuples(index=False)
        ]
    verdicts = verdict_summaries(view.dataset, studies)
    return [
        cards.outcome_card(
            view, row, session.cases.views_of(row.study_id), row.outcome or "FN", verdicts.get(row.study_id, "")
        )
        for row in rows.itertuples(index=False)
    ]


draw_page()
