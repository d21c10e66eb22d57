"""The constraint first: a rule, its target, and the threshold that meets it on these studies, or why none does."""

import math

import streamlit as st

from core.errors import OverreadError
from core.metrics.counts import class_sizes
from core.metrics.thresholds import Choice, Rule, choose
from dashboard.shared import selection, widgets
from dashboard.shared.selection import Selection
from dashboard.shared.study_tables import Tables

KEPT = {"bind": "query-params", "persist_state": "session"}
RULES = {
    "Sensitivity first": "The highest threshold whose lower 95% bound on sensitivity meets the target: the fewest "
    "false alarms among all that keep the promise.",
    "Specificity first": "The lowest threshold whose lower 95% bound on specificity meets the target.",
    "Alerts": "The lowest threshold with at most so many studies in 100 called abnormal, at the prevalence beside it.",
    "Cost": "The lowest cost when a missed abnormality costs so many false alarms, at the prevalence beside it.",
    "Youden": "The largest sensitivity + specificity - 1 (Youden 1950): both errors weigh the same.",
    "Guarantee on misses": "Misses an abnormal study with at most this probability, if new studies are exchangeable "
    "with these (conformal risk control, Angelopoulos 2022).",
    "Two thresholds": "Below the lower one ruled out, from the upper one ruled in, those between referred.",
    "By hand": "The threshold of the panel, as it stands.",
}
BOUNDS = {"Wilson": "wilson", "Clopper-Pearson": "clopper-pearson", "None": "none"}


def show(chosen: Selection, tables: Tables) -> tuple[Rule, Choice, float | None]:
    """The rule, the prevalence, and the answer in one line, with a button that takes its threshold.

    Returns what was asked for, what came out, and the prevalence that is stated (a share, or None).
    """
    rule, bound, prevalence = asked(chosen, tables)
    try:
        choice = choose(tables.counts, rule, bound, prevalence)
    except OverreadError as error:
        st.warning(str(error), icon=":material/block:")
        return rule, Choice(math.nan, False, str(error), rule.text), prevalence
    answer(chosen, rule, choice)
    return rule, choice, prevalence


def asked(chosen: Selection, tables: Tables) -> tuple[Rule, str, float | None]:
    """The rule that the widgets name, the bound its target is held against, and the prevalence: all in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = "\n\n".join(f"**{name}.** {what}" for name, what in RULES.items())
        name = st.selectbox("Constraint", list(RULES), key="rule", width=190, help=about, **KEPT)
        rule, bound = _rule(name, chosen)
        prevalence = _prevalence(tables)
    return rule, bound, prevalence


def answer(chosen: Selection, rule: Rule, choice: Choice) -> None:
    """Feasible: the threshold and what it does, with a button. Infeasible: the reason."""
    if not choice.feasible:
        st.warning(f"Not feasible on {chosen.split}: {choice.reason}.", icon=":material/block:")
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
            # Above 1 stands only for "nothing is called abnormal".
            _use("Use this threshold", "rule_use", choice.threshold, chosen)
        else:
            _use("Use the lower threshold", "rule_use", choice.threshold, chosen)
            _use("Use the upper threshold", "rule_use_high", choice.high, chosen)


def marks(rule: Rule, choice: Choice) -> list[tuple[str, float]]:
    """The answer as lines on the panel."""
    if not choice.feasible or rule.kind == "threshold":
        return []
    if math.isnan(choice.high):
        return [("constraint", choice.threshold)]
    return [("rule out below", choice.threshold), ("rule in from", choice.high)]


def flatters(chosen: Selection, rule: Rule) -> str:
    """Why a threshold chosen on this split should be verified on another; '' on a split made for choosing."""
    if chosen.split in ("tune", "train") or rule.kind == "threshold":
        return ""
    return (
        f"A threshold chosen on {chosen.split} reads better there than it is (Leeflang 2008): choose on tune, lock it, "
        f"and verify on {chosen.split}."
    )


def _use(label: str, key: str, threshold: float, chosen: Selection) -> None:
    taken = min(threshold, 1.0)
    st.button(
        "In use" if chosen.threshold == taken else label,
        key=key, type="primary", disabled=chosen.threshold == taken, on_click=selection.choose,
        kwargs={"threshold": taken},
    )  # fmt: skip


def _rule(name: str, chosen: Selection) -> tuple[Rule, str]:
    if name == "Youden":
        return Rule("youden"), "none"
    if name == "By hand":
        return Rule("threshold", chosen.threshold), "none"
    if name == "Alerts":
        most = _number("At most, per 100 studies", "alerts", 20.0, 0.1, 100.0, 1.0)
        return Rule("alerts", most), "none"
    if name == "Cost":
        return Rule("cost", _number("A miss costs false alarms", "cost", 5.0, 0.1, 1000.0, 1.0)), "none"
    if name == "Guarantee on misses":
        most = _number("Missed at most (%)", "miss", 5.0, 0.1, 50.0, 1.0)
        sure = _number("How sure (%)", "sure", None, 50.0, 99.9, 1.0, "on average")
        return Rule("miss", _share(most), None if sure is None else _share(100 - sure)), "none"
    if name == "Two thresholds":
        out = _number("Rule out: sensitivity (%)", "rule_out", 95.0, 1.0, 99.9, 1.0)
        into = _number("Rule in: specificity (%)", "rule_in", 95.0, 1.0, 99.9, 1.0)
        both = {"out": Rule("sensitivity", _share(out)), "into": Rule("specificity", _share(into))}
        return Rule("two", **both), _bound()
    kind = name.split()[0].lower()
    return Rule(kind, _share(_number("Target, at least (%)", f"{kind}_target", 95.0, 1.0, 99.9, 1.0))), _bound()


def _bound() -> str:
    about = "The lower 95% bound (Wilson 1927; Clopper and Pearson 1934, never too short), or none: the share itself."
    return BOUNDS[st.selectbox("Held against", list(BOUNDS), key="bound", width=150, help=about, **KEPT)]


def _prevalence(tables: Tables) -> float | None:
    abnormal, normal = class_sizes(tables.counts)
    stated = st.number_input(
        "Prevalence where used (%)", 0.1, 99.9, value=None, step=0.5, format="%.1f", key="prevalence", width=195,
        placeholder=f"here {share(abnormal, normal)}" if abnormal + normal else "unknown here",
        help="Abnormal per 100 studies where the model will be used. Predictive values, alerts and workload depend on "
        "it; empty: as in these studies, which is rarely a clinic's.",
        **KEPT,
    )  # fmt: skip
    return None if stated is None else stated / 100


def share(part: int, rest: int) -> str:
    """`41.9%`: the first of both."""
    return f"{part / (part + rest):.1%}"


def _number(label, key, value, low, high, step, placeholder=None) -> float | None:
    return st.number_input(
        label, low, high, value=value, step=step, format="%.1f", key=key, width=170, placeholder=placeholder, **KEPT
    )


def _share(percent: float) -> float:
    # 95% as text, so that it is the number 0.95 and not its neighbour.
    return float(f"{percent:g}e-2")
