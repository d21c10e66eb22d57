"""Whether a rule still holds on other studies than those its threshold was chosen on."""

import math

from core.metrics.thresholds.rules import NONE, Rule


def held_sentences(rule: Rule, figures: dict, bound: str, high: dict | None = None) -> list[str]:
    """One sentence for each target of a rule; empty for a rule without a target, such as youden or cost.

    figures: those of the other studies at the threshold (`figures_at`); high: at the upper one of two thresholds.
    A target holds where its bound reaches it, as when the threshold was chosen; with the bound 'none', the value does.
    """
    if rule.kind == "two":
        parts = ((rule.out, figures), (rule.into, high or {}))
        return [line for part, at in parts if part for line in held_sentences(part, at, bound)]
    target = {"sensitivity": rule.value, "specificity": rule.value, "miss": 1 - rule.value}.get(rule.kind)
    if rule.kind == "alerts":
        return _alerts(rule, figures)
    if target is None:
        return []
    name = "specificity" if rule.kind == "specificity" else "sensitivity"
    value, low, top = (_number(figures, f"{name}{end}") for end in ("", "_low", "_high"))
    if math.isnan(value):
        return [f"Whether the rule {rule.text} holds is not known: these studies have no {name}."]
    reached = value >= target
    if bound == NONE:
        return [f"The rule {rule.text} {'holds' if reached else 'does not hold'}: {name} {value:.1%}."]
    bounds = f"{low:.1%} to {top:.1%}"
    if low >= target:
        return [f"The rule {rule.text} holds: {name} {value:.1%}, and the whole interval ({bounds}) meets it."]
    if reached:
        return [f"The rule {rule.text} is met but not shown to hold: {name} {value:.1%}, interval {bounds}."]
    chance = "more than chance explains" if top < target else "which may be chance"
    return [f"The rule {rule.text} does not hold: {name} {value:.1%}, interval {bounds}, {chance}."]


def _alerts(rule: Rule, figures: dict) -> list[str]:
    value = _number(figures, "alerts_per_100")
    if math.isnan(value):
        return []
    verb = "holds" if value <= rule.value else "does not hold"
    return [f"The rule {rule.text} {verb}: {value:.1f} of 100 studies are called abnormal."]


def _number(figures: dict, name: str) -> float:
    """A figure; NaN where it is missing or, in a stored record, null."""
    value = figures.get(name)
    return math.nan if value is None else float(value)
