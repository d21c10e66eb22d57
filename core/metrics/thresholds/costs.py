"""The cost of a threshold, in words and as a table of targets, before it is used."""

import math

import pandas as pd

from core.metrics.counts import class_sizes, counts_at
from core.metrics.intervals import Estimate, study_word
from core.metrics.ranking import one_class
from core.metrics.rates import rates_at
from core.metrics.thresholds.rules import NONE, Rule
from core.metrics.thresholds.search import ThresholdChoice, choose, positives_needed
from core.plural import count_text

TARGETS = (0.80, 0.85, 0.90, 0.95, 0.975)
# A rule that classifies less than this share of the other class correctly costs so much that the page warns.
LEAST_RIGHT = 0.5
_SIZES = (10, 100, 1000, 10_000)
_LARGEST_ERROR = 0.2  # the most that rounding to whole studies may change a number


def cost_sentence(at: dict[str, int], prevalence: float | None = None) -> str:
    """`Of 100 studies, 24 are called abnormal, 7 of them normal; of 10 abnormal ones, 1 is missed.`

    at: tp, fp, tn, fn. prevalence: None for that of these studies. The sentence is about more studies where rounding to
    whole ones would change a number by more than a fifth.
    """
    abnormal, normal = at["tp"] + at["fn"], at["fp"] + at["tn"]
    if why := one_class(abnormal, normal):
        return f"The cost cannot be estimated: {why}."
    share = abnormal / (abnormal + normal) if prevalence is None else prevalence
    alarms = (1 - share) * at["fp"] / normal
    found = share * at["tp"] / abnormal
    size, (called, alarms, _) = _whole_numbers((alarms + found, alarms, found), _SIZES[1:])
    of, (missed,) = _whole_numbers((at["fn"] / abnormal,), _SIZES)
    if not called:
        first = "none is called abnormal"
    elif called == 1:
        first = f"1 is called abnormal, and it is {'normal' if alarms else 'abnormal'}"
    else:
        first = f"{called:,} are called abnormal, {_of_them(alarms, called)} normal"
    return f"Of {count_text(size, 'study')}, {first}; of {of:,} abnormal ones, {_are(missed, of)} missed."


def target_costs(counts: pd.DataFrame, kind: str, bound: str = "wilson", prevalence: float | None = None) -> list[dict]:
    """One record a target of TARGETS for 'sensitivity' or 'specificity': what it takes to meet it on COUNTS.

    target, feasible, reason, threshold, other (the rate that it costs, an Estimate), alerts (per 100 studies), needed
    (the fewest studies of the class that can show the target).
    """
    other = "specificity" if kind == "sensitivity" else "sensitivity"
    rows = []
    for target in TARGETS:
        choice = choose(counts, Rule(kind, target), bound, prevalence)
        row = {"target": target, "feasible": choice.feasible, "reason": choice.reason, "threshold": choice.threshold}
        row |= {"other": Estimate(math.nan, math.nan, math.nan, 0, choice.reason), "alerts": math.nan}
        if choice.feasible:
            rates = rates_at(counts, choice.threshold, prevalence, "wilson" if bound == NONE else bound)
            row |= {"other": rates[other], "alerts": rates["alerts_per_100"].value}
        rows.append({**row, "needed": 1 if bound == NONE else positives_needed(target, bound)})
    return rows


def too_costly(counts: pd.DataFrame, rule: Rule, choice: ThresholdChoice) -> str:
    """`A bound of 95% calls 121 of 125 normal studies abnormal.` where a target costs too much; else ''."""
    if not choice.feasible or rule.kind not in ("sensitivity", "specificity", "miss"):
        return ""
    at, (abnormal, normal) = counts_at(counts, choice.threshold), class_sizes(counts)
    percent = f"{100 * (1 - rule.value if rule.kind == 'miss' else rule.value):g}%"
    what = f"A sensitivity of {percent}" if choice.bound == NONE else f"A bound of {percent}"
    if rule.kind == "specificity":
        if not abnormal or at["tp"] / abnormal >= LEAST_RIGHT:
            return ""
        what = what.replace("sensitivity", "specificity")
        return f"{what} misses {at['fn']:,} of {abnormal:,} abnormal {study_word(abnormal)}."
    if not normal or at["tn"] / normal >= LEAST_RIGHT:
        return ""
    return f"{what} calls {at['fp']:,} of {normal:,} normal {study_word(normal)} abnormal."


