"""From radiographs to studies. The label belongs to the study, so every figure counts studies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit

from core.errors import OverreadError
from core.ordered import codes_of

AGGREGATIONS: dict[str, Callable] = {}
COLUMNS = ("study_id", "patient_id", "group_id", "bone", "split", "label", "score", "n_views")


@dataclass(frozen=True)
class Views:
    """Radiographs sorted by study, then by score.

    logit, probability: [N]. starts, sizes: the first row and the number of rows of each study, [S]. attention: [N],
    before the softmax over the study, for networks that weight the views of a study.
    """

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
        """The row of the highest score of each study."""
        return self.starts + self.sizes - 1


def register(name: str) -> Callable:
    """Register a function from Views to study scores ([S], in 0..1) under a name."""

    def add(function: Callable) -> Callable:
        AGGREGATIONS[name] = function
        return function

    return add


@register("mean")
def mean(views: Views) -> np.ndarray:
    """Mean probability, the rule of the MURA paper (Rajpurkar 2018)."""
    return views.total(views.probability) / views.sizes


@register("max")
def highest(views: Views) -> np.ndarray:
    """The most suspicious view. Scores grow with the number of views."""
    return views.probability[views.last]


@register("top2")
def top2(views: Views) -> np.ndarray:
    """Mean of the two most suspicious views, or the only view."""
    second = np.maximum(views.last - 1, views.starts)
    return (views.probability[views.last] + views.probability[second]) / 2


@register("noisy_or")
def noisy_or(views: Views) -> np.ndarray:
    """1 - product of (1 - p), as if views were independent. Scores grow with the number of views."""
    # log(1 - p) from the logit keeps the digits of p close to 1.
    return -np.expm1(views.total(log_expit(-views.logit)))


@register("logit_mean")
def logit_mean(views: Views) -> np.ndarray:
    """Probability of the mean logit, which is the geometric mean of the odds."""
    return expit(views.total(views.logit) / views.sizes)


@register("lse")
def lse(views: Views, r: float = 5.0) -> np.ndarray:
    """log(mean of exp(r p)) / r: between the mean (r -> 0) and the maximum (r -> infinity)."""
    return np.log(views.total(np.exp(r * views.probability)) / views.sizes) / r


@register("attention")
def attention(views: Views) -> np.ndarray:
    """Probability of the mean logit, weighted by the attention of a network trained on studies (Ilse 2018)."""
    weight = _softmax(views.attention, views.starts, views.sizes)
    return expit(views.total(weight * views.logit))


def own_aggregation(predictions: pd.DataFrame) -> str:
    """The default aggregation of these scores: 'attention' where they have attention, the pooling through which the
    network learned where the scores name one, else 'mean'."""
    if "attention" in predictions:
        return "attention"
    return str(predictions["pooling"].iloc[0]) if "pooling" in predictions and len(predictions) else "mean"


def aggregations_of(predictions: pd.DataFrame) -> list[str]:
    """The aggregations that apply to these scores, the default first."""
    own = own_aggregation(predictions)
    return [own, *(name for name in AGGREGATIONS if name not in (own, "attention"))]


def attention_weights(predictions: pd.DataFrame) -> np.ndarray:
    """The weight of each radiograph in its study, float64 [n]; the weights of a study add up to 1. Needs attention."""
    codes = codes_of(predictions["study_id"])
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    weight = np.empty(len(codes))
    weight[order] = _softmax(predictions["attention"].to_numpy(float)[order], np.cumsum(sizes) - sizes, sizes)
    return weight


def _softmax(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Softmax within each study; the values of a study are consecutive."""
    raised = np.exp(values - np.repeat(np.maximum.reduceat(values, starts), sizes))
    return raised / np.repeat(np.add.reduceat(raised, starts), sizes)


