"""Choose the threshold that a rule asks for. Candidates are the scores that occur and +infinity.

A rule that no threshold meets gives an infeasible choice with the reason; it is not an error.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import bdtr

from core.errors import OverreadError
from core.metrics.counts import class_sizes, counts_of, counts_table, rows_at
from core.metrics.decision import check_prevalence
from core.metrics.intervals import Estimate, bounds
from core.metrics.ranking import one_class
from core.metrics.thresholds.bands import two_thresholds
from core.metrics.thresholds.rules import NONE, Rule, check_bound, parse_rule
from core.plural import count_text, plural_of, share_clause


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold with the rule and the reason for it. Infeasible: the threshold is NaN and `reason` says why.

    With two thresholds, studies below `threshold` are ruled out, studies from `high` on are ruled in, and studies
    between are referred; with one, `high` is NaN. `bound` names the interval whose lower end meets the target, or is
    'none' where the rule uses no interval.
    """

    threshold: float
    feasible: bool
    reason: str
    rule: str
    bound: str = NONE
    high: float = float("nan")


def infeasible(reason: str, rule: str, bound: str = NONE) -> ThresholdChoice:
    """The choice where no threshold meets the rule."""
    return ThresholdChoice(float("nan"), False, reason, rule, bound)


def choose(
    studies: pd.DataFrame, rule: str | Rule, bound: str = "wilson", prevalence: float | None = None, name: str = ""
) -> ThresholdChoice:
    """The threshold that a rule picks on STUDIES (those without a label are left out) or on COUNTS.

    bound: 'wilson', 'clopper-pearson' or 'none', for rules with a target for sensitivity or specificity. prevalence:
    that of the clinic, for alerts and costs. name: the bone, for the reason.
    """
    rule, bound = parse_rule(rule), check_bound(bound)
    if prevalence is not None:
        check_prevalence(prevalence)
    counts = studies if "tp" in studies else counts_of(studies)
    if rule.kind == "two":
        return _choose_two(counts, rule, bound, prevalence, name)
    if rule.kind == "sensitivity":
        return highest_threshold(counts, rule.value, bound, name)
    if rule.kind == "specificity":
        return lowest_threshold(counts, rule.value, bound, name)
    if rule.kind == "alerts":
        return at_most_alerts(counts, rule.value, prevalence)
    if rule.kind == "miss":
        return conformal_of(counts, rule.value, rule.second, name)
    if rule.kind == "cost":
        return cheapest(counts, rule.value, 1.0 if rule.second is None else rule.second, prevalence)
    return youden(counts) if rule.kind == "youden" else fixed(counts, rule.value)


def _choose_two(counts: pd.DataFrame, rule: Rule, bound: str, prevalence: float | None, name: str) -> ThresholdChoice:
    out, into = (choose(counts, part, bound, prevalence, name) for part in (rule.out, rule.into))
    words = f"rule out below the {out.rule}; rule in from the {into.rule}"
    used = next((part.bound for part in (out, into) if part.bound != NONE), NONE)
    if failed := [
        f"{side}: {part.reason}" for side, part in (("rule out", out), ("rule in", into)) if not part.feasible
    ]:
        return infeasible("; ".join(failed), words, used)
    if out.threshold > into.threshold:
        # Any threshold between the two meets both rules; the lower one misses fewer studies.
        same = f"both hold from {into.threshold:g} to {out.threshold:g}, so no study needs to be referred"
        return ThresholdChoice(into.threshold, True, same, words, used, into.threshold)
    shares = two_thresholds(counts, out.threshold, into.threshold)
    missed, right, referred = (shares[key] for key in ("missed_when_ruled_out", "right_when_ruled_in", "referred"))
    reason = (
        f"{_k_of_n(missed)} ruled out are abnormal, {_k_of_n(right)} ruled in are abnormal, "
        f"{_k_of_n(referred)} are referred"
    )
    return ThresholdChoice(out.threshold, True, reason, words, used, into.threshold)


def _k_of_n(share: Estimate) -> str:
    return f"{round(share.value * share.n) if share.n else 0} of {share.n}"


