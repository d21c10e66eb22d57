"""From radiographs to studies: the label belongs to the study, so every figure is counted there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit

from core.errors import OverreadError

AGGREGATIONS: dict[str, Callable] = {}
COLUMNS = ("study_id", "patient_id", "group_id", "bone", "split", "label", "score", "n_views")


@dataclass(frozen=True)
class Views:
    """Radiographs sorted by study, then by score: logit and probability [N], where each study starts, its size [S];
    attention [N] where a network told it, before the softmax over the study."""

    logit: np.ndarray
    probability: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    attention: np.ndarray | None = None

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over each study."""
        return np.add.reduceat(values, self.starts)

    @property
    def last(self) -> np.ndarray:
        """The place of each study's highest score."""
        return self.starts + self.sizes - 1


def register(name: str) -> Callable:
    """Registers Views -> study score [S], in 0..1, under a name."""

    def keep(function: Callable) -> Callable:
        AGGREGATIONS[name] = function
        return function

    return keep


@register("mean")
def mean(views: Views) -> np.ndarray:
    """Mean probability: the MURA paper's own rule."""
    return views.total(views.probability) / views.sizes


@register("max")
def highest(views: Views) -> np.ndarray:
    """The most suspicious view; grows with the number of views."""
    return views.probability[views.last]


@register("top2")
def top2(views: Views) -> np.ndarray:
    """Mean of the two most suspicious views, or the one there is."""
    second = np.maximum(views.last - 1, views.starts)
    return (views.probability[views.last] + views.probability[second]) / 2


@register("noisy_or")
def noisy_or(views: Views) -> np.ndarray:
    """1 - product of (1 - p): any view may show it, each on its own; grows with the number of views."""
    # log(1 - p) from the logit, so that p close to 1 keeps its digits.
    return -np.expm1(views.total(log_expit(-views.logit)))


@register("logit_mean")
def logit_mean(views: Views) -> np.ndarray:
    """Probability of the mean logit: a geometric mean of the odds."""
    return expit(views.total(views.logit) / views.sizes)


@register("lse")
def lse(views: Views, r: float = 5.0) -> np.ndarray:
    """Log of the mean of exp(r p), over r: between the mean (r -> 0) and the maximum (r -> infinity)."""
    return np.log(views.total(np.exp(r * views.probability)) / views.sizes) / r


@register("attention")
def attention(views: Views) -> np.ndarray:
    """Probability of the mean logit, each view weighed as a network trained on studies weighs it (Ilse 2018)."""
    weight = _softmax(views.attention, views.starts, views.sizes)
    return expit(views.total(weight * views.logit))


def own_aggregation(predictions: pd.DataFrame) -> str:
    """How scores mean to be read: 'attention' where the network weighed the views of a study, else 'mean'."""
    return "attention" if "attention" in predictions else "mean"


def aggregations_of(predictions: pd.DataFrame) -> list[str]:
    """The aggregations that these scores can be read by, their own first."""
    own = own_aggregation(predictions)
    return [own, *(name for name in AGGREGATIONS if name not in (own, "attention"))]


def attention_weights(predictions: pd.DataFrame) -> np.ndarray:
    """The share of each radiograph in its study's score, float64 [n], 1 a study. Of scores that carry attention."""
    codes, _ = pd.factorize(predictions["study_id"])
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    weight = np.empty(len(codes))
    weight[order] = _softmax(predictions["attention"].to_numpy(float)[order], np.cumsum(sizes) - sizes, sizes)
    return weight


def _softmax(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Of each study's values, which stand together."""
    raised = np.exp(values - np.repeat(np.maximum.reduceat(values, starts), sizes))
    return raised / np.repeat(np.add.reduceat(raised, starts), sizes)


def study_table(predictions: pd.DataFrame, aggregation: str = "") -> pd.DataFrame:
    """STUDIES from PREDICTIONS, in the order in which the studies first appear.

    aggregation: by default the scores' own. The label is NaN where the known labels of a study's radiographs disagree,
    or none is known.
    """
    aggregation = aggregation or own_aggregation(predictions)
    if aggregation == "attention" and "attention" not in predictions:
        raise OverreadError(
            "These scores carry no attention; expected those of a network trained as attention:NAME. Choose another "
            f"aggregation: {', '.join(name for name in AGGREGATIONS if name != 'attention')}."
        )
    if aggregation not in AGGREGATIONS:
        raise OverreadError(f"Aggregation {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}.")
    for name in ("checkpoint", "dataset"):
        if name in predictions and predictions[name].nunique() > 1:
            found = ", ".join(map(str, predictions[name].unique()[:3]))
            raise OverreadError(f"Predictions of more than one {name} ({found}); expected one. Choose one first.")
    if not len(predictions):
        return _empty()
    codes, _ = pd.factorize(predictions["study_id"])
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    # Codes count up in order of first appearance, so a new maximum is a new study.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    # Sorted by counting (NumPy's stable sort of 16 bits) where there are few enough studies, and in one pass where the
    # radiographs of a study stand together.
    order = np.argsort(codes.astype(np.uint16) if len(sizes) <= 2**16 else codes, kind="stable")
    told = None
    if aggregation == "attention":
        # Logit and attention of a radiograph stay together.
        order = np.lexsort((predictions["attention"], predictions["logit"], codes))
        told = predictions["attention"].to_numpy(np.float64)[order]
    logit = _sorted_within(predictions["logit"].to_numpy(np.float64)[order], codes[order], starts, sizes)
    # Imported probabilities are kept as they came: through the logit and back, .45 would no longer be >= .45.
    if "probability" in predictions:
        given = predictions["probability"].to_numpy(np.float64)[order]
        probability = _sorted_within(given, codes[order], starts, sizes)
    else:
        probability = expit(logit)
    views = Views(logit, probability, starts, sizes, told)
    table = predictions[["study_id", "patient_id", "group_id", "bone", "split"]]
    table = (table if len(first) == len(table) else table.iloc[first]).reset_index(drop=True)
    table["label"] = _labels(predictions["label"].to_numpy(dtype=np.float64)[order], views.starts)
    table["score"] = AGGREGATIONS[aggregation](views)
    table["n_views"] = sizes
    return table


def _sorted_within(values: np.ndarray, codes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values sorted inside each study, so that sums do not depend on the order of the rows. codes: ascending."""
    most = int(sizes.max())
    if most == 1:
        return values
    if most * len(sizes) > 4 * len(values) + 1000:
        return values[np.lexsort((values, codes))]
    # Studies as the rows of a table, padded at the end: many short sorts cost less than a long one.
    table = np.full((len(sizes), most), np.inf)
    table[codes, np.arange(len(values)) - starts[codes]] = values
    table.sort(axis=1)
    return table[np.arange(most) < sizes[:, None]]


def _labels(labels: np.ndarray, starts: np.ndarray) -> np.ndarray:
    lowest, highest = np.fmin.reduceat(labels, starts), np.fmax.reduceat(labels, starts)
    return np.where(lowest == highest, lowest, np.nan)


def _empty() -> pd.DataFrame:
    kinds = {"label": "float64", "score": "float64", "n_views": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "str")) for name in COLUMNS})


def labelled(studies: pd.DataFrame) -> pd.DataFrame:
    """The studies whose label is known."""
    return studies[studies["label"].notna()].reset_index(drop=True)