def study_table(predictions: pd.DataFrame, aggregation: str = "") -> pd.DataFrame:
    """STUDIES from PREDICTIONS, in the order in which the studies first appear.

    aggregation: a name of AGGREGATIONS, by default `own_aggregation`. The label is NaN where no radiograph of a study
    has a known label, or where the known labels disagree. OverreadError for an unknown aggregation, for scores without
    attention, and for scores of several checkpoints or data sets.
    """
    aggregation = aggregation or own_aggregation(predictions)
    if aggregation == "attention" and "attention" not in predictions:
        raise OverreadError(
            "These scores have no attention; only a network trained as attention:NAME gives it. Choose another "
            f"aggregation: {', '.join(name for name in AGGREGATIONS if name != 'attention')}.",
            code="attention-missing",
        )
    if aggregation not in AGGREGATIONS:
        raise OverreadError(
            f"The aggregation is {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}.",
            code="aggregation-unknown",
        )
    for name in ("checkpoint", "dataset"):
        if name in predictions and predictions[name].nunique() > 1:
            found = ", ".join(map(str, predictions[name].unique()[:3]))
            raise OverreadError(
                f"The predictions are of more than one {name} ({found}); expected one. Choose one first.",
                code="predictions-mixed",
            )
    if not len(predictions):
        return _empty()
    codes = codes_of(predictions["study_id"])
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    # Codes are numbered in order of first appearance, so a new maximum marks a new study.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    # NumPy sorts 16-bit integers by counting, which is faster; that many studies fit into 16 bits.
    order = np.argsort(codes.astype(np.uint16) if len(sizes) <= 2**16 else codes, kind="stable")
    weights = None
    if aggregation == "attention":
        # Sorting rows, not columns, keeps logit and attention of a radiograph together.
        order = np.lexsort((predictions["attention"], predictions["logit"], codes))
        weights = predictions["attention"].to_numpy(np.float64)[order]
    logit = _sorted_within(predictions["logit"].to_numpy(np.float64)[order], codes[order], starts, sizes)
    # Imported probabilities are used unchanged: converted to logits and back, 0.45 would no longer be >= 0.45.
    if "probability" in predictions:
        imported = predictions["probability"].to_numpy(np.float64)[order]
        probability = _sorted_within(imported, codes[order], starts, sizes)
    else:
        probability = expit(logit)
    views = Views(logit, probability, starts, sizes, weights)
    table = predictions[["study_id", "patient_id", "group_id", "bone", "split"]]
    table = (table if len(first) == len(table) else table.iloc[first]).reset_index(drop=True)
    table["label"] = _labels(predictions["label"].to_numpy(dtype=np.float64)[order], views.starts)
    table["score"] = AGGREGATIONS[aggregation](views)
    table["n_views"] = sizes
    return table


def score_of_views(logits: np.ndarray, attention: np.ndarray | None = None, aggregation: str = "") -> float:
    """The score of one study from its radiographs, [n] each, as `study_table` computes it, without a table."""
    order = np.lexsort((logits,) if attention is None else (attention, logits))
    ordered = np.asarray(logits, np.float64)[order]
    weights = None if attention is None else np.asarray(attention, np.float64)[order]
    views = Views(ordered, expit(ordered), np.zeros(1, np.int64), np.array([len(ordered)]), weights)
    return float(AGGREGATIONS[aggregation or ("mean" if attention is None else "attention")](views)[0])


def image_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns of STUDIES with one row per radiograph: its own score and `image_label`; study_id is the image's id.

    Without `image_label` the study's label is used where every study has one radiograph, else OverreadError.
    """
    if "image_label" not in predictions and predictions["study_id"].duplicated().any():
        raise OverreadError(
            "These radiographs have no labels of their own, only their studies have. Index or import them with "
            "--label-level image, or with a column image_label.",
            code="image-labels-missing",
        )
    own = predictions["probability"] if "probability" in predictions else expit(predictions["logit"].astype(float))
    table = predictions.assign(
        study_id=predictions["image_id"],
        label=predictions["image_label" if "image_label" in predictions else "label"].astype("float64"),
        score=own.astype("float64"),
        n_views=1,
    )
    return table[list(COLUMNS)].reset_index(drop=True)


def _sorted_within(values: np.ndarray, codes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values sorted within each study, so that sums do not depend on the order of the rows. codes: ascending."""
    most = int(sizes.max())
    if most == 1:
        return values
    if most * len(sizes) > 4 * len(values) + 1000:
        return values[np.lexsort((values, codes))]
    # One row per study, padded at the end: many short sorts are faster than one long sort.
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
