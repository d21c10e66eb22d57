"""Two models on the same studies: differences of AUROC and of rates, and the studies that only one model classifies
correctly. Every difference is the first minus the second, A - B."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.intervals import (
    FEWEST,
    Estimate,
    auroc_statistic,
    bootstrap_draws,
    draws_within,
    mcnemar,
    mcnemar_mid,
    paired_difference,
    percentile_interval,
    undefined,
)
from core.metrics.ranking import auroc, auroc_difference
from core.metrics.rates import RATES, Outcomes, flat_row, rates_of
from core.metrics.subgroups import holm
from core.plural import count_text, share_clause
from core.schema import bone_order

CONTRADICTED = 0.01  # with a larger share of labels that differ, the two models have different reference labels
_SHARED_COLUMNS = ("study_id", "patient_id", "group_id", "bone", "split", "label")


@dataclass(frozen=True)
class MatchedStudies:
    """The studies that both models scored and that have one label.

    studies: _SHARED_COLUMNS, score_a, score_b, n_views_a, n_views_b. only_a, only_b: how many studies only one model
    scored. unlabelled: how many have no label for one of them. contradicted: how many have two different labels.
    """

    studies: pd.DataFrame
    only_a: int
    only_b: int
    unlabelled: int
    contradicted: int

    def left_out(self, one: str = "the first model", other: str = "the second model") -> str:
        """The number of studies left out and why, in words; '' where there are none. one, other: the models' names."""
        parts = [
            f"{count:,} {words}"
            for count, words in (
                (self.only_a, f"scored only by {one}"),
                (self.only_b, f"scored only by {other}"),
                (self.unlabelled, "without a known label"),
                (self.contradicted, "with different labels"),
            )
            if count
        ]
        return f"left out: {', '.join(parts)}" if parts else ""


def match_studies(studies_a: pd.DataFrame, studies_b: pd.DataFrame) -> MatchedStudies:
    """Join two STUDIES tables by study_id.

    OverreadError where no study is in both, or where more than 1% of those in both have different labels.
    """
    second = studies_b[["study_id", "label", "score", "n_views"]]
    both = studies_a[[*_SHARED_COLUMNS, "score", "n_views"]].merge(second, on="study_id", suffixes=("_a", "_b"))
    if both.empty:
        first = [str(part["study_id"].iloc[0]) for part in (studies_a, studies_b) if len(part)]
        raise OverreadError(
            f"No study was scored by both models: {len(studies_a):,} and {count_text(len(studies_b), 'study')}, "
            "named for example "
            f"{' and '.join(map(repr, first)) or 'nothing'}. Compare two models on the same studies with the same ids.",
            code="no-shared-studies",
        )
    one, other = both["label_a"].to_numpy(), both["label_b"].to_numpy()
    known = ~np.isnan(one) & ~np.isnan(other)
    differ = known & (one != other)
    if differ.sum() > CONTRADICTED * known.sum():
        name = both["study_id"].to_numpy()[differ][0]
        raise OverreadError(
            f"{share_clause(differ.sum(), known.sum(), 'study', 'have')} different labels for the two models "
            f"(first: {name!r}); "
            f"expected at most {CONTRADICTED:.0%}. Import both with the same label column.",
            code="labels-contradict",
        )
    kept = both[known & ~differ].rename(columns={"label_a": "label"}).drop(columns="label_b").reset_index(drop=True)
    return MatchedStudies(
        kept, len(studies_a) - len(both), len(studies_b) - len(both), int((~known).sum()), int(differ.sum())
    )


