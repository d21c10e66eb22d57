"""Lists of cases that several readers go through together: made, presented, followed and summed up."""

from html import escape

import pandas as pd
import streamlit as st

from core.review import summary
from core.review.cases import Cases
from core.review.walkthroughs import Walkthrough, list_walkthroughs, read_walkthrough
from core.scores.view import ALL_BONES, View
from core.workflows.walkthroughs import changes_since_made
from dashboard.shared import loaders, scoring, selection, widgets
from dashboard.shared.case import loader, reader_name, walkthrough_forms
from dashboard.shared.case.blind_mode import draw_blind_switch, is_blind
from dashboard.shared.case.case_view import ReadingSession
from dashboard.shared.scope import scope
from dashboard.walkthroughs.reading_together import draw_walkthrough

SUMMARY_COLUMNS = ("place", "study_id", "bone", "label", "reads", "adjudicated", "action", "notes")


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    walkthroughs = list_walkthroughs(loader.store(), view.dataset.name)
    asked = st.session_state.get("walk") or st.query_params.get("walk")
    widgets.heading("Walkthroughs", view.dataset, view.source.name, f"threshold {view.threshold:.3f}")
    with st.container(key="silent"):
        reader_name.recall_reader()
    with st.container(horizontal=True, vertical_alignment="center"):
        name = st.selectbox(
            "Walkthrough",
            walkthroughs["name"].tolist(),
            index=None,
            key="walk",
            bind="query-params",
            placeholder="Open a walkthrough",
            label_visibility="collapsed",
            width=360,
        )
        reader = reader_name.draw_reader_field()
        draw_blind_switch()
        part = _choose_part() if name else ""
    if asked and not name:
        widgets.empty(
            "This walkthrough is not here",
            f"{view.dataset.name} has no walkthrough {asked[:200]!r}. Choose one from the list, or another data set.",
        )
    cases = loader.all_studies(view)
    if name:
        walkthrough = read_walkthrough(loader.store(), walkthroughs.set_index("name").at[name, "id"])
        draw_open_walkthrough(walkthrough, ReadingSession(view, cases, reader, is_blind()), part)
        return
    st.session_state.pop("view_restored", None)
    draw_list(walkthroughs)
    walkthrough_forms.draw_form_for_typed_studies(view, cases)
    walkthrough_forms.draw_result()


def draw_open_walkthrough(walkthrough: Walkthrough, session: ReadingSession, part: str) -> None:
    """The cases of a walkthrough, or its summary."""
    restore_view(walkthrough)
    for sentence in changes_since_made(walkthrough, session.view):
        widgets.note(sentence)
    if part == "Cases":
        draw_walkthrough(walkthrough, session)
    else:
        draw_summary(walkthrough, session.cases, session.view)


def restore_view(walkthrough: Walkthrough) -> None:
    """When a walkthrough is opened, choose the model, split, bone and threshold that it was made with."""
    if not walkthrough.record or st.session_state.get("view_restored") == walkthrough.id:
        return
    st.session_state["view_restored"] = walkthrough.id
    made = walkthrough.record["view"]
    source = loaders.sources(loaders.datasets()[walkthrough.dataset]).get(made["source"]["name"])
    chosen = {"threshold": made["threshold"]}
    if source:
        splits, bones = scope(source)
        options = {"split": splits, "bone": [ALL_BONES, *bones]}
        wanted = {"split": made["split"], "bone": made["bone"] or ALL_BONES}
        # The index may have changed since, and a selector must not be set to a value that it does not offer.
        chosen |= {"model": source.name, **{key: value for key, value in wanted.items() if value in options[key]}}
    if any(st.session_state.get(key) != value for key, value in chosen.items()):
        selection.choose_and_rerun(**chosen)


def draw_list(walkthroughs: pd.DataFrame) -> None:
    """Every walkthrough of the data set, the newest first."""
    if walkthroughs.empty:
        widgets.empty(
            "No walkthrough yet",
            "On the Errors page, list the studies to read together and press 'Make a walkthrough', or type studies "
            "below.",
        )
        return
    for row in walkthroughs.itertuples():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(row.name, key=f"open_{row.id}", on_click=_open, args=(row.name,), icon=":material/groups:")
            widgets.note(f"{_case_count(row.cases)}, made by {row.author} on {row.created[:10]}")


def draw_summary(walkthrough: Walkthrough, cases: Cases, view: View) -> None:
    """Each case with its reads and its action, the adjudicated figures, and both as files."""
    studies = cases.table[["study_id", "bone", "label", "score", "outcome"]]
    table = summary.summary_table(walkthrough, loader.verdicts(walkthrough.dataset), studies)
    figures = summary.adjudicated_figures(table, view.threshold)
    facts = [f"{view.source.name}, threshold {view.threshold:g}"]
    widgets.caption(walkthrough.name, f"{_case_count(len(table))}; made from: {walkthrough.made_from or 'a list'}")
    for name in ("sensitivity", "specificity"):
        weighted = widgets.sentence(f"{name.capitalize()} as adjudicated, weighted", figures[name])
        unweighted, _ = widgets.estimate_text(figures[f"{name}_unweighted"])
        estimable = unweighted != "Not estimable"
        widgets.note(f"{weighted}; not weighted: {unweighted}" if estimable else f"{weighted}.")
    if (table["stratum"] == "chosen").any():
        widgets.note("Cases were chosen by their score, so these figures describe this list only, not the split.")
    with st.container(horizontal=True):
        for label, data, kind in (
            ("CSV", summary.summary_csv(table), "csv"),
            ("HTML", summary.summary_html(walkthrough, table, figures, facts), "html"),
        ):
            st.download_button(
                label, data, f"walkthrough.{kind}", f"text/{kind}", on_click="ignore", icon=":material/download:"
            )
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in SUMMARY_COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td class='wrap'>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table[list(SUMMARY_COLUMNS)].itertuples(index=False)
    )
    st.html(
        f'<div class="table tight summary"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _case_count(count: int) -> str:
    return f"{count:,} case{'' if count == 1 else 's'}"


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


draw_page()
