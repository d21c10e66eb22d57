"""Lists of cases that several readers go through together: made, led, followed and summed up."""

import pandas as pd
import streamlit as st

from core.plural import count_text
from core.review.walkthroughs import Walkthrough, list_walkthroughs, read_walkthrough
from core.scores.view import ALL_BONES
from core.workflows.walkthroughs import broken_walkthroughs
from dashboard.shared import address, loaders, scoring, selection, widgets
from dashboard.shared.address_kinds import Choice
from dashboard.shared.case import loader, reader_name, walkthrough_forms
from dashboard.shared.plain import plain
from dashboard.shared.scope import scope
from dashboard.walkthroughs.opened import open_walkthrough, own_words
from dashboard.walkthroughs.reading_together import draw_walkthrough
from dashboard.walkthroughs.summary import draw_summary

PARTS = ("Cases", "Summary")


def draw_page() -> None:
    view = selection.current()
    walkthroughs = list_walkthroughs(loader.store(), view.source.data)
    known = Choice(walkthroughs["name"], "walkthrough")
    key = address.key("walk", known)
    name = st.session_state.get(key) or address.value(key, known) or ""
    if name:
        st.session_state[key] = name  # a run that ends before the field is drawn would lose it
    walkthrough = read_walkthrough(loader.store(), walkthroughs.set_index("name").at[name, "id"]) if name else None
    if walkthrough is None:
        scoring.require_model(view)
    else:
        restore_view(walkthrough)
    heading = st.container()
    line = st.container(horizontal=True, vertical_alignment="center", gap="small", key="walk_line")
    with line:
        address.bound(
            st.selectbox,
            "Walkthrough",
            walkthroughs["name"].tolist(),
            index=None,
            key=key,
            placeholder="Open a walkthrough",
            label_visibility="collapsed",
            width=230,
        )
        reader = reader_name.draw_reader_field()
        part = _choose_part() if walkthrough else ""
    if walkthrough is None:
        with heading:
            widgets.heading("Walkthroughs", view.dataset)
        st.session_state.pop("view_restored", None)
        draw_list(walkthroughs, broken_walkthroughs(loader.store(), view.source.data))
        walkthrough_forms.draw_form_for_typed_studies(view, loader.all_studies(view))
        walkthrough_forms.draw_result()
        return
    opened = open_walkthrough(walkthrough, view)
    with heading:
        widgets.heading("Walkthroughs", view.dataset, *own_words(opened))
    if part == "Cases":
        draw_walkthrough(opened, reader, line)
    else:
        draw_summary(opened, reader)


def restore_view(walkthrough: Walkthrough) -> None:
    """When a walkthrough is opened, show in the selectors what it was made with. The page keeps to it in any case."""
    if not walkthrough.record or st.session_state.get("view_restored") == walkthrough.id:
        return
    st.session_state["view_restored"] = walkthrough.id
    made = walkthrough.record["view"]
    source = loaders.sources(loaders.datasets()[walkthrough.dataset]).get(made["source"]["name"])
    chosen = {"threshold": made["threshold"], **({"point": made["point"]} if made["point"] else {})}
    if source:
        splits, bones = scope(source)
        options = {"split": splits, "bone": [ALL_BONES, *bones]}
        wanted = {"split": made["split"], "bone": made["bone"] or ALL_BONES}
        # The index may have changed since, and a selector must not be set to a value that it does not offer.
        chosen |= {"model": source.name, **{key: value for key, value in wanted.items() if value in options[key]}}
    if any(st.session_state.get(key) != value for key, value in chosen.items()):
        selection.choose_and_rerun(**chosen)


def draw_list(walkthroughs: pd.DataFrame, broken: dict[str, str]) -> None:
    """Every walkthrough of the data set, the newest first. broken: the reason of each that cannot be opened, by id."""
    if walkthroughs.empty:
        widgets.empty(
            "No walkthrough yet",
            "On the Errors page, list the studies to read together and press 'Make a walkthrough', or type studies "
            "below.",
        )
        return
    for row in walkthroughs.itertuples():
        reason = broken.get(row.id, "")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                plain(row.name),
                key=f"open_{row.id}",
                on_click=_open,
                args=(row.name,),
                icon=":material/broken_image:" if reason else ":material/groups:",
                disabled=bool(reason),
            )
            about = f"{count_text(row.cases, 'case')}, made by {row.author} on {row.created[:10]}"
            widgets.note(f"Broken. {reason}" if reason else about)


def _choose_part() -> str:
    return address.bound(
        st.segmented_control,
        "Show",
        PARTS,
        default="Cases",
        required=True,
        key="part",
        label_visibility="collapsed",
    )


def _open(name: str) -> None:
    st.session_state["walk"] = name


draw_page()