def ranking_facts(studies: pd.DataFrame, draws: int = 0, seed: int = 0) -> dict:
    """auroc_a, auroc_b and auroc_difference with their intervals (DeLong, paired), auroc_z, auroc_p, auroc_why.

    With `draws` also auroc_difference_patient_low and auroc_difference_patient_high: the interval by patient, with both
    models on the same resamples.
    """
    a, b, labels = (studies[name].to_numpy(np.float64) for name in ("score_a", "score_b", "label"))
    paired = auroc_difference(a, b, labels)
    facts = flat_row({"auroc_a": auroc(a, labels), "auroc_b": auroc(b, labels)})
    facts |= {"auroc_difference": paired["difference"]}
    facts |= {f"auroc_difference_{end}": paired[end] for end in ("low", "high")}
    facts |= {"auroc_z": paired["z"], "auroc_p": paired["p"], "auroc_why": paired["why"]}
    if not draws:
        return facts
    spread = undefined(len(a), paired["why"])
    if not np.isnan(paired["difference"]) and studies["group_id"].nunique() >= FEWEST:
        one, two = auroc_statistic(a, labels), auroc_statistic(b, labels)
        found = bootstrap_draws(studies["group_id"], lambda weights: one(weights) - two(weights), draws, seed)
        spread = percentile_interval(found)
    return facts | {"auroc_difference_patient_low": spread.low, "auroc_difference_patient_high": spread.high}


def paired_rates() -> list[str]:
    """The rates that are shares of fixed studies, so that both models can be compared study by study (McNemar)."""
    return [name for name, rate in RATES.items() if rate.share_of]


def calling_facts(studies: pd.DataFrame, threshold_a: float, threshold_b: float) -> dict:
    """The studies that each model classifies correctly at its own threshold, as one flat record.

    n, n_abnormal, threshold_a, threshold_b, tp_a ... fn_b; every rate of RATES for both, with intervals, as NAME_a and
    NAME_b. For the rates with `share_of` (sensitivity, specificity, accuracy): NAME_difference with Newcombe's paired
    interval, NAME_only_a and NAME_only_b (studies that only one model classifies correctly), NAME_p (McNemar, exact)
    and NAME_mid_p. For the others: NAME_difference without an interval. fixed: studies that only B classifies
    correctly; broken: only A.
    """
    abnormal = studies["label"].to_numpy() == 1
    calls = [studies[f"score_{side}"].to_numpy() >= at for side, at in (("a", threshold_a), ("b", threshold_b))]
    correct = [call == abnormal for call in calls]
    facts: dict = {"n": len(studies), "n_abnormal": int(abnormal.sum())}
    facts |= {"threshold_a": float(threshold_a), "threshold_b": float(threshold_b)}
    for side, call in zip("ab", calls):
        at = {"tp": call & abnormal, "fp": call & ~abnormal, "tn": ~call & ~abnormal, "fn": ~call & abnormal}
        at = {name: int(cells.sum()) for name, cells in at.items()}
        facts |= {f"{name}_{side}": count for name, count in at.items()}
        facts |= flat_row(rates_of(Outcomes(**at)), f"_{side}")
    among = {"abnormal": abnormal, "normal": ~abnormal, "all": np.ones(len(abnormal), dtype=bool)}
    for name, rate in RATES.items():
        if rate.share_of:
            part, word = among[rate.share_of], "labelled" if rate.share_of == "all" else rate.share_of
            facts |= _paired(name, correct[0][part], correct[1][part], word)
        else:
            facts |= {f"{name}_difference": facts[f"{name}_a"] - facts[f"{name}_b"]}
            facts |= {f"{name}_difference_low": np.nan, f"{name}_difference_high": np.nan}
    return facts | {"fixed": facts["accuracy_only_b"], "broken": facts["accuracy_only_a"]}


