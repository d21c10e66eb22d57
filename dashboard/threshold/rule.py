"""The constraint: a rule, its target, and the threshold that meets it on these studies, or why none does."""

import math
from dataclasses import dataclass

import streamlit as st

from core.errors import OverreadError
from core.metrics.counts import class_sizes
from core.metrics.thresholds import Rule, ThresholdChoice, choose, too_costly
from core.scores.first_shown import standing_points
from core.scores.halves import splits_for_verifying, whole_of
from core.scores.view import View
from dashboard.shared import address, selection, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.plain import plain
from dashboard.shared.study_tables import Tables
from dashboard.threshold import targets

RULES = {
    "Sensitivity first": "The highest threshold whose lower 95% bound on sensitivity meets the target: the fewest "
    "false alarms among all thresholds that meet it.",
    "Specificity first": "The lowest threshold whose lower 95% bound on specificity meets the target.",
    "Alerts": "The lowest threshold that calls at most this many of 100 studies abnormal, at the stated prevalence.",
    "Cost": "The threshold with the lowest cost, if one missed study costs as much as this number of false alarms, "
    "at the stated prevalence.",
    "Youden": "The largest sensitivity + specificity - 1 (Youden 1950): both errors have the same weight.",
    "Guarantee on misses": "A new abnormal study is missed with at most this probability, if new studies are "
    "exchangeable with these (conformal risk control, Angelopoulos 2022).",
    "Two thresholds": "Studies below the lower one are ruled out, those at or above the upper one are ruled in, and "
    "the others are referred to a reader.",
    "By hand": "The threshold of the panel.",
}
BOUNDS = {"Wilson": "wilson", "Clopper-Pearson": "clopper-pearson", "None": "none"}


@dataclass(frozen=True)
class Answer:
    """A rule, the thresholds that meet it (or why none does), and the stated prevalence (a share, or None)."""

    rule: Rule
    choice: ThresholdChoice
    prevalence: float | None


def draw_rule(view: View, tables: Tables) -> Answer:
    """The rule, the prevalence, and the answer in one line, with a button that takes its threshold."""
    rule, bound, prevalence = _draw_inputs(view, tables)
    try:
        choice = choose(tables.counts, rule, bound, prevalence)
    except OverreadError as error:
        st.warning(plain(error), icon=":material/block:")
        return Answer(rule, ThresholdChoice(math.nan, False, str(error), rule.text), prevalence)
    _draw_answer(view, rule, choice)
    if costly := too_costly(tables.counts, rule, choice):
        st.warning(plain(f"{costly} Compare the cost of other targets."), icon=":material/warning:")
    if rule.kind in targets.KINDS:
        targets.draw_targets(view, rule, bound, prevalence)
    return Answer(rule, choice, prevalence)


def marks(answer: Answer) -> list[tuple[str, float]]:
    """The answer as lines on the panel."""
    choice = answer.choice
    if not choice.feasible or answer.rule.kind == "threshold":
        return []
    if math.isnan(choice.high):
        return [("constraint", choice.threshold)]
    return [("rule out below", choice.threshold), ("rule in from", choice.high)]


def optimism_warning(view: View, wanted: str) -> str:
    """Why a threshold should be chosen on the split `wanted` instead of this one; '' where it is this one."""
    if not wanted or view.split == wanted:
        return ""
    verified = next(iter(splits_for_verifying(wanted, [whole_of(wanted), "valid", "test"])), "another split")
    return (
        f"This is not the split for choosing. A threshold chosen on {view.split} looks too good there "
        f"(Leeflang 2008). Choose on {wanted} and verify on {verified}."
    )


def share(part: int, rest: int) -> str:
    """`41.9%`: `part` of both."""
    return f"{part / (part + rest):.1%}"


def _draw_inputs(view: View, tables: Tables) -> tuple[Rule, str, float | None]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = "\n\n".join(f"**{name}.** {what}" for name, what in RULES.items())
        name = address.bound(st.selectbox, "Constraint", list(RULES), key="rule", width=190, help=about, **KEPT)
        rule, bound = _read_rule(name, view)
        prevalence = _draw_prevalence(tables)
    return rule, bound, prevalence


