"""The filters of the Errors page, which are in its address, and the list of studies that pass them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from core.among import among
from core.data.quality import beyond_limit, lowest_tenth
from core.review.cases import (
    READERS_DIFFER,
    WITH_VERDICT,
    WITHOUT_VERDICT,
    Cases,
    matches_call,
    matches_verdict,
    neutral_name,
)
from core.review.vocabulary import VERDICTS
from core.scores.source import Source
from core.scores.view import View
from core.workflows.walkthroughs import sort_for_reading
from dashboard.shared import address, loaders, theme
from dashboard.shared.address import KEPT
from dashboard.shared.case import loader
from dashboard.shared.case.verdict_panel import VERDICT_NAMES
from dashboard.shared.list_filters import draw_bones, draw_column_filter

NEAR, BLIND = "near", "blind"
NEAR_NAME = "Near threshold"
OUTCOMES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}
VIEW_COUNTS = {"1": (1, 1), "2": (2, 2), "3": (3, 3), "4 or more": (4, np.inf)}
VERDICT_FILTERS = {
    "any": "",
    "no verdict yet": WITHOUT_VERDICT,
    "any verdict": WITH_VERDICT,
    "readers differ": READERS_DIFFER,
} | {VERDICT_NAMES[name].lower(): name for name in VERDICTS}
QUALITY = {
    "any": None,
    "noise or nothing on it": lambda rows: beyond_limit(rows, "noise", "blank"),
    "metal or overexposed": lambda rows: beyond_limit(rows, "metal"),
    "several films in one": lambda rows: beyond_limit(rows, "films"),
    "tenth with the least contrast": lambda rows: lowest_tenth(rows, "contrast"),
    "least sharp tenth": lambda rows: lowest_tenth(rows, "sharpness"),
    "darkest tenth": lambda rows: lowest_tenth(rows, "p50"),
}
SAME_CALL = "same call"
CALLS = ("any", SAME_CALL, "other call")


@dataclass(frozen=True)
class Filters:
    """The filters of a list.

    outcome: FN, FP, TP, TN, NEAR, or BLIND for all studies in a neutral order. bone: '' for all bones. verdict: a value
    of VERDICT_FILTERS. second: the second model, and call: whether it calls a study as the first does. column: a
    further column of the data set (age, sex, ...), and group: the group of it to list; '' for all.
    """

    outcome: str
    bone: str = ""
    views: str = ""
    verdict: str = ""
    call: str = "any"
    quality: str = "any"
    second: Source | None = None
    column: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        """The outcome on screen."""
        return {NEAR: NEAR_NAME, BLIND: "All"}.get(self.outcome) or theme.OUTCOMES[self.outcome][1]


def draw_filters(view: View, cases: Cases, blind: bool, changed: Callable[[], None]) -> Filters:
    """Draw the outcome, the other filters behind one button, and the bones with their number of studies.

    changed: runs when a filter changes.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        chosen = address.bound(
            st.segmented_control,
            "Outcome",
            [*OUTCOMES, NEAR_NAME],
            default="Missed",
            required=True,
            key="outcome",
            label_visibility="collapsed",
            on_change=changed,
            disabled=blind,
            **KEPT,
        )
        outcome = BLIND if blind else OUTCOMES.get(chosen, NEAR)
        filters = Filters(outcome, **_draw_more_filters(view, changed, blind))
        passes = np.isin(np.arange(len(cases.table)), matching_rows(cases, filters, view))
        draw_bones(view, cases.table["bone"], passes, changed)
    return replace(filters, bone=view.bone)


def list_studies(cases: Cases, filters: Filters, view: View) -> list[str]:
    """The ids of the studies that pass, in reading order; blind, in the order of their neutral names."""
    table, rows = cases.table, matching_rows(cases, filters, view)
    if filters.bone:
        rows = rows[(table["bone"] == filters.bone).to_numpy()[rows]]
    if filters.outcome == BLIND:
        return sorted(table["study_id"].to_numpy()[rows], key=neutral_name)
    return sort_for_reading(table.iloc[rows], filters.outcome)


def matching_rows(cases: Cases, filters: Filters, view: View) -> np.ndarray:
    """The rows of `cases.table` that pass every filter except the bone."""
    table = cases.table
    passes = np.ones(len(table), bool)
    if filters.outcome in theme.OUTCOMES:
        passes &= (table["outcome"] == filters.outcome).to_numpy()
    if filters.views in VIEW_COUNTS:
        passes &= table["n_views"].between(*VIEW_COUNTS[filters.views]).to_numpy()
    if QUALITY[filters.quality]:
        studies = loader.quality_studies(view.dataset, cases, QUALITY[filters.quality])
        passes &= among(table["study_id"], studies).to_numpy()
    if filters.verdict:
        passes &= matches_verdict(table["study_id"], loader.verdicts(view.dataset.name), filters.verdict)
    if filters.column and filters.group:
        groups = loaders.study_groups(view)[filters.column].cat.rename_categories(str).astype(object)
        passes &= among(table["study_id"], groups.index[groups == filters.group]).to_numpy()
    if filters.call != "any" and filters.second:
        scores = loader.study_scores(replace(view, source=filters.second))
        passes &= matches_call(table, scores, view.threshold, filters.call == SAME_CALL)
    return np.flatnonzero(passes)


def _draw_more_filters(view: View, changed: Callable[[], None], blind: bool) -> dict:
    sources = loaders.sources(view.dataset)
    others = [name for name in sources if name != view.source.name]
    state = st.session_state
    active = sum(
        bool(state.get(key)) and state.get(key) != "any" for key in ("views", "quality", "verdict", "call", "group")
    )
    with st.popover(f"Filters ({active})" if active else "Filters", icon=":material/filter_list:"):
        views = address.bound(
            st.pills, "Radiographs in the study", list(VIEW_COUNTS), key="views", on_change=changed, **KEPT
        )
        quality = address.bound(
            st.selectbox,
            "Quality of a radiograph",
            list(QUALITY),
            key="quality",
            on_change=changed,
            help="Keeps studies with at least one such radiograph, by the measures of the Dataset and Audit pages. "
            "Radiographs without measures do not count.",
            **KEPT,
        )
        column, group = draw_column_filter(
            _group_names(view),
            changed,
            blind,
            "A column of the manifest or of the imported table. Studies whose radiographs differ are in no group.",
        )
        verdict = address.bound(
            st.selectbox,
            "Verdict",
            list(VERDICT_FILTERS),
            key="verdict",
            on_change=changed,
            disabled=blind,
            **KEPT,
        )
        other = address.bound(
            st.selectbox,
            "Second model",
            others,
            index=0 if others else None,
            key="other",
            on_change=changed,
            placeholder="No other model",
            help="Shown beside the first model, with its call at the same threshold.",
            **KEPT,
        )
        call = address.bound(
            st.segmented_control,
            "Second model's call",
            CALLS,
            default="any",
            required=True,
            key="call",
            on_change=changed,
            disabled=blind or not others,
            **KEPT,
        )
    return {
        "views": views or "",
        "verdict": "" if blind else VERDICT_FILTERS.get(verdict or "any", ""),
        "call": "any" if blind else call,
        "quality": quality or "any",
        "second": sources.get(other),
        "column": column,
        "group": group,
    }


def _group_names(view: View) -> dict[str, list[str]]:
    """The groups with at least one study, by column."""
    found = loaders.study_groups(view)
    return {
        column: [str(name) for name in found[column].cat.categories if (found[column] == name).any()]
        for column in found.columns
        if len(found)
    }