def _paired(name: str, right_a: np.ndarray, right_b: np.ndarray, word: str) -> dict:
    both, only_a = int((right_a & right_b).sum()), int((right_a & ~right_b).sum())
    only_b = int((~right_a & right_b).sum())
    neither = len(right_a) - both - only_a - only_b
    found = paired_difference(both, only_a, only_b, neither)
    if not len(right_a):
        found = undefined(0, f"not estimable: no {word} studies")
    elif len(right_a) < FEWEST:
        found = Estimate(
            found.value, np.nan, np.nan, found.n, f"no interval: {len(right_a)} {word}, {FEWEST} are needed"
        )
    p, mid = (mcnemar(only_a, only_b), mcnemar_mid(only_a, only_b)) if len(right_a) else (np.nan, np.nan)
    return flat_row({f"{name}_difference": found}) | {
        f"{name}_both": both, f"{name}_only_a": only_a, f"{name}_only_b": only_b, f"{name}_neither": neither,
        f"{name}_p": p, f"{name}_mid_p": mid, f"{name}_why": found.why,
    }  # fmt: skip


def group_differences(studies: pd.DataFrame, threshold_a: float, threshold_b: float, by: str = "bone") -> pd.DataFrame:
    """`ranking_facts` and `calling_facts` of each group, one row each, MURA's bones first.

    auroc_p and NAME_p of each of `paired_rates` are also adjusted for the number of groups (Holm 1979), as NAME_p_holm.
    OverreadError for an unknown column.
    """
    if by not in studies or by in ("label", "score_a", "score_b", "study_id"):
        raise OverreadError(
            f"The studies cannot be grouped by {by!r}; expected bone, split or another column that both models share.",
            code="group-column-unknown",
        )
    parts = dict(list(studies.groupby(by)))
    rows = [
        {by: name} | calling_facts(parts[name], threshold_a, threshold_b) | ranking_facts(parts[name])
        for name in (bone_order(parts) if by == "bone" else sorted(parts))
    ]
    table = pd.DataFrame(rows)
    for name in ("auroc", *paired_rates()):
        if rows:
            table[f"{name}_p_holm"] = holm(table[f"{name}_p"].to_numpy(np.float64))
    return table


def discordant_table(studies: pd.DataFrame, threshold_a: float, threshold_b: float) -> pd.DataFrame:
    """The studies that only one model classifies correctly: study_id, patient_id, bone, split, label, score_a, score_b,
    and `change` from A to B: 'fixed' (only B is correct) or 'broken' (only A). Sorted by bone and change, the largest
    difference of scores first."""
    abnormal = studies["label"].to_numpy() == 1
    right_a = (studies["score_a"].to_numpy() >= threshold_a) == abnormal
    right_b = (studies["score_b"].to_numpy() >= threshold_b) == abnormal
    rows = studies.loc[right_a != right_b, ["study_id", "patient_id", "bone", "split", "label", "score_a", "score_b"]]
    rows = rows.assign(change=np.where(right_b[right_a != right_b], "fixed", "broken"))
    apart = (rows["score_a"] - rows["score_b"]).abs()
    place = rows["bone"].map({bone: place for place, bone in enumerate(bone_order(rows["bone"]))})
    order = rows.assign(place=place, apart=-apart).sort_values(["place", "change", "apart", "study_id"])
    return order.drop(columns=["place", "apart"]).reset_index(drop=True)


def equally_sensitive_threshold(studies: pd.DataFrame, threshold_a: float) -> float:
    """The highest threshold at which B finds at least as many abnormal studies as A does at `threshold_a`.

    studies: those of `match`. Infinity where A finds none: B finds as many at any threshold above its highest score.
    """
    abnormal = studies[studies["label"] == 1]
    wanted = int((abnormal["score_a"] >= threshold_a).sum())
    return float(np.sort(abnormal["score_b"])[-wanted]) if wanted else np.inf


def compare(
    matched: MatchedStudies, threshold_a: float, threshold_b: float, by: str | None = None, draws: int | None = None
) -> dict:
    """`calling_facts`, `ranking_facts` and the numbers of studies left out, as one flat record; `groups` with `by`."""
    studies = matched.studies
    draws = draws_within(len(studies)) if draws is None else draws
    numbers = {key: value for key, value in asdict(matched).items() if key != "studies"}
    facts = {"level": "study", **numbers, "left_out": matched.left_out()}
    facts |= calling_facts(studies, threshold_a, threshold_b) | ranking_facts(studies, draws)
    facts |= {"patients": int(studies["group_id"].nunique()), "bootstrap_draws": draws}
    if by is None:
        return facts
    return facts | {"by": by, "groups": group_differences(studies, threshold_a, threshold_b, by).to_dict("records")}


