"""A choice of threshold with its figures, in one flat row: what `python -m core threshold` prints."""

import math

import pandas as pd

from core.errors import OverreadError
from core.metrics.counts import class_sizes
from core.metrics.thresholds.per_bone import per_bone
from core.metrics.thresholds.rule import Rule
from core.metrics.thresholds.search import Choice, check_bound, choose, counts_of, figures_at, two_thresholds
from core.schema import bone_order


def choice_facts(
    studies: pd.DataFrame, choice: Choice, rule: Rule, bound: str = "wilson", prevalence=None, by: str | None = None
) -> dict:
    """rule, rule_in_words, bound, prevalence, feasible, reason, threshold (NaN if infeasible, infinite if nothing is
    called abnormal), and the figures there (`figures_at`); with two thresholds those of both.

    by 'bone' adds `groups`: for each bone the same rule on it alone, `pooled` (its figures at the threshold of all),
    `offset` and `threshold_shifted` (`per_bone`), `own` (whether a threshold of its own is justified) and `own_why`.
    """
    counts = counts_of(studies)
    facts = {
        "level": "study", "rule": rule.text, "rule_in_words": choice.rule, "bound": choice.bound,
        "prevalence": prevalence, "feasible": choice.feasible, "reason": choice.reason,
    }  # fmt: skip
    facts |= _figures(counts, choice, prevalence) | {"n_unknown": int(studies["label"].isna().sum())}
    if by is None:
        return facts
    return facts | {"by": by, **_groups(studies, choice, rule, bound, prevalence, by)}


def _figures(counts: pd.DataFrame, choice: Choice, prevalence: float | None) -> dict:
    if not choice.feasible:
        abnormal, normal = class_sizes(counts)
        return {"n": abnormal + normal, "n_abnormal": abnormal, "threshold": math.nan, "threshold_high": math.nan}
    row = figures_at(counts, choice.threshold, prevalence, choice.bound) | {"threshold_high": choice.high}
    if not math.isnan(choice.high):
        row["at_high"] = figures_at(counts, choice.high, prevalence, choice.bound)
        for name, share in two_thresholds(counts, choice.threshold, choice.high).items():
            row |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high, f"{name}_n": share.n}
    return row


def _groups(studies: pd.DataFrame, choice: Choice, rule: Rule, bound: str, prevalence, by: str) -> dict:
    if by not in studies or by in ("label", "score"):
        raise OverreadError(f"Groups by {by!r}; expected bone, split, n_views or another column of the studies.")
    groups, shifted = [], {}
    found = per_bone(studies, rule, bound, prevalence) if by == "bone" and rule.kind != "two" else None
    if found is not None:
        shifted = {"threshold": found.shifted.threshold, "tau": found.tau, "slope": found.slope, "why": found.why}
        rows = found.table.set_index("bone").to_dict("index") if len(found.table) else {}
    parts = dict(list(studies.groupby(by)))
    for name in bone_order(parts) if by == "bone" else sorted(parts):
        counts = counts_of(parts[name])
        alone = choose(counts, rule, check_bound(bound), prevalence, str(name))
        group = {by: name, "feasible": alone.feasible, "reason": alone.reason} | _figures(counts, alone, prevalence)
        group["pooled"] = _figures(counts, choice, prevalence) if choice.feasible else None
        if found is not None and name in rows:
            row = rows[name]
            group |= {key: row[key] for key in ("offset", "offset_se", "threshold_shifted", "own", "own_gain")}
            group["own_why"] = row["why"]
        groups.append(group)
    return {"shifted": shifted or None, "groups": groups}