def _draw_answer(view: View, rule: Rule, choice: ThresholdChoice) -> None:
    if not choice.feasible:
        st.warning(plain(f"Not feasible on {view.split}: {choice.reason}."), icon=":material/block:")
        return
    if rule.kind == "threshold":
        widgets.note(f"The threshold {choice.threshold:.4g} {choice.reason}.")
        return
    if math.isinf(choice.threshold):
        words = "Calls nothing abnormal"
    elif math.isnan(choice.high):
        words = f"Threshold {choice.threshold:.4f}"
    else:
        words = f"Rule out below {choice.threshold:.4f}, rule in from {choice.high:.4f}"
    with st.container(horizontal=True, vertical_alignment="center", key="answer"):
        with st.container(width="stretch"):
            st.html(f'<p class="answer"><b>{words}</b> {choice.reason}.</p>')
        if math.isnan(choice.high):
            _draw_use("Use this threshold", "rule_use", choice.threshold, view)
        else:
            _draw_use("Use the lower threshold", "rule_use", choice.threshold, view)
            _draw_use("Use the upper threshold", "rule_use_high", choice.high, view)


def _draw_use(label: str, key: str, threshold: float, view: View) -> None:
    # A threshold above 1 means that nothing is called abnormal; 1 is the largest that the slider has.
    taken = min(threshold, 1.0)
    # Where this threshold is a locked one, what is read from here on says so, and not that it was set by hand. A point
    # of two thresholds is none of them alone.
    single = [point for point in standing_points(view.source) if point.threshold_high is None]
    locked = [point.id for point in single if min(point.threshold, 1.0) == taken]
    chosen = {"threshold": taken, "point": locked[-1]} if locked else {"threshold": taken}
    in_use = view.threshold == taken and (not locked or view.point in locked)
    st.button(
        "In use" if in_use else label, key=key, type="primary", disabled=in_use, on_click=selection.choose,
        kwargs=chosen,
    )  # fmt: skip


def _read_rule(name: str, view: View) -> tuple[Rule, str]:
    if name == "Youden":
        return Rule("youden"), "none"
    if name == "By hand":
        return Rule("threshold", view.threshold), "none"
    if name == "Alerts":
        most = _draw_number("At most, per 100 studies", "alerts", 20.0, 0.1, 100.0)
        return Rule("alerts", most), "none"
    if name == "Cost":
        return Rule("cost", _draw_number("False alarms per miss", "cost", 5.0, 0.1, 1000.0)), "none"
    if name == "Guarantee on misses":
        most = _draw_number("Missed at most (%)", "miss", 5.0, 0.1, 50.0)
        sure = _draw_number("Confidence (%)", "sure", None, 50.0, 99.9, "on average")
        return Rule("miss", _share(most), None if sure is None else _share(100 - sure)), "none"
    if name == "Two thresholds":
        out = _draw_number("Rule out: sensitivity (%)", "rule_out", 95.0, 1.0, 99.9)
        into = _draw_number("Rule in: specificity (%)", "rule_in", 95.0, 1.0, 99.9)
        both = {"out": Rule("sensitivity", _share(out)), "into": Rule("specificity", _share(into))}
        return Rule("two", **both), _draw_bound()
    kind = name.split()[0].lower()
    return Rule(kind, _share(_draw_number("Target, at least (%)", f"{kind}_target", 95.0, 1.0, 99.9))), _draw_bound()


def _draw_bound() -> str:
    about = (
        "The figure that must meet the target: the lower 95% bound (Wilson 1927, or the longer interval of Clopper and "
        "Pearson 1934) or, with None, the observed share."
    )
    return BOUNDS[address.bound(st.selectbox, "Lower bound", list(BOUNDS), key="bound", width=150, help=about, **KEPT)]


def _draw_prevalence(tables: Tables) -> float | None:
    abnormal, normal = class_sizes(tables.counts)
    stated = address.bound(st.number_input,
        "Prevalence where used (%)", 0.1, 99.9, value=None, step=0.5, format="%.1f", key="prevalence", width=195,
        placeholder=f"here {share(abnormal, normal)}" if abnormal + normal else "unknown here",
        help="Abnormal studies per 100 where the model will be used. Predictive values, alerts and workload depend on "
        "it. If empty, the share in these studies is used, which is rarely that of a clinic.",
        **KEPT,
    )  # fmt: skip
    return None if stated is None else stated / 100


def _draw_number(
    label: str, key: str, value: float | None, low: float, high: float, placeholder: str | None = None
) -> float | None:
    return address.bound(
        st.number_input,
        label,
        low,
        high,
        value=value,
        step=1.0,
        format="%.1f",
        key=key,
        width=170,
        placeholder=placeholder,
        **KEPT,
    )


def _share(percent: float) -> float:
    # Through text, so that 95% is the number 0.95 and not its neighbour.
    return float(f"{percent:g}e-2")
