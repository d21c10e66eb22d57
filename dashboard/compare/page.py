"""Two models on the same studies: which ranks better, which calls better, what one fixes and the other breaks."""

import streamlit as st

from core.errors import OverreadError
from core.metrics.compare import sentences
from core.scores.source import source_of
from core.workflows.compare import own_threshold
from dashboard.compare import changes, loader
from dashboard.compare import charts as curves
from dashboard.compare.tables import bones_html, measures_html
from dashboard.shared import scoring, selection, widgets
from dashboard.shared.selection import Selection, bone_name

KEPT = {"bind": "query-params", "persist_state": "session"}


def show() -> None:
    chosen = selection.current()
    one = scoring.chosen_parts(chosen)
    widgets.heading("Compare", one[0], one[1].name, f"{chosen.split} studies", bone_name(chosen.bone))
    scoring.tables(chosen)
    others = loader.others(*one)
    if not others:
        widgets.empty(
            "There is no second model of these studies",
            "Train another checkpoint, or import its scores with the same study ids; it appears here.",
            "python -m core import-predictions FILE --name NAME --label COLUMN --score COLUMN",
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        name = choose_other(others)
    found = loader.pair(one, others[name], chosen.split, chosen.one_bone)
    if found is None:
        if others[name][0].kind == "scores":
            widgets.empty(f"{name} has no scores here", f"Choose another bone or split than {chosen.split}.")
        else:
            scoring.offer(*others[name])
        return
    if found.matched.studies.empty:
        widgets.empty("No study has a known label", "A comparison needs studies whose label is known.")
        return
    with row:
        threshold = choose_threshold(one, others[name], chosen)
    called = loader.called(one, others[name], chosen.split, chosen.one_bone, chosen.threshold, threshold)
    show_verdict(found, called, one[1].name, name)
    show_curves(found, called, one[1].name, name)
    if len(called.bones) > 1:
        widgets.caption("By bone", f"{one[1].name} less {name}; p adjusted for {len(called.bones)} bones (Holm)")
        st.html(bones_html(called.bones, chosen, {"other": name, "other_threshold": repr(threshold)}))
    changes.show(one[0], called.changed, chosen, name, threshold)


def choose_other(others: dict) -> str:
    """The second model; it lives in the URL."""
    if st.session_state.get("other") not in others:
        st.session_state.pop("other", None)
    return st.selectbox("Compare with", list(others), key="other", width=300, **KEPT)


def choose_threshold(one: tuple, other: tuple, chosen: Selection) -> float:
    """The second model's own threshold, and the two ways to one: its locked point, and the first one's sensitivity."""
    source = other[1]
    try:
        locked, whence = own_threshold(source_of(source))
    except OverreadError as error:
        locked, whence = 0.5, str(error)
    threshold = st.number_input(
        f"Threshold of {source.name}", 0.0, 1.0, 0.5, 0.001, format="%.4f", key="other_threshold", width=250,
        help="The first model's threshold is the one in the sidebar.", **KEPT,
    )  # fmt: skip
    if whence.startswith("locked") and locked != threshold:
        st.button(f"Use the locked {locked:.4f}", key="other_locked", on_click=_take, args=(locked,))
    alike = loader.as_sensitive(one, other, chosen)
    if 0 <= alike <= 1 and alike != threshold:
        st.button(
            f"As sensitive: {alike:.4f}", key="other_alike", on_click=_take, args=(alike,),
            help="The highest threshold at which it finds at least as many abnormal studies as the first model.",
        )  # fmt: skip
    return threshold


def show_verdict(found: loader.Pair, called: loader.Called, one: str, other: str) -> None:
    """What a clinician asks, in words; then the figures."""
    said = sentences(called.facts, one, other)
    for name, line in zip(("Ranking", "Abnormal studies", "Normal studies"), said):
        st.html(f'<p class="answer"><b>{name}</b> {widgets.escape(line)}</p>')
    if found.matched.left_out:
        widgets.note(found.matched.left_out.capitalize() + ".")
    st.html(measures_html(called.facts, one, other))


def show_curves(found: loader.Pair, called: loader.Called, one: str, other: str) -> None:
    """Both curves of both models. One class has none."""
    facts = called.facts
    if not 0 < facts["n_abnormal"] < facts["n"]:
        return
    names = (one, other)
    sensitivity = [facts[f"sensitivity_{side}"] for side in "ab"]
    ppv = [facts[f"tp_{side}"] / max(facts[f"tp_{side}"] + facts[f"fp_{side}"], 1) for side in "ab"]
    left, right = st.columns(2, gap="large")
    with left:
        here = {name: (rate, facts[f"specificity_{side}"]) for name, rate, side in zip(names, sensitivity, "ab")}
        widgets.show_figure(curves.roc(dict(zip(names, found.roc)), here, facts["n"]), "compare_roc")
    with right:
        here = dict(zip(names, zip(sensitivity, ppv)))
        share = facts["n_abnormal"] / facts["n"]
        drawn = curves.precision_recall(dict(zip(names, found.precision_recall)), here, share, facts["n"])
        widgets.show_figure(drawn, "compare_precision_recall")


def _take(threshold: float) -> None:
    st.session_state["other_threshold"] = threshold


show()
