"""The constraint first: a rule, its target, and the threshold that meets it on these studies, or why none does."""

import math

import streamlit as st

from core.errors import OverreadError
from core.metrics.operating_point import Choice, choose
from core.metrics.rules import Rule
from dashboard import selection, widgets
from dashboard.loaders.thresholds import Tables
from dashboard.selection import Selection

KEPT = {"bind": "query-params", "persist_state": "session"}
RULES = {
    "Sensitivity first": "The highest threshold whose lower 95% bound on sensitivity meets the target: the fewest "
    "false alarms among all that keep the promise.",
    "Specificity first": "The lowest threshold whose lower 95% bound on specificity meets the target.",
    "Alerts": "The lowest threshold with at most so many studies in 100 called abnormal, at the prevalence above.",
    "Cost": "The lowest cost when a missed abnormality costs so many false alarms, at the prevalence above.",
    "Youden": "The largest sensitivity + specificity - 1 (Youden 1950): both errors weigh the same.",
    "Guarantee on misses": "Misses an abnormal study with at most this probability, if new studies are exchangeable "
    "with these (conformal risk control, Angelopoulos 2022).",
    "Two thresholds": "Below the lower one ruled out, from the upper one ruled in, those between referred.",
    "By hand": "The threshold of the panel above, as it stands.",
}
BOUNDS = {"Wilson": "wilson", "Clopper-Pearson": "clopper-pearson", "None": "none"}


def show(chosen: Selection, tables: Tables, prevalence: float | None) -> tuple[Rule, Choice]:
    """Draw the rule and its answer; a button takes its threshold. Returns what was asked for and what came out."""
    widgets.caption("Constraint", f"chosen on {chosen.split}, {len(tables.studies):,} studies")
    rule, bound = asked(chosen)
    try:
        choice = choose(tables.counts, rule, bound, prevalence)
    except OverreadError as error:
        st.warning(str(error), icon=":material/block:")
        return rule, Choice(math.nan, False, str(error), rule.text)
    answer(chosen, rule, choice)
    if chosen.split not in ("tune", "train") and rule.kind != "threshold":
        widgets.note(
            f"A threshold chosen on {chosen.split} reads better there than it is (Leeflang 2008): choose on tune, lock "
            f"it, and verify on {chosen.split}."
        )
    return rule, choice


def asked(chosen: Selection) -> tuple[Rule, str]:
    """The rule that the widgets name, and the bound its target is held against. Every part of it is in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Rule", list(RULES), key="rule", width=210, **KEPT)
        rule, bound = _rule(name, chosen)
    widgets.note(RULES[name])
    return rule, bound


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
    st.html(f'<p class="answer"><b>{words}</b> {choice.reason}.</p>')
    with st.container(horizontal=True):
        if math.isnan(choice.high):
            # Above 1 stands only for "nothing is called abnormal".
            _use("Use this threshold", "rule_use", choice.threshold)
        else:
            _use("Use the lower threshold", "rule_use", choice.threshold)
            _use("Use the upper threshold", "rule_use_high", choice.high)


def _use(label: str, key: str, threshold: float) -> None:
    st.button(label, key=key, type="primary", on_click=selection.choose, kwargs={"threshold": min(threshold, 1.0)})


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
        out = _number("Rule out keeps sensitivity (%)", "rule_out", 95.0, 1.0, 99.9, 1.0)
        into = _number("Rule in keeps specificity (%)", "rule_in", 95.0, 1.0, 99.9, 1.0)
        both = {"out": Rule("sensitivity", _share(out)), "into": Rule("specificity", _share(into))}
        return Rule("two", **both), _bound()
    kind = name.split()[0].lower()
    return Rule(kind, _share(_number("Target, at least (%)", f"{kind}_target", 95.0, 1.0, 99.9, 1.0))), _bound()


def _bound() -> str:
    about = "The lower 95% bound (Wilson 1927; Clopper and Pearson 1934, never too short), or none: the share itself."
    return BOUNDS[st.selectbox("Held against", list(BOUNDS), key="bound", width=190, help=about, **KEPT)]


def _number(label, key, value, low, high, step, placeholder=None) -> float | None:
    return st.number_input(
        label, low, high, value=value, step=step, format="%.1f", key=key, width=210, placeholder=placeholder, **KEPT
    )


def _share(percent: float) -> float:
    # 95% as text, so that it is the number 0.95 and not its neighbour.
    return float(f"{percent:g}e-2")
