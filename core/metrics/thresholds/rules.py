"""Rules for choosing a threshold, read from text such as `sensitivity>=0.95`, `cost=5` or
`rule_out miss<=0.05 rule_in specificity>=0.98`."""

import re
from dataclasses import dataclass

from core.errors import OverreadError
from core.metrics.intervals import METHODS

NONE = "none"  # the rule compares the value itself with its target, not a bound of its interval
EXPECTED = (
    "sensitivity>=0.95, specificity>=0.9, youden, cost=5 (a miss costs 5 false alarms), alerts<=20 (per 100 studies), "
    "miss<=0.05, miss<=0.05@0.05 (with probability 95%), threshold=0.4, or two of them: "
    "rule_out sensitivity>=0.95 rule_in specificity>=0.95"
)
_NUMBER = r"([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(%?)"
_FORMS = {
    "sensitivity": rf"sensitivity\s*(?:>=|≥)\s*{_NUMBER}",
    "specificity": rf"specificity\s*(?:>=|≥)\s*{_NUMBER}",
    "alerts": r"alerts\s*(?:<=|≤)\s*([0-9]*\.?[0-9]+)",
    "miss": rf"miss\s*(?:<=|≤)\s*{_NUMBER}(?:\s*@\s*{_NUMBER})?",
    "cost": r"cost\s*=\s*([0-9]*\.?[0-9]+)(?:\s*:\s*([0-9]*\.?[0-9]+))?",
    "threshold": r"(?:threshold\s*=\s*)?([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)",
    "youden": r"youden",
}


@dataclass(frozen=True)
class Rule:
    """One way to choose a threshold. `kind` is a key of _FORMS, or 'two' with `out` and `into`.

    value: the target, the cost of a missed study, or the threshold. second: delta of a `miss` rule, or the cost of a
    false alarm.
    """

    kind: str
    value: float = float("nan")
    second: float | None = None
    out: "Rule | None" = None
    into: "Rule | None" = None

    @property
    def text(self) -> str:
        """The rule as text that `parse_rule` reads back."""
        if self.kind == "two":
            return f"rule_out {self.out.text} rule_in {self.into.text}"
        more = "" if self.second is None else f"{'@' if self.kind == 'miss' else ':'}{self.second!r}"
        sign = {"sensitivity": ">=", "specificity": ">=", "alerts": "<=", "miss": "<="}.get(self.kind, "=")
        return "youden" if self.kind == "youden" else f"{self.kind}{sign}{self.value!r}{more}"


def parse_rule(text: "str | Rule") -> Rule:
    """Read a rule from text. OverreadError lists the forms that are understood."""
    if isinstance(text, Rule):
        return text
    plain = str(text).strip().lower().replace("rule-", "rule_")
    if two := re.fullmatch(r"rule_out\s+(.+?)[\s,;]+rule_in\s+(.+)", plain):
        out, into = (parse_rule(part.strip(" ,;")) for part in two.groups())
        if "two" in (out.kind, into.kind):
            raise OverreadError(
                f"The rule {text!r} has more than two thresholds; expected one rule_out and one rule_in.",
                code="rule-too-many-thresholds",
            )
        return Rule("two", out=out, into=into)
    for kind, form in _FORMS.items():
        if found := re.fullmatch(form, plain):
            return _rule(kind, found.groups(), text)
    raise OverreadError(f"The rule {text!r} cannot be read; expected one of: {EXPECTED}.", code="rule-unknown")


def _rule(kind: str, parts: tuple, text: str) -> Rule:
    if kind == "youden":
        return Rule(kind)
    if kind in ("alerts", "threshold"):
        return Rule(kind, float(parts[0]))
    if kind == "cost":
        return Rule(kind, float(parts[0]), float(parts[1]) if parts[1] else None)
    value = _share(parts[0], parts[1], text)
    return Rule(kind, value, _share(parts[2], parts[3], text) if kind == "miss" and parts[2] else None)


def _share(number: str, percent: str, text: str) -> float:
    # As text, so that 95% becomes exactly the number 0.95.
    value = float(f"{number}e-2") if percent and "e" not in number else float(number)
    if not 0 < value < 1:
        raise OverreadError(
            f"The rule {text!r} has the share {value:g}; expected one above 0 and below 1, such as 0.95.",
            code="rule-share-range",
        )
    return value


def check_bound(bound: str) -> str:
    """The name of a bound as `intervals` spells it. OverreadError lists the three names."""
    plain = str(bound).strip().lower().replace("-", "_")
    if plain not in (*METHODS, NONE):
        raise OverreadError(f"The bound is {bound!r}; expected wilson, clopper-pearson or none.", code="bound-unknown")
    return plain
