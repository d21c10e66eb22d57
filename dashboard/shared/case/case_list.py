"""Which cases are listed, and in which order: the filters of the errors page, kept in its address."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.data.quality import beyond_limit, lowest_tenth
from core.review.vocabulary import VERDICTS
from core.schema import bone_order
from core.scores.source import Source
from core.scores.view import ALL_BONES, View
from core.workflows.walkthroughs import sort_for_reading
from dashboard.shared import loaders, selection, theme
from dashboard.shared.case import loader
from dashboard.shared.case.loader import Cases
from dashboard.shared.selection import bone_name

NEAR = "Near threshold"
OUTCOMES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}
VERDICT_WORDS = {
    "true_miss": "Label right",
    "label_wrong": "Label wrong",
    "cannot_tell": "Cannot tell",
    "poor_image": "Poor image",
    "out_of_scope": "Out of scope",
}
VIEWS = {"1": (1, 1), "2": (2, 2), "3": (3, 3), "4 or more": (4, np.inf)}
SAID = {"any": "", "no verdict yet": "none", "any verdict": "some", "readers differ": "differ"} | {
    VERDICT_WORDS[name].lower(): name for name in VERDICTS
}
QUALITY = {
    "any": None,
    "noise or nothing on it": lambda rows: beyond_limit(rows, "noise", "blank"),
    "metal or overexposed": lambda rows: beyond_limit(rows, "metal"),
    "several films in one": lambda rows: beyond_limit(rows, "films"),
    "tenth with the least contrast": lambda rows: lowest_tenth(rows, "contrast"),
    "least sharp tenth": lambda rows: lowest_tenth(rows, "sharpness"),
    "darkest tenth": lambda rows: lowest_tenth(rows, "p50"),
}
CALLS = ("any", "same call", "other call")
KEPT = {"bind": "query-params", "persist_state": "session"}


@dataclass(frozen=True)
class Filters:
    """What is listed. outcome: one of FN FP TP TN, 'near', or 'blind' for all of them in a neutral order.

    bone: '' for all bones.
    """

    outcome: str
    bone: str
    views: str = ""
    said: str = ""
    other: str = ""
    call: str = "any"
    quality: str = "any"
    second: Source | None = None  # the second model

    @property
    def name(self) -> str:
        """The outcome in words."""
        return {"near": NEAR, "blind": "All"}.get(self.outcome) or theme.OUTCOMES[self.outcome][1]


def choose(view: View, cases: Cases, blind: bool, changed) -> Filters:
    """The widgets: outcome, bones with their counts in it, and the rest behind one button."""
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        outcome = st.segmented_control(
            "Outcome",
            [*OUTCOMES, NEAR],
            default="Missed",
            required=True,
            key="outcome",
            label_visibility="collapsed",
            on_change=changed,
            disabled=blind,
            **KEPT,
        )
        found = "blind" if blind else OUTCOMES.get(outcome, "near")
        more = _more(view, changed, blind)
        filters = Filters(found, "", **more)
        bones = bone_order([*cases.table["bone"].unique(), *([view.bone] if view.bone else [])])
        rows = kept(cases, filters, view)
        per_bone = cases.table["bone"].to_numpy()[rows]
        counts = {**pd.Series(per_bone, dtype=object).value_counts(), ALL_BONES: len(per_bone)}
        st.session_state["bone_chip"] = view.bone or ALL_BONES
        st.pills(
            "Bone",
            [ALL_BONES, *bones],
            required=True,
            key="bone_chip",
            label_visibility="collapsed",
            on_change=_take_bone,
            args=(changed,),
            wrap=True,
            format_func=lambda bone: (
                f"{bone_name(bone)} {len(per_bone) if bone == ALL_BONES else counts.get(bone, 0):,}"
            ),
        )
    return Filters(found, view.bone, **more)


def _more(view: View, changed, blind: bool) -> dict:
    sources = loaders.sources(view.dataset)
    others = [name for name in sources if name != view.source.name]
    state = st.session_state
    narrowed = sum(bool(state.get(key)) and state.get(key) != "any" for key in ("views", "quality", "verdict", "call"))
    with st.popover(f"Filters ({narrowed})" if narrowed else "Filters", icon=":material/filter_list:"):
        views = st.pills("Radiographs in the study", list(VIEWS), key="views", on_change=changed, **KEPT)
        quality = st.selectbox(
            "Quality of a radiograph in it",
            list(QUALITY),
            key="quality",
            on_change=changed,
            help="By the measures of the Dataset and Audit pages; radiographs that were not measured yet do not count.",
            **KEPT,
        )
        said = st.selectbox("Verdict", list(SAID), key="verdict", on_change=changed, disabled=blind, **KEPT)
        other = st.selectbox(
            "Second model",
            others,
            index=0 if others else None,
            key="other",
            on_change=changed,
            placeholder="There is no other",
            help="Its score stands beside the first one's; at the same threshold it makes a call of its own.",
            **KEPT,
        )
        call = st.segmented_control(
            "Second model's call",
            CALLS,
            default="any",
            required=True,
            key="call",
            on_change=changed,
            disabled=blind or not others,
            **KEPT,
        )
    if blind:
        said, call = "any", "any"
    return {
        "views": views or "",
        "said": SAID.get(said or "any", ""),
        "other": other or "",
        "call": call,
        "quality": quality or "any",
        "second": sources.get(other),
    }


def listed(cases: Cases, filters: Filters, view: View) -> list[str]:
    """The studies, the most confident errors first; near the threshold the nearest; blind by a hash of the name."""
    table, rows = cases.table, kept(cases, filters, view)
    if filters.bone:
        rows = rows[(table["bone"] == filters.bone).to_numpy()[rows]]
    if filters.outcome == "blind":
        return sorted(table["study_id"].to_numpy()[rows], key=loader.token)
    return sort_for_reading(table.iloc[rows], filters.outcome)


def kept(cases: Cases, filters: Filters, view: View) -> np.ndarray:
    """Places in `cases.table` of what passes every filter but the bone's."""
    table = cases.table
    keep = np.ones(len(table), bool)
    if filters.outcome in theme.OUTCOMES:
        keep &= (table["outcome"] == filters.outcome).to_numpy()
    if filters.views in VIEWS:
        low, high = VIEWS[filters.views]
        keep &= table["n_views"].between(low, high).to_numpy()
    if QUALITY[filters.quality]:
        fitting = loader.studies_of_quality(view.dataset, cases, QUALITY[filters.quality])
        keep &= table["study_id"].isin(fitting).to_numpy()
    if filters.said:
        keep &= table["study_id"].isin(_with_verdict(view.dataset, filters.said)).to_numpy() ^ (filters.said == "none")
    if filters.call != "any" and filters.second:
        scores = loader.scores_of(replace(view, source=filters.second))
        other = scores.reindex(table.index).to_numpy()
        same = (other >= view.threshold) == table["predicted"].to_numpy().astype(bool)
        keep &= ~np.isnan(other) & (same if filters.call == "same call" else ~same)
    return np.flatnonzero(keep)


def _with_verdict(dataset: Dataset, said: str) -> set[str]:
    found = loader.verdicts(dataset.name)
    if said in VERDICTS:
        found = found[found["verdict"] == said]
    if said == "differ":
        reads = found.groupby("study_id")["read"].nunique()
        return set(reads.index[reads > 1])
    return set(found["study_id"])


def _take_bone(changed) -> None:
    changed()
    selection.choose(bone=st.session_state["bone_chip"] or ALL_BONES)
