"""A chosen threshold with its figures, as one flat record: what `python -m core threshold` prints."""

import math

import pandas as pd

from core.errors import OverreadError
from core.metrics.counts import class_sizes, counts_at, counts_of
from core.metrics.rates import flat_row, rates_at, reasons
from core.metrics.thresholds.bands import two_thresholds
from core.metrics.thresholds.bones import per_bone
from core.metrics.thresholds.rules import NONE, Rule, check_bound
from core.metrics.thresholds.search import ThresholdChoice, choose
from core.schema import bone_order


def figures_at(
    counts: pd.DataFrame, threshold: float, prevalence: float | None = None, bound: str = "wilson"
) -> dict[str, float | int | str]:
    """n, n_abnormal, tp, fp, tn, fn, and NAME, NAME_low, NAME_high of every rate of RATES, as one flat record.

    `why` says why a rate is NaN. With the bound 'none' the intervals are Wilson's.
    """
    at = counts_at(counts, threshold)
    rates = rates_at(counts, threshold, prevalence, "wilson" if bound == NONE else check_bound(bound))
    row = {"n": sum(at.values()), "n_abnormal": at["tp"] + at["fn"], "threshold": float(threshold), **at}
    return row | flat_row(rates) | {"why": reasons(rates)}


def choice_facts(
    studies: pd.DataFrame,
    choice: ThresholdChoice,
    rule: Rule,
    bound: str = "wilson",
    prevalence=None,
    by: str | None = None,
) -> dict:
    """rule, rule_in_words, bound, prevalence, feasible, reason, threshold, and the figures there (`figures_at`).

    The threshold is NaN where the rule is infeasible, and infinite where nothing is called abnormal. With two
    thresholds, `at_high` has the figures at the upper one, and `two_thresholds` adds its shares. With `by` 'bone',
    `groups` has one record per bone: the rule applied to that bone alone, `pooled` (the figures at the threshold of all
    bones), `offset` and `threshold_shifted` (`per_bone`), `own` (whether the bone may have its own threshold) and
    `own_why`.
    """
    counts = counts_of(studies)
    facts = {
        "level": "study", "rule": rule.text, "rule_in_words": choice.rule, "bound": choice.bound,
        "prevalence": prevalence, "feasible": choice.feasible, "reason": choice.reason,
    }  # fmt: skip
    facts |= _choice_figures(counts, choice, prevalence) | {"n_unknown": int(studies["label"].isna().sum())}
    if by is None:
        return facts
    return facts | {"by": by, **_group_facts(studies, choice, rule, bound, prevalence, by)}


def _choice_figures(counts: pd.DataFrame, choice: ThresholdChoice, prevalence: float | None) -> dict:
    if not choice.feasible:
        abnormal, normal = class_sizes(counts)
        return {"n": abnormal + normal, "n_abnormal": abnormal, "threshold": math.nan, "threshold_high": math.nan}
    row: dict = figures_at(counts, choice.threshold, prevalence, choice.bound) | {"threshold_high": choice.high}
    if not math.isnan(choice.high):
        row["at_high"] = figures_at(counts, choice.high, prevalence, choice.bound)
        shares = two_thresholds(counts, choice.threshold, choice.high)
        row |= flat_row(shares) | {f"{name}_n": share.n for name, share in shares.items()}
    return row


def _group_facts(studies: pd.DataFrame, choice: ThresholdChoice, rule: Rule, bound: str, prevalence, by: str) -> dict:
    if by not in studies or by in ("label", "score"):
        raise OverreadError(
            f"The studies cannot be grouped by {by!r}; expected bone, split, n_views or another column of theirs.",
            code="group-column-unknown",
        )
    groups, shifted = [], {}
    found = per_bone(studies, rule, bound, prevalence) if by == "bone" and rule.kind != "two" else None
    if found is not None:
        shifted = {"threshold": found.shifted.threshold, "tau": found.tau, "slope": found.slope, "why": found.why}
        rows = found.table.set_index("bone").to_dict("index") if len(found.table) else {}
    parts = dict(list(studies.groupby(by)))
    for name in bone_order(parts) if by == "bone" else sorted(parts):
        counts = counts_of(parts[name])
        alone = choose(counts, rule, check_bound(bound), prevalence, str(name))
        group = {by: name, "feasible": alone.feasible, "reason": alone.reason}
        group |= _choice_figures(counts, alone, prevalence)
        group["pooled"] = _choice_figures(counts, choice, prevalence) if choice.feasible else None
        if found is not None and name in rows:
            row = rows[name]
            group |= {key: row[key] for key in ("offset", "offset_se", "threshold_shifted", "own", "own_gain")}
            group["own_why"] = row["why"]
        groups.append(group)
    return {"shifted": shifted or None, "groups": groups}
