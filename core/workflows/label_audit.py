"""Rank labels that may be wrong, by scores of networks that were not trained on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.among import among
from core.data.index import Dataset, read_index
from core.data.joins import JoinReport
from core.data.notes import Note
from core.data.radiograph_weights import write_weights
from core.errors import OverreadError
from core.plural import count_text
from core.review.label_issues import (
    frame_from_features,
    frame_from_margins,
    noise_rates,
    out_of_fold_frame,
    rank_suspects,
    read_out_of_fold,
)
from core.scores.loading import stored_scores
from core.scores.source import Source
from core.scores.stored_scores import read_predictions

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class RankedLabels:
    """Studies with the most suspicious label first. basis: the scores behind the order, in words.

    table: as `rank_suspects` returns it. wrong: the estimated rates of wrong labels, by kind of error. warning: why
    these scores may hide wrong labels; '' if nothing speaks against them. joins: what joining a table of scores did.
    """

    table: pd.DataFrame
    basis: str
    wrong: dict[str, float]
    warning: str = ""
    joins: tuple[JoinReport, ...] = ()
    notes: tuple[Note, ...] = ()


def rank_labels(
    source: Source,
    order: str = "noise_rate",
    scores: Path | None = None,
    by_features: bool = False,
    progress: Progress | None = None,
    allow_unmatched: bool = False,
    predictions: Path | None = None,
) -> RankedLabels:
    """Rank by a table of out-of-fold scores, by logged margins (order 'aum'), by features, or by stored scores.

    source: a checkpoint or imported scores, on the data set whose labels are ranked. predictions: a file whose scores
    are used instead of those of the source, which may then have no model. allow_unmatched: leave out rows of the table
    that are no studies of the data set. OverreadError where these scores are missing.
    """
    warning = ""
    joins: list[JoinReport] = []
    notes: list[Note] = []
    if scores:
        frame, report, notes = read_out_of_fold(scores, source.indexed, allow_unmatched)
        joins, basis = [report], str(scores)
    elif order == "aum":
        frame, basis = _frame_by_margins(source), f"the margins that the training of {source.name} logged"
    elif by_features:
        frame, warning = _frame_by_features(source, progress)
        basis = f"logistic regression on the features of {source.name}"
    else:
        frame = out_of_fold_frame(stored_scores(predictions or source))
        basis = f"{predictions or source.name}, on studies it was not trained on"
    wrong = noise_rates(frame["score"].to_numpy(), frame["label"].to_numpy())
    return RankedLabels(rank_suspects(frame, order), basis, wrong, warning, tuple(joins), tuple(notes))


@dataclass(frozen=True)
class WeightOrder:
    """Weights to store of a ranked list. first: the first so many get `weight`; 0: each suspect gets the score of its
    given label, which is the network's probability that the label is right."""

    name: str
    first: int = 0
    weight: float = 0.0


@dataclass(frozen=True)
class KeptWeights:
    """reference: of the stored weights, NAME@HASH. radiographs: those with a weight other than 1; left_out: those with
    weight 0 among them."""

    reference: str
    radiographs: int
    left_out: int

    @property
    def words(self) -> str:
        """What was stored and how a training takes it, in two sentences."""
        return (
            f"stored the weights of {count_text(self.radiographs, 'radiograph')} as {self.reference}, "
            f"{self.left_out:,} of them 0; train with --set radiograph_weights={self.reference}"
        )


def keep_weights(ranked: pd.DataFrame, dataset: Dataset, order: WeightOrder) -> KeptWeights:
    """Store weights of doubtful radiographs for the setting `radiograph_weights` of a training.

    ranked: from `rank_suspects`, where a study's radiographs get its weight, or from `rank_radiographs`. Rows of other
    splits than train are left out, since nothing learns from them. OverreadError where nothing is suspected.
    """
    by_study = "image_id" not in ranked
    index = read_index(dataset.name)
    train = index[index["split"] == "train"]
    ranked = ranked[among(ranked["study_id"], train["study_id"])]
    if order.first:
        chosen = ranked.head(order.first).assign(weight=order.weight)
    elif by_study:
        chosen = ranked[ranked["suspect"]].rename(columns={"self_confidence": "weight"})
    else:
        chosen = ranked[~ranked["drives"]].rename(columns={"score": "weight"})
    if chosen.empty:
        listed = count_text(len(ranked), "study" if by_study else "radiograph")
        raise OverreadError(
            f"None of {listed} of train is a suspect, so there are no weights to store. Score train by a network that "
            "was trained fold by fold (--folds), or give the number of studies to weigh (--first).",
            code="suspects-none",
        )
    if by_study:
        chosen = train[["image_id", "study_id"]].merge(chosen[["study_id", "weight"]], on="study_id")
    reference = write_weights(dataset.name, order.name, chosen)
    weights = chosen["weight"].to_numpy(float)
    return KeptWeights(reference, int((weights != 1).sum()), int((weights == 0).sum()))


def _frame_by_margins(source: Source) -> pd.DataFrame:
    from core.training.margins import read_margins

    margins, scores = read_margins(source.checkpoint), read_predictions(source)
    return frame_from_margins(source, margins, None if scores is None else out_of_fold_frame(scores))


def _frame_by_features(source: Source, progress: Progress | None) -> tuple[pd.DataFrame, str]:
    from core.scores.embeddings import compute_embeddings, read_embeddings

    found = read_embeddings(source)
    if found is None:
        found = compute_embeddings(source, progress)
    warning = ""
    if source.checkpoint.learned().index.isin(read_index(source.data)["sha1"]).any():
        warning = (
            f"{source.name} was trained on these labels and may have memorised the wrong ones; a network "
            "trained on other data, or with --folds, is a better judge."
        )
    return frame_from_features(found), warning