def positives_needed(sensitivity_low: float, method: str = "wilson") -> int:
    """The fewest abnormal studies that can show this sensitivity when none is missed (95% needs 73, Wilson)."""
    _check_share(sensitivity_low, "target for sensitivity")
    needed = 1
    while _lower(needed, needed, method) < sensitivity_low:
        needed *= 2
    tried = np.arange(needed // 2 + 1, needed + 1)
    return int(tried[np.argmax(_lower(tried, tried, method) >= sensitivity_low)])


def misses_allowed(
    abnormal: int, sensitivity_low: float, method: str = "wilson", rate: str = "sensitivity"
) -> int | None:
    """The most missed studies with which the lower bound of sensitivity meets the target; None if 0 are too many.

    The same formula gives the false alarms allowed among normal studies for specificity (`rate` names it in errors).
    """
    _check_share(sensitivity_low, f"target for {rate}")
    found = np.arange(abnormal + 1)
    fit = found[_lower(found, abnormal, method) >= sensitivity_low] if abnormal else found[:0]
    return int(abnormal - fit[0]) if len(fit) else None


def highest_threshold(
    counts: pd.DataFrame, sensitivity_low: float = 0.95, method: str = "wilson", name: str = ""
) -> ThresholdChoice:
    """The highest threshold whose lower 95% bound of sensitivity meets the target: the default rule for screening.

    name: the bone, for the reason. method 'none' compares the sensitivity itself with the target.
    """
    of = "sensitivity" if method == NONE else "the lower bound of sensitivity"
    rule = f"highest threshold with {of} at {_percent(sensitivity_low)} or more ({method})"
    abnormal, _ = class_sizes(counts)
    allowed = misses_allowed(abnormal, sensitivity_low, method)
    if allowed is None:
        return infeasible(_too_few(abnormal, "abnormal", name, sensitivity_low, method), rule, method)
    row = int(np.argmax(counts["tp"].to_numpy() >= abnormal - allowed))
    missed = int(counts["fn"].to_numpy()[row])
    low = float(_lower(abnormal - missed, abnormal, method))
    return _chosen(counts, row, rule, f"{of} {low:.1%}", method)


def lowest_threshold(
    counts: pd.DataFrame, specificity_low: float = 0.95, method: str = "wilson", name: str = ""
) -> ThresholdChoice:
    """The lowest threshold whose lower 95% bound of specificity meets the target."""
    of = "specificity" if method == NONE else "the lower bound of specificity"
    rule = f"lowest threshold with {of} at {_percent(specificity_low)} or more ({method})"
    _, normal = class_sizes(counts)
    allowed = misses_allowed(normal, specificity_low, method, "specificity")
    if allowed is None:
        return infeasible(_too_few(normal, "normal", name, specificity_low, method), rule, method)
    fp = counts["fp"].to_numpy()
    row = int(np.flatnonzero(fp <= allowed)[-1])
    if row == 0:
        shared = f"{share_clause(int(fp[1]), normal, 'normal study', 'share')} the highest score"
        return infeasible(
            f"{shared}: only a threshold that calls nothing abnormal keeps {_percent(specificity_low)}", rule, method
        )
    low = float(_lower(normal - fp[row], normal, method))
    return _chosen(counts, row, rule, f"{of} {low:.1%}", method)


def at_most_alerts(counts: pd.DataFrame, alerts: float, prevalence: float | None = None) -> ThresholdChoice:
    """The lowest threshold that calls at most `alerts` of 100 studies abnormal, at the stated prevalence or, with None,
    at that of these studies."""
    if not 0 < alerts <= 100:
        raise OverreadError(
            f"The rule allows {alerts:g} alerts per 100 studies; expected a number above 0 and up to 100.",
            code="alerts-range",
        )
    where = "as in these studies" if prevalence is None else f"at a prevalence of {_percent(prevalence)}"
    rule = f"lowest threshold with at most {alerts:g} alerts per 100 studies ({where})"
    abnormal, normal = class_sizes(counts)
    if abnormal + normal == 0:
        return infeasible("no labelled studies", rule)
    if prevalence is not None and (why := one_class(abnormal, normal)):
        return infeasible(why, rule)
    per_100 = _alerts(counts, prevalence)
    row = int(np.flatnonzero(per_100 <= alerts * (1 + 1e-12))[-1])
    if row == 0:
        return infeasible(f"the highest score alone alerts {per_100[1]:.1f} times per 100 studies", rule)
    return _chosen(counts, row, rule, f"{per_100[row]:.1f} alerts per 100 studies")


def fixed(counts: pd.DataFrame, threshold: float) -> ThresholdChoice:
    """A threshold set by hand."""
    row = int(rows_at(counts, threshold))
    return replace(_chosen(counts, row, f"set by hand at {threshold:g}", ""), threshold=float(threshold))


def youden(counts: pd.DataFrame) -> ThresholdChoice:
    """The threshold with the largest sensitivity + specificity - 1; ties go to the lower threshold."""
    rule = "largest sensitivity + specificity - 1"
    abnormal, normal = class_sizes(counts)
    if why := one_class(abnormal, normal):
        return infeasible(why, rule)
    # Whole numbers, so that ties are exact.
    index = counts["tp"].to_numpy() * normal - counts["fp"].to_numpy() * abnormal
    best = len(index) - 1 - int(np.argmax(index[::-1]))
    return _chosen(counts, best, rule, f"index {index[best] / (abnormal * normal):.3f}")


def cheapest(counts: pd.DataFrame, cost_fn: float, cost_fp: float, prevalence: float | None = None) -> ThresholdChoice:
    """The threshold with the lowest cost over these studies; ties go to the lower threshold, which misses fewer.

    At a stated prevalence the cost is that of 100 studies of which that share is abnormal.
    """
    rule = f"lowest cost with a missed abnormality at {cost_fn:g} and a false alarm at {cost_fp:g}"
    if not (np.isfinite([cost_fn, cost_fp]).all() and min(cost_fn, cost_fp) >= 0 and max(cost_fn, cost_fp) > 0):
        raise OverreadError(
            f"The costs are {cost_fn} and {cost_fp}; expected numbers of 0 or more, one of them above 0.",
            code="costs-range",
        )
    abnormal, normal = class_sizes(counts)
    if why := one_class(abnormal, normal):
        return infeasible(why, rule)
    missed, alarms, of = counts["fn"].to_numpy(), counts["fp"].to_numpy(), ""
    if prevalence is not None:
        missed, alarms = 100 * prevalence * missed / abnormal, 100 * (1 - prevalence) * alarms / normal
        rule, of = f"{rule}, at a prevalence of {_percent(prevalence)}", " per 100 studies"
    cost = missed * cost_fn + alarms * cost_fp
    # Costs such as 0.1 are not exact in binary: a difference in the last digits is still a tie.
    best = int(np.flatnonzero(cost <= cost.min() + 1e-12 * cost.max())[-1])
    nothing = "; the lowest cost is to call nothing abnormal" if best == 0 else ""
    return _chosen(counts, best, rule, f"cost {cost[best]:g}{of}{nothing}")


def bayes_threshold(cost_fn: float, cost_fp: float) -> float:
    """The cheapest threshold of a calibrated score, 1 / (1 + cost_fn / cost_fp). It needs no data."""
    return 1 / (1 + cost_fn / cost_fp)


def conformal(scores, labels, alpha: float, delta: float | None = None) -> ThresholdChoice:
    """`conformal_of` from scores and labels."""
    return conformal_of(counts_table(scores, labels), alpha, delta)


def conformal_of(counts: pd.DataFrame, alpha: float, delta: float | None = None, name: str = "") -> ThresholdChoice:
    """The threshold that misses an abnormal study with probability at most alpha (conformal, Angelopoulos 2022).

    This holds on average over data sets like this one, if new studies are exchangeable with it. With `delta` it holds
    for all but a share delta of such data sets.
    """
    n1, _ = class_sizes(counts)
    _check_share(alpha, "share of misses")
    rule = f"at most {_percent(alpha)} of abnormal studies missed" + (f", delta {delta:g}" if delta is not None else "")
    if delta is None:
        # 0.29 x 100 is 28.999... in binary: without the added 1e-9 floor() would lose one study.
        k = int(np.floor(alpha * (n1 + 1) + 1e-9))
    else:
        _check_share(delta, "delta")
        k = int(np.count_nonzero(bdtr(np.arange(n1, dtype=np.float64), n1, alpha) <= delta)) if n1 else 0
    if k < 1:
        of = f"{n1} abnormal {_studies(n1, name)}"
        return infeasible(f"{of} cannot promise {_percent(alpha)} at any threshold", rule)
    k = min(k, n1)
    promise = f"{k / (n1 + 1):.3f}" if delta is None else f"{alpha:g} with probability {1 - delta:g}"
    reason = f"P(miss) <= {promise}, from {count_text(n1, 'abnormal study')}, if new ones are exchangeable with them"
    # The k-th lowest abnormal score is the highest threshold that misses fewer than k abnormal studies.
    row = int(np.argmax(counts["fn"].to_numpy() < k))
    return ThresholdChoice(float(counts["threshold"].to_numpy()[row]), True, reason, rule)


def _lower(k, n, bound: str):
    """The lower bound of k / n, or k / n itself with the bound 'none'."""
    return k / n if bound == NONE else bounds(k, n, bound)[0]


def _too_few(count: int, kind: str, name: str, target: float, bound: str) -> str:
    of = f"{kind} {_studies(count, name)}"
    if count == 0:
        return f"no {of}, so no {'sensitivity' if kind == 'abnormal' else 'specificity'} can be shown"
    return f"{count} {of} cannot show {_percent(target)}: {positives_needed(target, bound)} are needed"


def _studies(count: int, name: str) -> str:
    return f"{name} {'study' if count == 1 else plural_of('study')}".strip()


def _chosen(counts: pd.DataFrame, row: int, rule: str, shown: str, bound: str = NONE) -> ThresholdChoice:
    at = {name: int(counts[name].to_numpy()[row]) for name in ("tp", "fp", "tn", "fn")}
    found = f"misses {at['fn']:,} of {count_text(at['tp'] + at['fn'], 'abnormal study')}" + (
        f" ({shown})" if shown else ""
    )
    reason = f"{found} and calls {at['fp']:,} of {at['fp'] + at['tn']:,} normal ones abnormal"
    return ThresholdChoice(float(counts["threshold"].to_numpy()[row]), True, reason, rule, bound)


def _alerts(counts: pd.DataFrame, prevalence: float | None) -> np.ndarray:
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    if prevalence is None:
        return 100 * (tp + fp) / (tp[-1] + fp[-1])
    return 100 * (prevalence * tp / tp[-1] + (1 - prevalence) * fp / fp[-1])


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _check_share(share: float, name: str) -> None:
    if not 0 < share < 1:
        raise OverreadError(
            f"The {name} is {share}; expected a number above 0 and below 1, such as 0.95.", code="share-range"
        )
