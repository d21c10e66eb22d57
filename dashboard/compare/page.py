"""Two models on the same studies: which ranks better, which calls better, and what changes from one to the other."""

import streamlit as st

from core.errors import OverreadError
from core.metrics.compare import answers_with_counts
from core.plural import count_text
from core.scores.halves import halves_of, whole_of
from core.scores.source import Source
from core.scores.threshold_in_use import ThresholdInUse, threshold_in_use
from core.scores.view import DEFAULT_THRESHOLD, View
from core.workflows.compare import half_words
from dashboard.compare import changes, charts, loader
from dashboard.compare.tables import bones_html, measures_html
from dashboard.shared import address, choice_split, loaders, scoring, selection, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.plain import plain
from dashboard.shared.scope import scope
from dashboard.shared.selection import bone_name


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    one = view.source.name
    widgets.heading("Compare", view.dataset, one, f"{view.split} studies", bone_name(view.bone))
    scoring.require_tables(view)
    others = loader.other_sources(view.source)
    if not others:
        widgets.empty(
            "There is no second model of these studies",
            "Train another checkpoint, or import its scores with the same study ids; it appears here.",
            "python -m core import-predictions FILE --name NAME --label COLUMN --score COLUMN",
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        other = others[draw_other(list(others))]
    draw_split(view, other)
    found = loader.pair(view, other)
    if found is None:
        if other.dataset.kind == "scores":
            widgets.empty(f"{other.name} has no scores here", f"Choose another bone or split than {view.split}.")
        else:
            scoring.offer_scoring(other)
        return
    if found.matched.studies.empty:
        widgets.empty("No study has a known label", "A comparison needs studies whose label is known.")
        return
    with row:
        threshold = draw_threshold(view, other)
    called = loader.called(view, other, threshold)
    draw_verdict(found, called, one, other.name)
    draw_curves(found, called, one, other.name)
    if len(called.bones) > 1:
        widgets.caption(
            "By bone", f"{one} minus {other.name}; p adjusted for {count_text(len(called.bones), 'bone')} (Holm)"
        )
        st.html(bones_html(called.bones, view, {"other": other.name, "other_threshold": repr(threshold)}))
    changes.draw_changes(view, called.changed, changes.Second(other.name, threshold))


def draw_other(names: list[str]) -> str:
    """The selector of the second model, kept in the address."""
    if st.session_state.get("other") not in names:
        st.session_state.pop("other", None)
    return address.bound(st.selectbox, "Compare with", names, key="other", width=300, **KEPT)


def draw_split(view: View, other: Source) -> None:
    """Go to the half for verifying where a threshold in use was chosen on the other one, and say so.

    A reader who goes back to a split that shares studies with the choice is warned on each view of it.
    """
    half, state = loader.half_for_verifying(view, other), st.session_state
    offered = half in scope(view.source)[0]  # halves are offered only where thresholds are chosen on one
    pair = (view.source.data, view.source.name, other.name)
    if offered and state.get("compared_on_half") != pair and not choice_split.is_asked(view.split):
        state["compared_on_half"] = pair
        selection.choose_and_rerun(split=half)
    if half:
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(
                f"A threshold was chosen on {halves_of(whole_of(half))[0]}, which shares studies with {view.split}, so "
                "its figures here are too good."
            )
            if offered:
                st.button(f"Compare on {half}", key="compare_verify", on_click=selection.choose, kwargs={"split": half})
    elif state.get("compared_on_half") == pair and ":" in view.split:
        widgets.note(half_words(view.split))


def draw_threshold(view: View, other: Source) -> float:
    """The second model's threshold, with two shortcuts: its operating point, and the first model's sensitivity."""
    try:
        locked = threshold_in_use(other, loaders.scored_on(other), view.split)
    except OverreadError as error:
        locked = ThresholdInUse(DEFAULT_THRESHOLD, None, str(error))
    threshold = address.bound(st.number_input,
        f"Threshold of {plain(other.name)}", 0.0, 1.0, min(locked.threshold, 1.0), 0.001, format="%.4f",
        key="other_threshold", width=250, help="The first model's threshold is at the top of the page.", **KEPT,
    )  # fmt: skip
    if locked.point and locked.threshold != threshold:
        st.button(
            f"Use the operating point {locked.threshold:.4f}", key="other_locked", on_click=_take,
            args=(min(locked.threshold, 1.0),), help=plain(f"{locked.words[0].upper()}{locked.words[1:]}."),
        )  # fmt: skip
    alike = loader.equally_sensitive(view, other)
    if 0 <= alike <= 1 and alike != threshold:
        st.button(
            f"Same sensitivity: {alike:.4f}", key="other_alike", on_click=_take, args=(alike,),
            help="The highest threshold at which this model finds at least as many abnormal studies as the first.",
        )  # fmt: skip
    return threshold


def draw_verdict(found: loader.Pair, called: loader.Called, one: str, other: str) -> None:
    """Which model ranks and calls better, in sentences; then the figures."""
    lines = answers_with_counts(called.facts, one, other)
    for name, (answer, counts) in zip(("Ranking", "Abnormal studies", "Normal studies"), lines):
        why = widgets.why_html([counts], name)
        st.html(f'<div class="answer"><b>{name}</b> {widgets.escape(answer)} {why}</div>')
    if left_out := found.matched.left_out(one, other):
        widgets.note(f"{left_out[:1].upper()}{left_out[1:]}.")
    st.html(measures_html(called.facts, one, other))


def draw_curves(found: loader.Pair, called: loader.Called, one: str, other: str) -> None:
    """Both curves of both models; nothing where the studies have one class only."""
    facts = called.facts
    if not 0 < facts["n_abnormal"] < facts["n"]:
        return
    names = (one, other)
    sensitivity = [facts[f"sensitivity_{side}"] for side in "ab"]
    ppv = [facts[f"tp_{side}"] / max(facts[f"tp_{side}"] + facts[f"fp_{side}"], 1) for side in "ab"]
    left, right = st.columns(2, gap="large")
    with left:
        here = {name: (rate, facts[f"specificity_{side}"]) for name, rate, side in zip(names, sensitivity, "ab")}
        widgets.show_figure(charts.roc(dict(zip(names, found.roc)), here, facts["n"]), "compare_roc")
    with right:
        here = dict(zip(names, zip(sensitivity, ppv)))
        share = facts["n_abnormal"] / facts["n"]
        drawn = charts.precision_recall(dict(zip(names, found.precision_recall)), here, share, facts["n"])
        widgets.show_figure(drawn, "compare_precision_recall")


def _take(threshold: float) -> None:
    st.session_state["other_threshold"] = threshold


draw_page()