def sentences(facts: dict, a: str, b: str) -> list[str]:
    """The comparison in plain sentences, for readers who know neither DeLong nor McNemar. a, b: names of the models."""
    return [" ".join(filter(None, (counts, answer))) for answer, counts in answers_with_counts(facts, a, b)]


def answers_with_counts(facts: dict, a: str, b: str) -> list[tuple[str, str]]:
    """The answers of `sentences` on ranking, sensitivity and specificity, each with the counts that it follows from."""
    lines = [(_ranking_sentence(facts, a, b), "")]
    for name, kind, verb in (("sensitivity", "abnormal", "finds"), ("specificity", "normal", "clears")):
        n = facts["n_abnormal"] if kind == "abnormal" else facts["n"] - facts["n_abnormal"]
        if not n:
            lines.append((f"There are no {kind} studies, so the {name} cannot be estimated.", ""))
            continue
        only_a, only_b = facts[f"{name}_only_a"], facts[f"{name}_only_b"]
        found = [facts[f"tp_{side}"] if kind == "abnormal" else facts[f"tn_{side}"] for side in "ab"]
        counts = (
            f"Of {count_text(n, f'{kind} study')} {a} {verb} {found[0]:,} and {b} {found[1]:,}: "
            f"{only_a:,} only by {a}, {only_b:,} only by {b}."
        )
        lines.append((_rate_sentence(facts, name, a, b), counts))
    return lines


def _ranking_sentence(facts: dict, a: str, b: str) -> str:
    if np.isnan(facts["auroc_difference"]):
        return f"The difference of their AUROCs is {facts['auroc_why']}."
    areas = f"AUROC {facts['auroc_a']:.3f} for {a} and {facts['auroc_b']:.3f} for {b}"
    low, high = facts["auroc_difference_low"], facts["auroc_difference_high"]
    if np.isnan(low):
        return f"{areas}; {facts['auroc_why'] or 'no interval'}."
    spread = f"difference {facts['auroc_difference']:+.3f} ({low:+.3f} to {high:+.3f}), {p_words(facts['auroc_p'])}"
    if low <= 0 <= high:
        return f"{areas}: {spread}. These studies do not show that either ranks better."
    return f"{areas}: {spread}. {a if low > 0 else b} ranks better."


def _rate_sentence(facts: dict, name: str, a: str, b: str) -> str:
    only_a, only_b = facts[f"{name}_only_a"], facts[f"{name}_only_b"]
    if only_a + only_b == 0:
        return "Both classify the same studies correctly."
    if only_a == only_b:
        return f"Their {name} is the same."
    value, *ends = (100 * facts[f"{name}_difference{end}"] for end in ("", "_low", "_high"))
    # The sentence names the better model, so that the difference is above 0.
    low, high = ends if value > 0 else (-ends[1], -ends[0])
    spread = "" if np.isnan(low) else f" ({low:.1f} to {high:.1f})"
    p = facts[f"{name}_p"]
    chance = "more than chance explains" if p < 0.05 else "which chance alone could explain"
    difference = f"The {name} of {a if value > 0 else b} is {abs(value):.1f} points higher{spread}"
    return f"{difference}, {chance} ({p_words(p)})."


def p_text(p: float) -> str:
    """`0.032`, `1`, or `under 0.001`; '-' for NaN."""
    return "-" if np.isnan(p) else "under 0.001" if p < 0.001 else f"{p:.2g}"


def p_words(p: float) -> str:
    """`p = 0.032`, or `p under 0.001`."""
    return f"p {p_text(p)}" if p < 0.001 else f"p = {p_text(p)}"
