"""The studies a model gets wrong, worst first; one of them opened, with its verdict keys."""

import streamlit as st

from dashboard.shared import clicks, scoring, selection, widgets
from dashboard.shared.case import (
    case_list,
    make_walkthrough,
    verdicts,
)
from dashboard.shared.case import (
    reader as reviewer,
)
from dashboard.shared.case import (
    room as case_view,
)
from dashboard.shared.case import (
    study as study_view,
)
from dashboard.shared.case.case_list import Filters
from dashboard.shared.case.room import Room
from dashboard.shared.selection import bone_name

PER_PAGE = 24


def show() -> None:
    view = selection.current()
    scoring.require_model(view)
    blind = reviewer.is_blind()
    where = f"threshold {view.threshold:.3f}"
    widgets.heading("Errors", view.dataset, view.source.name, f"{view.split} studies", where)
    cases = scoring.require_cases(view)
    filters = case_list.choose(view, cases, blind, study_view.close)
    listed = case_list.listed(cases, filters, view)
    with st.container(key="silent"):
        clicks.on_card(study_view.open_study)
        reviewer.recall()
    with st.container(horizontal=True, vertical_alignment="center"):
        reader = reviewer.draw()
        reviewer.blind_switch()
    read(Room(view, cases, reader, blind, filters.second), listed, filters)


@st.fragment
def read(room: Room, listed: list[str], filters: Filters) -> None:
    """The open case, else the gallery. A step to the next case runs this again and nothing else of the page."""
    with widgets.guarded():
        study = study_view.choose_study(room.cases, room.blind, listed)
        if not study and study_view.say_gone():
            return
        if study:
            case_view.show(room, study, listed, opened=study_view.open_study)
        elif not listed:
            widgets.empty(
                f"No {filters.name.lower()} study: {bone_name(room.view.bone).lower()}, {room.view.split}, "
                f"threshold {room.view.threshold:.3f}",
                "Choose another bone, outcome, filter or threshold.",
            )
        else:
            show_gallery(room, listed, filters)


def show_gallery(room: Room, listed: list[str], filters: Filters) -> None:
    """One page of cards."""
    view, cases, blind = room.view, room.cases, room.blind
    order = {"near": "nearest first", "blind": "in an order that says nothing"}.get(
        filters.outcome, "lowest score first" if filters.outcome in ("FN", "TN") else "highest score first"
    )
    pages = -(-len(listed) // PER_PAGE)
    # Another list begins at its first page, whichever selector made it another.
    of = (view, filters)
    if st.session_state.get("page_of", of) != of:
        st.session_state["page"] = 1
    st.session_state["page_of"] = of
    page = min(st.session_state.get("page", 1), pages)
    shown = listed[(page - 1) * PER_PAGE : page * PER_PAGE]
    said = verdicts.spoken(view.dataset, shown) if not blind else {}
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        widgets.caption(f"{filters.name} studies", f"{len(listed):,}; {order}")
        if not blind:
            make_walkthrough.from_list(room, listed, filters)
    cards = []
    for row in cases.table.loc[shown].itertuples(index=False):
        files = cases.views_of(row.study_id)
        if blind:
            cards.append(study_view.blind_card(view, row.study_id, row.bone, files))
        else:
            words = said.get(row.study_id, "")
            cards.append(study_view.card(view, row, files, row.outcome or "FN", words))
    widgets.gallery(cards)
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key="page", bind="query-params")


show()
