"""The table of rates: every figure that follows from the four counts at a threshold.

Adding a rate is one entry in RATES. `evaluate`, `threshold`, `verify` and `compare` print it and write it to JSON, the
pages show it, and `docs/make_rates_table.py` writes it into docs/metrics.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from core.metrics import confusion
from core.metrics.counts import counts_at
from core.metrics.decision import predictive_values
from core.metrics.intervals import Estimate

# A percentage with one decimal, three decimals, or one decimal. Adding 0 after rounding turns -0.0 into 0.0.
FORMATS: dict[str, Callable[[float], str]] = {
    "percent": lambda value: f"{round(100 * value, 1) + 0.0:.1f}%",
    "ratio": lambda value: f"{round(value, 3) + 0.0:.3f}",
    "number": lambda value: f"{round(value, 1) + 0.0:.1f}",
}


@dataclass(frozen=True)
class Outcomes:
    """The four counts at a threshold, the prevalence to assume (None: that of the data), and the interval of a share
    ('wilson' or 'clopper_pearson')."""

    tp: int
    fp: int
    tn: int
    fn: int
    prevalence: float | None = None
    method: str = "wilson"

    @property
    def cells(self) -> dict[str, int]:
        """The four numbers by their usual names: tp, fp, tn, fn."""
        return {"tp": self.tp, "fp": self.fp, "tn": self.tn, "fn": self.fn}

    @cached_property
    def predictive(self) -> dict[str, Estimate]:
        """PPV, NPV, alerts and number needed to review, computed once for the rates that need them."""
        return predictive_values(**self.cells, prevalence=self.prevalence)


@dataclass(frozen=True)
class Rate:
    """One rate. name: its key in JSON. title and short: its name on screen and in narrow tables.

    estimate: from counts to value, interval, n and the reason where it is undefined. formula, interval, undefined,
    source: for the documentation. format: a key of FORMATS. better: 'higher', 'lower' or '' (neither). share_of:
    'abnormal', 'normal' or 'all' where the rate is the share of those studies that are classified correctly, so that
    two models can be compared on the same studies (McNemar); else ''. headline: whether one-line summaries show it.
    """

    name: str
    title: str
    estimate: Callable[[Outcomes], Estimate]
    formula: str
    interval: str
    undefined: str
    help: str
    source: str = ""
    short: str = ""
    format: str = "percent"
    better: str = "higher"
    share_of: str = ""
    headline: bool = False

    @property
    def heading(self) -> str:
        """The name for narrow tables."""
        return self.short or self.title


RATES: dict[str, Rate] = {
    rate.name: rate
    for rate in (
        Rate(
            "sensitivity", "Sensitivity",
            lambda of: confusion.sensitivity(of.tp, of.fn, of.method),
            formula="TP / (TP + FN)",
            interval="Wilson, or Clopper-Pearson with `--bound clopper-pearson`",
            undefined="no abnormal studies",
            help="The share of abnormal studies that are called abnormal.",
            source="Yerushalmy 1947; Wilson 1927; Clopper, Pearson 1934",
            share_of="abnormal", headline=True,
        ),
        Rate(
            "specificity", "Specificity",
            lambda of: confusion.specificity(of.tn, of.fp, of.method),
            formula="TN / (TN + FP)",
            interval="as sensitivity",
            undefined="no normal studies",
            help="The share of normal studies that are called normal.",
            source="Yerushalmy 1947",
            share_of="normal", headline=True,
        ),
        Rate(
            "ppv", "Positive predictive value",
            lambda of: of.predictive["ppv"],
            formula="TP / (TP + FP); at a stated prevalence pi: Se pi / (Se pi + (1 - Sp)(1 - pi))",
            interval="Wilson; at a stated prevalence: prior odds x the interval of LR+, "
            "with half a study added where a count is 0",
            undefined="no study is called abnormal; at a stated prevalence also one class only",
            help="The share of alerts that are right. It depends on the prevalence.",
            source="Mercaldo 2007", short="PPV",
        ),
        Rate(
            "npv", "Negative predictive value",
            lambda of: of.predictive["npv"],
            formula="TN / (TN + FN); at a stated prevalence pi: Sp (1 - pi) / (Sp (1 - pi) + (1 - Se) pi)",
            interval="Wilson; at a stated prevalence: as PPV, by LR-",
            undefined="no study is called normal; at a stated prevalence also one class only",
            help="The share of studies called normal that are normal. It depends on the prevalence.",
            source="Mercaldo 2007", short="NPV",
        ),
        Rate(
            "accuracy", "Accuracy",
            lambda of: confusion.accuracy(**of.cells, method=of.method),
            formula="(TP + TN) / n",
            interval="as sensitivity",
            undefined="no labelled studies",
            help="The share of all studies that are classified correctly. It depends on the prevalence.",
            share_of="all",
        ),
        Rate(
            "balanced_accuracy", "Balanced accuracy",
            lambda of: confusion.balanced_accuracy(**of.cells),
            formula="(Se + Sp) / 2",
            interval="from the Wilson intervals of both",
            undefined="one class only",
            help="The mean of sensitivity and specificity.",
            source="Zou, Donner 2008",
        ),
        Rate(
            "f1", "F1",
            lambda of: confusion.f1(**of.cells),
            formula="2 TP / (2 TP + FP + FN)",
            interval="that of J = TP / (TP + FP + FN), as F1 = 2J / (1 + J)",
            undefined="no study is abnormal or called abnormal",
            help="The harmonic mean of sensitivity and positive predictive value (van Rijsbergen 1979).",
            source="van Rijsbergen 1979", format="ratio",
        ),
        Rate(
            "kappa", "Cohen's kappa",
            lambda of: confusion.kappa(**of.cells),
            formula="(observed - chance agreement) / (1 - chance agreement)",
            interval="asymptotic standard error; none where it is 0",
            undefined="one class only",
            help="Agreement of calls and labels beyond chance (Cohen 1960): 0 is chance, 1 is perfect.",
            source="Cohen 1960; Fleiss, Cohen, Everitt 1969", short="Kappa", format="ratio",
        ),
        Rate(
            "mcc", "Matthews correlation",
            lambda of: confusion.mcc(**of.cells),
            formula="correlation of label and call",
            interval="delta method, multinomial",
            undefined="one class only; the same call for every study (scikit-learn: 0)",
            help="The correlation of calls and labels (Matthews 1975): 0 is chance, 1 is perfect.",
            source="Matthews 1975", short="MCC", format="ratio",
        ),
        Rate(
            "likelihood_ratio_positive", "Likelihood ratio of an alert",
            lambda of: confusion.likelihood_ratio_positive(**of.cells),
            formula="Se / (1 - Sp)",
            interval="on the logarithm",
            undefined="one class only; no false positive",
            help="An alert multiplies the odds of an abnormality by this number (Simel 1991).",
            source="Simel 1991", short="LR+", format="number",
        ),
        Rate(
            "likelihood_ratio_negative", "Likelihood ratio of no alert",
            lambda of: confusion.likelihood_ratio_negative(**of.cells),
            formula="(1 - Se) / Sp",
            interval="on the logarithm",
            undefined="one class only; no true negative",
            help="A call of normal multiplies the odds of an abnormality by this number (Simel 1991).",
            source="Simel 1991", short="LR-", format="ratio", better="lower",
        ),
        Rate(
            "alerts_per_100", "Alerts per 100 studies",
            lambda of: of.predictive["alerts_per_100"],
            formula="100 (TP + FP) / n; at a stated prevalence pi: 100 (Se pi + (1 - Sp)(1 - pi))",
            interval="Wilson; at a stated prevalence: from the intervals of Se and Sp",
            undefined="no labelled studies; at a stated prevalence also one class only",
            help="How many of 100 studies are called abnormal. It depends on the prevalence.",
            source="Zou, Donner 2008", short="Alerts per 100", format="number", better="",
        ),
        Rate(
            "number_needed_to_review", "Reviews per find",
            lambda of: of.predictive["number_needed_to_review"],
            formula="1 / PPV",
            interval="1 / the interval of PPV",
            undefined="PPV is 0 or undefined",
            help="How many alerts are reviewed for each abnormality found. It depends on the prevalence.",
            format="number", better="lower",
        ),
    )
}  # fmt: skip


def headline_rates() -> list[Rate]:
    """The rates that one-line summaries show."""
    return [rate for rate in RATES.values() if rate.headline]


def further_rates() -> list[Rate]:
    """The rates that only full tables show."""
    return [rate for rate in RATES.values() if not rate.headline]


def rates_of(outcomes: Outcomes) -> dict[str, Estimate]:
    """Every rate of RATES, by name."""
    return {name: rate.estimate(outcomes) for name, rate in RATES.items()}


def rates_at(
    counts: pd.DataFrame, threshold: float, prevalence: float | None = None, method: str = "wilson"
) -> dict[str, Estimate]:
    """Every rate at a threshold of COUNTS. A stated prevalence changes the predictive values and what follows from
    them; the other rates are those of the data."""
    return rates_of(Outcomes(**counts_at(counts, threshold), prevalence=prevalence, method=method))


def flat_row(figures: dict[str, Estimate], suffix: str = "") -> dict[str, float]:
    """NAME, NAME_low and NAME_high of each estimate, as JSON keys; `suffix` goes after NAME."""
    row: dict[str, float] = {}
    for name, figure in figures.items():
        key = f"{name}{suffix}"
        row |= {key: figure.value, f"{key}_low": figure.low, f"{key}_high": figure.high}
    return row


def reasons(figures: dict[str, Estimate]) -> str:
    """Why figures have no value or no interval, in one line; '' where all have both."""
    return "; ".join(f"{name}: {figure.why}" for name, figure in figures.items() if figure.why)


def interval_text(row: dict, key: str, format: str) -> str:
    """`92.1% (88.6-94.6)` from a flat row; `not estimable` where the value is missing or NaN."""
    value, low, high = (row.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None or value != value:
        return "not estimable"
    show = FORMATS[format]
    if low is None or high is None or low != low or high != high:
        return show(value)
    return f"{show(value)} ({show(low).removesuffix('%')}-{show(high).removesuffix('%')})"


def rates_text(row: dict, rates: list[Rate], suffix: str = "") -> str:
    """`Sensitivity 92.1% (88.6-94.6), Specificity ...` of the rates that a flat row has."""
    known = [rate for rate in rates if f"{rate.name}{suffix}" in row]
    return ", ".join(f"{rate.heading} {interval_text(row, f'{rate.name}{suffix}', rate.format)}" for rate in known)


def rates_markdown() -> str:
    """RATES as the table of docs/metrics.md."""
    heads = ("rate", "key", "definition", "interval", "undefined", "better", "source")
    rows = [
        (rate.title, f"`{rate.name}`", rate.formula, rate.interval, rate.undefined, rate.better or "-", rate.source)
        for rate in RATES.values()
    ]
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines) + "\n"