def same_or_better(counts: pd.DataFrame, threshold: float, prevalence: float | None = None) -> list[str]:
    """Alternatives to lock, a sentence each: thresholds and rules with equal figures, and better ones."""
    at, sentences = counts_at(counts, threshold), []
    values = counts["threshold"].to_numpy()
    above, below = values[values >= threshold], values[values < threshold]
    low, high = (below.max() if len(below) else -math.inf), (above.min() if len(above) else math.inf)
    if math.isfinite(low) and math.isfinite(high):
        sentences.append(f"Every threshold above {low:.4g} and up to {high:.4g} calls the same studies abnormal.")
    equal, better = [], {}
    for name, rule in _RULES.items():
        found = choose(counts, rule, "wilson", prevalence)
        if not found.feasible or not math.isfinite(found.threshold):
            continue
        there = counts_at(counts, found.threshold)
        if there == at:
            equal.append(name)
        elif there["tp"] >= at["tp"] and there["fp"] <= at["fp"]:
            better[name] = (found.threshold, there)
    if equal:
        sentences.append(f"{_listed(equal)} {'gives' if len(equal) == 1 else 'give'} the same figures.")
    for name, (value, there) in better.items():
        sentences.append(f"{name[0].upper()}{name[1:]} is better, at {value:.4g}: {_gain(at, there)}.")
    free = counts[(counts["tp"] >= at["tp"]) & (counts["fp"] <= at["fp"])]
    free = free[(free["tp"] > at["tp"]) | (free["fp"] < at["fp"])]
    if len(free) and not better:
        best = free.loc[(free["tp"] - free["fp"]).idxmax()]
        there = {key: int(best[key]) for key in ("tp", "fp", "tn", "fn")}
        sentences.append(f"The threshold {best['threshold']:.4g} is better: {_gain(at, there)}.")
    return sentences


_RULES = {
    "Youden's index": "youden",
    **{f"a bound of {100 * target:g}% on sensitivity": f"sensitivity>={target}" for target in TARGETS},
    "a miss that costs 5 false alarms": "cost=5",
}


def _gain(at: dict[str, int], there: dict[str, int]) -> str:
    found, alarms = there["tp"] - at["tp"], at["fp"] - there["fp"]
    more = f"it finds {found:,} more abnormal {study_word(found)}" if found else "it misses no more"
    fewer = f"raises {alarms:,} fewer false {'alarm' if alarms == 1 else 'alarms'}" if alarms else ""
    return f"{more} and {fewer}" if fewer else f"{more} without a further false alarm"


def _listed(names: list[str]) -> str:
    words = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return words[0].upper() + words[1:]


def _whole_numbers(shares: tuple[float, ...], sizes: tuple[int, ...]) -> tuple[int, list[int]]:
    """The first size at which every share is about a whole number of studies, and these numbers."""
    for size in sizes:
        numbers = [math.floor(size * share + 0.5) for share in shares]
        if all(
            abs(number - size * share) <= _LARGEST_ERROR * min(size * share, size * (1 - share) or 1)
            for number, share in zip(numbers, shares)
        ):
            break
    return size, numbers


def _of_them(part: int, whole: int) -> str:
    return "all of them" if part == whole else f"{part:,} of them" if part else "none of them"


def _are(count: int, of: int) -> str:
    return "none is" if not count else "1 is" if count == 1 else "all are" if count == of else f"{count:,} are"
