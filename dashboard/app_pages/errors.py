"""The studies a model gets wrong, worst first; one of them opened, all its radiographs side by side."""

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.metrics.evaluation import outcome_table
from core.schema import bone_order
from dashboard import loaders, scoring, selection, study_view, theme, widgets
from dashboard.components import clicks
from dashboard.selection import ALL, Selection, bone_name

PER_PAGE = 24
CHOICES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}


def show() -> None:
    chosen = selection.current()
    dataset, checkpoint = scoring.chosen_parts(chosen)
    widgets.heading("Errors", dataset, checkpoint.name, f"{chosen.split} studies", f"threshold {chosen.threshold:.3f}")
    views = scoring.scored(chosen, every_bone=True)
    table = outcome_table(loaders.studies(dataset, checkpoint, chosen.split), chosen.threshold)
    outcome = choose_outcome(table, chosen)
    listed = study_view.ordered(table, outcome, chosen.bone)
    study = choose_study(listed, table)
    if study:
        study_view.show(dataset, views, table.set_index("study_id").loc[study], listed["study_id"].tolist(), chosen)
    elif listed.empty:
        words = theme.OUTCOMES[outcome][1].lower()
        widgets.empty(
            f"No {words} study: {bone_name(chosen.bone).lower()}, {chosen.split}, threshold {chosen.threshold:.3f}",
            "Choose another bone, outcome or threshold.",
        )
    else:
        show_gallery(dataset, views, listed, chosen, outcome)


def choose_outcome(table: pd.DataFrame, chosen: Selection) -> str:
    """Which of the four outcomes; and the bones as chips, each with its count in that outcome."""
    with st.container(horizontal=True):
        outcome = CHOICES[
            st.segmented_control(
                "Outcome",
                list(CHOICES),
                default="Missed",
                required=True,
                key="outcome",
                bind="query-params",
                on_change=study_view.close,
            )
        ]
        per_bone = table.loc[table["outcome"] == outcome, "bone"].value_counts()
        bones = bone_order([*table["bone"], *([] if chosen.bone == ALL else [chosen.bone])])
        st.session_state["bone_chip"] = chosen.bone
        st.pills(
            "Bone",
            [ALL, *bones],
            required=True,
            key="bone_chip",
            on_change=_take_bone,
            wrap=True,
            format_func=lambda bone: f"{bone_name(bone)} {per_bone.sum() if bone == ALL else per_bone.get(bone, 0):,}",
        )
    return outcome


def choose_study(listed: pd.DataFrame, table: pd.DataFrame) -> str | None:
    """The open study, if any. It lives in the URL, and stays open when the threshold moves it to another outcome."""
    clicks.on_card(study_view.open_study)
    options, open_now = listed["study_id"].tolist(), st.session_state.get("study") or st.query_params.get("study")
    if open_now and open_now not in options and open_now in set(table["study_id"]):
        options = [open_now, *options]
    return st.selectbox(
        "Open a study",
        options,
        index=None,
        key="study",
        bind="query-params",
        placeholder="Open a study by its name",
        label_visibility="collapsed",
        width=420,
    )


def show_gallery(dataset: Dataset, views: pd.DataFrame, listed: pd.DataFrame, chosen: Selection, outcome: str) -> None:
    """One page of cards."""
    order = "lowest score first" if outcome in ("FN", "TN") else "highest score first"
    words = theme.OUTCOMES[outcome][1]
    widgets.caption(f"{words} studies", f"{len(listed):,}, {theme.MEANING[outcome]}; {order}")
    pages = -(-len(listed) // PER_PAGE)
    # Another list begins at its first page, whichever selector made it another.
    of = (chosen, outcome)
    if st.session_state.get("page_of", of) != of:
        st.session_state["page"] = 1
    st.session_state["page_of"] = of
    page = min(st.session_state.get("page", 1), pages)
    shown = listed.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    files = study_view.with_files(dataset, views[views["study_id"].isin(shown["study_id"])])
    widgets.gallery(
        [
            study_view.card(dataset, row, files[files["study_id"] == row.study_id], chosen, outcome)
            for row in shown.itertuples()
        ]
    )
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key="page", bind="query-params")


def _take_bone() -> None:
    study_view.close()
    st.session_state.pop("page", None)
    selection.choose(bone=st.session_state["bone_chip"] or ALL)


show()
