"""Rank labels that may be wrong, by scores of networks that were not trained on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.index import read_index
from core.data.joins import JoinReport
from core.data.notes import Note
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
