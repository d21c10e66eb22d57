"""One threshold for all bones with a small offset per bone: intercepts on the logit, shrunk by empirical Bayes.

Seven separate thresholds would each be chosen on a few dozen abnormal studies. Instead the labels are fitted as
logit P(abnormal) = a + b logit(score) + u(bone), with u(bone) ~ Normal(0, tau^2). tau maximises the marginal likelihood
(Laplace's approximation), so bones that do not differ beyond chance get offsets of zero, and the offset of a bone with
few studies is close to zero. The shifted score of a study is expit(logit(score) + u(bone) / b), and one threshold is
chosen on it. A bone may have its own threshold only with FEWEST_ABNORMAL abnormal studies and a gain on studies that
this threshold was not chosen on.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from core.metrics.counts import counts_at, counts_of, counts_table
from core.metrics.intervals import Estimate, normal_quantile
from core.metrics.ranking import one_class
from core.metrics.studies import labelled
from core.metrics.thresholds.rules import Rule, parse_rule
from core.metrics.thresholds.search import ThresholdChoice, choose
from core.plural import count_text
from core.schema import bone_order

FEWEST_ABNORMAL = 73  # the fewest that can show a sensitivity of 95% when none is missed (Wilson)
_EDGE = 54 * float(np.log(2))  # the logit of a score of 0 or 1, as for imported scores
_FOLDS = 5
_GAINS = ("own_gain", "own_gain_low", "own_gain_high")


@dataclass(frozen=True)
class PerBone:
    """The pooled threshold, the threshold of the shifted scores, and one row per bone.

    tau: the standard deviation of the bones' intercepts, in logits. table: bone, n, n_abnormal; offset and offset_se
    (on the logit of the score; above 0 the bone's threshold is lower); threshold_shifted (on the unshifted score); tp,
    fp, tn, fn at the pooled threshold, and shifted_tp ... at the shifted one; own_threshold; own_gain, own_gain_low,
    own_gain_high (cross-validated balanced accuracy minus that of the pooled threshold); own (whether the bone may
    have its own threshold) and why not.
    """

    pooled: ThresholdChoice
    shifted: ThresholdChoice
    tau: float
    slope: float
    why: str
    table: pd.DataFrame


def per_bone(
    studies: pd.DataFrame,
    rule: str | Rule,
    bound: str = "wilson",
    prevalence: float | None = None,
    seed: int = 0,
) -> PerBone:
    """Offsets, one threshold on the shifted scores, and the bones that may have their own; STUDIES of one split."""
    # With the highest score first, counts of any subset need no further sort.
    rule, known = parse_rule(rule), labelled(studies).sort_values("score", ascending=False, kind="stable")
    bones = bone_order(known["bone"].unique())
    code = known["bone"].map({bone: place for place, bone in enumerate(bones)}).to_numpy(np.int64)
    offsets, errors, tau, slope, why = bone_offsets(known["score"], known["label"], code, len(bones))
    moved = shifted_scores(known["score"], offsets[code] if len(known) else np.zeros(0))
    pooled = choose(known, rule, bound, prevalence)
    shifted = choose(known.assign(score=moved), rule, bound, prevalence)
    rows, folds = [], _folds(known["group_id"], seed)
    held_out = cache(lambda held: choose(counts_of(known[folds != held]), rule, bound, prevalence))
    for place, bone in enumerate(bones):
        part = known[code == place]
        row = {"bone": bone, "n": len(part), "n_abnormal": int(part["label"].sum())}
        row |= {"offset": offsets[place], "offset_se": errors[place]}
        row["threshold_shifted"] = float(shifted_scores([shifted.threshold], -offsets[place])[0])
        row |= _counts(part["score"], part["label"], pooled.threshold)
        at = _counts(moved[code == place], part["label"], shifted.threshold)
        row |= {f"shifted_{name}": count for name, count in at.items()}
        own = choose(counts_of(part), rule, bound, prevalence, bone)
        row |= {"own_threshold": own.threshold, "own": False} | dict.fromkeys(_GAINS, float("nan"))
        row["why"] = _why_not_own(part, len(known), own)
        if not row["why"]:
            part_folds = folds[code == place]
            own_out = [choose(counts_of(part[part_folds != held]), rule, bound, prevalence) for held in range(_FOLDS)]
            gain = _gain(part, part_folds, own_out, [held_out(held) for held in range(_FOLDS)])
            row |= dict(zip(_GAINS, (gain.value, gain.low, gain.high)))
            row["own"] = bool(gain.low > 0)
            if not row["own"]:
                row["why"] = gain.why or "no gain in balanced accuracy is shown over the pooled threshold"
        rows.append(row)
    return PerBone(pooled, shifted, tau, slope, why, pd.DataFrame(rows))


def shifted_scores(scores, offset) -> np.ndarray:
    """expit(logit(score) + offset). Scores of 0 and 1 do not change."""
    scores = np.asarray(scores, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = expit(logit(scores) + offset)
    # With an offset of 0 the score must not change in its last digit.
    return np.where(np.asarray(offset) == 0, scores, moved)


def bone_offsets(scores, labels, code, bones: int) -> tuple[np.ndarray, np.ndarray, float, float, str]:
    """Offsets on the logit of the score [bones], their standard errors, tau, the slope b, and why all offsets are 0
    ('' where they are not).

    code: int [N], the bone of each study. The standard errors are conditional on tau and the slope.
    """
    x = np.clip(logit(np.asarray(scores, dtype=np.float64)), -_EDGE, _EDGE)
    y = np.asarray(labels, dtype=np.float64)
    nothing = np.zeros(bones), np.full(bones, np.nan), 0.0, float("nan")
    if why := one_class(int(y.sum()), int((1 - y).sum())):
        return *nothing, why
    if bones < 2:
        return *nothing, "there is only one bone, so no offset can be estimated"
    if x.min() == x.max():
        return *nothing, "every study has the same score"
    if x[y == 1].min() >= x[y == 0].max() or x[y == 1].max() <= x[y == 0].min():
        return *nothing, "the scores separate the classes, so the size of an offset has no bound"
    start = np.zeros(bones + 2)
    found: dict = {}

    def evidence(log_tau: float) -> float:
        beta, _, value = _fit(x, y, code, bones, np.exp(2 * log_tau), found.get("beta", start))
        found["beta"] = beta
        return -value

    best = minimize_scalar(evidence, bounds=(np.log(1e-3), np.log(5.0)), method="bounded", options={"xatol": 0.02})
    tau = float(np.exp(best.x))
    if -best.fun <= -evidence(np.log(1e-3)) + 1e-6 or tau < 2e-3:
        return np.zeros(bones), np.zeros(bones), 0.0, float(found["beta"][1]), "the bones do not differ beyond chance"
    beta, spread, _ = _fit(x, y, code, bones, tau**2, found["beta"])
    if beta[1] <= 0:
        return *nothing, "studies with higher scores are not more often abnormal, so offsets have no meaning"
    return beta[2:] / beta[1], spread / beta[1], tau, float(beta[1]), ""


def _fit(x, y, code, bones: int, variance: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Penalised maximum likelihood by Newton's method: (a, b, u...), standard errors of u, Laplace's log evidence."""
    beta = start.copy()
    value = _penalised(beta, x, y, code, variance)
    for _ in range(50):
        fitted = expit(beta[0] + beta[1] * x + beta[2:][code])
        miss, weight = y - fitted, np.maximum(fitted * (1 - fitted), 1e-12)
        slope = np.r_[miss.sum(), (miss * x).sum(), _per(code, miss, bones) - beta[2:] / variance]
        hessian = _information(x, code, weight, bones, variance)
        step = np.linalg.solve(hessian, slope)
        while (new := _penalised(beta + step, x, y, code, variance)) < value - 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        beta, value = beta + step, new
        if np.abs(step).max() < 1e-8:
            break
    fitted = expit(beta[0] + beta[1] * x + beta[2:][code])
    hessian = _information(x, code, np.maximum(fitted * (1 - fitted), 1e-12), bones, variance)
    evidence = value - bones / 2 * np.log(variance) - np.linalg.slogdet(hessian[2:, 2:])[1] / 2
    return beta, np.sqrt(np.diag(np.linalg.inv(hessian))[2:]), float(evidence)


def _penalised(beta, x, y, code, variance: float) -> float:
    line = beta[0] + beta[1] * x + beta[2:][code]
    return float(log_expit(np.where(y == 1, line, -line)).sum() - (beta[2:] ** 2).sum() / (2 * variance))


def _information(x, code, weight, bones: int, variance: float) -> np.ndarray:
    matrix = np.zeros((bones + 2, bones + 2))
    matrix[0, 0], matrix[0, 1], matrix[1, 1] = weight.sum(), (weight * x).sum(), (weight * x * x).sum()
    matrix[0, 2:], matrix[1, 2:] = _per(code, weight, bones), _per(code, weight * x, bones)
    matrix[2:, 2:] = np.diag(matrix[0, 2:] + 1 / variance)
    return np.triu(matrix) + np.triu(matrix, 1).T


def _per(code, values, bones: int) -> np.ndarray:
    return np.bincount(code, weights=values, minlength=bones)


def _counts(scores, labels, threshold: float) -> dict[str, int]:
    if np.isnan(threshold):
        return dict.fromkeys(("tp", "fp", "tn", "fn"), np.nan)
    return counts_at(counts_table(scores, labels), threshold)


def _folds(patients: pd.Series, seed: int) -> np.ndarray:
    """The fold (one of _FOLDS) of each study; all studies of a patient are in the same fold."""
    codes, names = pd.factorize(patients, sort=True)
    return (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[codes]


def _why_not_own(part: pd.DataFrame, n: int, own: ThresholdChoice) -> str:
    """Why a bone cannot have its own threshold before its gain is computed; '' where it may."""
    abnormal = int(part["label"].sum())
    if len(part) == n:
        return "there is only one bone, so its threshold is the pooled one"
    if abnormal == len(part):
        return "no normal studies, so no gain can be shown"
    if abnormal < FEWEST_ABNORMAL:
        return f"{count_text(abnormal, 'abnormal study')}, {FEWEST_ABNORMAL} are needed for a threshold of its own"
    return "" if own.feasible else own.reason


def _gain(part: pd.DataFrame, folds: np.ndarray, own: list[ThresholdChoice], pooled: list[ThresholdChoice]) -> Estimate:
    """Balanced accuracy of the bone at its own threshold minus that at the pooled one, on the same studies.

    Each fifth of the patients is classified by thresholds chosen on the others, so that neither figure is optimistic.
    """
    if failed := next((found for found in (*pooled, *own) if not found.feasible), None):
        few = f"the rule cannot be met if a fifth of the studies is left out ({failed.reason})"
        return Estimate(np.nan, np.nan, np.nan, len(part), few)
    score = part["score"].to_numpy()
    mine, shared = (np.array([found.threshold for found in choices])[folds] for choices in (own, pooled))
    # +1 where only the bone's own call is abnormal, -1 where only the pooled one is.
    change = (score >= mine).astype(float) - (score >= shared)
    return _clustered(change, part["label"].to_numpy() == 1, part["group_id"].to_numpy())


def _clustered(change: np.ndarray, abnormal: np.ndarray, patients: np.ndarray) -> Estimate:
    """Half the mean change among abnormal studies minus half that among normal ones; normal interval by patient."""
    found, alarms = change[abnormal].mean(), change[~abnormal].mean()
    share = np.where(abnormal, (change - found) / abnormal.sum(), -(change - alarms) / (~abnormal).sum()) / 2
    codes, names = pd.factorize(patients)
    variance = (np.bincount(codes, weights=share) ** 2).sum() * len(names) / max(len(names) - 1, 1)
    value, half = (found - alarms) / 2, normal_quantile() * np.sqrt(variance)
    return Estimate(float(value), float(value - half), float(value + half), len(change))
