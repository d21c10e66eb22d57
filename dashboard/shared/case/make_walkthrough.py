"""Walkthroughs made: from the list of the errors page, or by hand."""

import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.review.walkthroughs import WalkthroughCase, create_walkthrough, sample_cases
from dashboard.shared import widgets
from dashboard.shared.case import loader, reader
from dashboard.shared.case.case_list import Filters
from dashboard.shared.case.loader import Cases
from dashboard.shared.selection import ALL, Selection


def from_list(dataset: Dataset, cases: Cases, listed: list[str], chosen: Selection, filters: Filters) -> None:
    """A walkthrough of what is listed, with random agreements mixed in if asked for."""
    with st.popover(f"Walk through these {len(listed):,} together", icon=":material/groups:"):
        st.text_input("Name", key="walk_name", max_chars=200)
        st.number_input("Cases", 1, len(listed), min(20, len(listed)), key="walk_cases")
        st.segmented_control(
            "Which",
            ("the first of this list", "at random"),
            default="the first of this list",
            required=True,
            key="walk_which",
            help="Drawn at random, they can stand for the whole list, with an interval.",
        )
        table = cases.table
        rest = table["outcome"].isin(("TP", "TN")) & ((table["bone"] == chosen.bone) | (chosen.bone == ALL))
        agreements = table.loc[rest, "study_id"].tolist()
        st.number_input(
            "Random agreements mixed in",
            0,
            len(agreements),
            0,
            key="walk_controls",
            help="Studies that model and label agree on. Reading errors alone flatters the figures as adjudicated; "
            "these put that right, weighted by the inverse of their probability.",
        )
        made_from = (
            f"{filters.name}, {chosen.bone}, {chosen.split}, {chosen.checkpoint}, threshold {chosen.threshold:g}"
        )
        st.button(
            "Make it",
            type="primary",
            key="walk_make",
            on_click=_from_list,
            args=(dataset, listed, agreements, made_from),
        )
        # In here, since what is open would cover it on the page.
        tell()


def by_hand(dataset: Dataset, cases: Cases) -> None:
    """A walkthrough of studies that are typed, one a line."""
    with st.expander("Make one by hand"):
        st.text_input("Name", key="hand_name", max_chars=200)
        st.text_area("Studies, one a line; a note may follow after a bar: study | note", key="hand_cases", height=140)
        st.button("Make it", type="primary", key="hand_make", on_click=_by_hand, args=(dataset, cases))


def tell() -> None:
    """What came of the last attempt to make one."""
    if error := st.session_state.pop("walk_error", None):
        st.error(error)
    if name := st.session_state.get("walk_made"):
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(f"{name} is made.")
            st.page_link("walkthroughs/page.py", label="Open it", query_params={"walk": name})


def _from_list(dataset: Dataset, listed: list[str], agreements: list[str], made_from: str) -> None:
    state = st.session_state
    count, controls = int(state["walk_cases"]), int(state["walk_controls"])
    # Each list its own draw, and the same one if it is asked for again.
    seed = len(listed) + count
    if state["walk_which"] == "at random":
        cases = sample_cases(listed, agreements, count, controls, seed)
    else:
        cases = [WalkthroughCase(study) for study in listed[:count]]
        mixed = sample_cases([], [study for study in agreements if study not in set(listed[:count])], 0, controls, seed)
        # Spread over the list, so that their place does not tell them.
        for place, case in enumerate(mixed):
            cases.insert((place + 1) * len(cases) // (len(mixed) + 1), case)
    _create(dataset, state["walk_name"], cases, made_from)


def _by_hand(dataset: Dataset, cases: Cases) -> None:
    lines = [line.strip() for line in st.session_state["hand_cases"].splitlines() if line.strip()]
    planned = [WalkthroughCase(*(part.strip() for part in line.split("|", 1))) for line in lines]
    unknown = [case.study_id for case in planned if case.study_id not in cases.table.index]
    if unknown:
        st.session_state["walk_error"] = (
            f"{len(unknown)} of {len(planned)} studies are not in {dataset.name} (first: {unknown[0][:100]!r}); "
            "correct the list. Nothing was made."
        )
        return
    _create(dataset, st.session_state["hand_name"], planned, "by hand")


def _create(dataset: Dataset, name: str, cases: list[WalkthroughCase], made_from: str) -> None:
    state = st.session_state
    state["walk_made"], who = "", reader.name()
    if not who:
        state["walk_error"] = "Type your name first: a walkthrough is made by somebody."
        return
    try:
        made = create_walkthrough(loader.store(), dataset.name, name, who, cases, made_from)
    except OverreadError as error:
        state["walk_error"] = str(error)
        return
    # Kept, since a run that follows at once would take the link away again.
    state["walk_made"] = made.name
