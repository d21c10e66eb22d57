"""Lists of cases that a team goes through together: made, presented, followed, summed up."""

from html import escape

import pandas as pd
import streamlit as st

from core.review import summary
from core.review.walkthroughs import Walkthrough, list_walkthroughs, read_walkthrough
from core.scores.view import ALL_BONES, View, changes_since
from dashboard.shared import loaders, scoring, selection, widgets
from dashboard.shared.case import loader, make_walkthrough
from dashboard.shared.case import reader as reviewer
from dashboard.shared.case.loader import Cases
from dashboard.shared.case.room import Room
from dashboard.shared.scope import scope
from dashboard.walkthroughs import room as walk_room


def show() -> None:
    view = selection.current()
    scoring.require_model(view)
    dataset = view.dataset
    walks = list_walkthroughs(loader.store(), dataset.name)
    asked = st.session_state.get("walk") or st.query_params.get("walk")
    widgets.heading("Walkthroughs", dataset, view.source.name, f"threshold {view.threshold:.3f}")
    with st.container(key="silent"):
        reviewer.recall()
    with st.container(horizontal=True, vertical_alignment="center"):
        name = st.selectbox(
            "Walkthrough",
            walks["name"].tolist(),
            index=None,
            key="walk",
            bind="query-params",
            placeholder="Open a walkthrough",
            label_visibility="collapsed",
            width=360,
        )
        reader = reviewer.draw()
        reviewer.blind_switch()
        part = _choose_part() if name else ""
    if asked and not name:
        widgets.empty(
            "This walkthrough is not here",
            f"There is no walkthrough {asked[:200]!r} of {dataset.name}; choose one from the list, or its data set.",
        )
    cases = loader.all_studies(view)
    if name:
        walk = read_walkthrough(loader.store(), walks.set_index("name").at[name, "id"])
        restore_view(walk)
        room = Room(view, cases, reader, reviewer.is_blind())
        for sentence in differences(walk, view):
            widgets.note(sentence)
        if part == "Cases":
            walk_room.show(walk, room)
        else:
            show_summary(walk, cases, view)
        return
    st.session_state.pop("view_restored", None)
    show_list(walks)
    make_walkthrough.by_hand(Room(view, cases, reader, reviewer.is_blind()))
    make_walkthrough.tell()


def restore_view(walk: Walkthrough) -> None:
    """Once for each walkthrough that is opened: choose the model, split, bone and threshold it was made with."""
    if not walk.record or st.session_state.get("view_restored") == walk.id:
        return
    st.session_state["view_restored"] = walk.id
    made = walk.record["view"]
    source = loaders.sources(loaders.datasets()[walk.dataset]).get(made["source"]["name"])
    chosen = {"threshold": made["threshold"]}
    if source:
        splits, bones = scope(source)
        options = {"split": splits, "bone": [ALL_BONES, *bones]}
        wanted = {"split": made["split"], "bone": made["bone"] or ALL_BONES}
        # The index may have changed since, and a selector must not be set to a value that it does not offer.
        chosen |= {"model": source.name, **{key: value for key, value in wanted.items() if value in options[key]}}
    if any(st.session_state.get(key) != value for key, value in chosen.items()):
        selection.choose_and_rerun(**chosen)


def differences(walk: Walkthrough, view: View) -> list[str]:
    """How the present view differs from the one the walkthrough was made in, one sentence each."""
    if not walk.record:
        return []
    made = walk.record["view"]
    if made["source"]["name"] != view.source.name:
        return [f"Made with the scores of {made['source']['name']}; these are the scores of {view.source.name}."]
    sentences = changes_since(made, view)
    if made["threshold"] != view.threshold:
        sentences.append(f"Made at threshold {made['threshold']:g}; the threshold is now {view.threshold:g}.")
    return sentences


def show_list(walks: pd.DataFrame) -> None:
    """Every walkthrough of the data set, the newest first."""
    if walks.empty:
        widgets.empty(
            "No walkthrough yet",
            "On the Errors page, choose what to read together and press 'Walk through these'; or name studies by hand.",
        )
        return
    for row in walks.itertuples():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(row.name, key=f"open_{row.id}", on_click=_open, args=(row.name,), icon=":material/groups:")
            widgets.note(f"{row.cases} cases, made by {row.author} on {row.created[:10]}")


def show_summary(walk: Walkthrough, cases: Cases, view: View) -> None:
    """What was said of each case and what follows, the figures as adjudicated, and both as files."""
    studies = cases.table[["study_id", "bone", "label", "score", "outcome"]]
    table = summary.summary_table(walk, loader.verdicts(walk.dataset), studies)
    figures = summary.adjudicated_figures(table, view.threshold)
    facts = [f"{view.source.name}, threshold {view.threshold:g}"]
    widgets.caption(walk.name, f"{len(table)} cases; made from: {walk.made_from or 'a list'}")
    for name in ("sensitivity", "specificity"):
        widgets.note(
            f"{widgets.sentence(name.capitalize() + ' as adjudicated, weighted', figures[name])}; "
            f"not weighted: {widgets.estimate_text(figures[f'{name}_unweighted'])[0]}"
        )
    if (table["stratum"] == "chosen").any():
        widgets.note(
            "Cases chosen by their score stand for themselves: these figures are of this list, not of the split."
        )
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            summary.summary_csv(table),
            "walkthrough.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )
        page = summary.summary_html(walk, table, figures, facts)
        st.download_button("HTML", page, "walkthrough.html", "text/html", on_click="ignore", icon=":material/download:")
    shown = ("place", "study_id", "bone", "label", "reads", "adjudicated", "action", "notes")
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in shown)
    body = "".join(
        "<tr>" + "".join(f"<td class='wrap'>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table[list(shown)].itertuples(index=False)
    )
    st.html(
        f'<div class="table tight summary"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _choose_part() -> str:
    return st.segmented_control(
        "Show",
        ("Cases", "Summary"),
        default="Cases",
        required=True,
        key="part",
        label_visibility="collapsed",
        bind="query-params",
    )


def _open(name: str) -> None:
    st.session_state["walk"] = name


show()
