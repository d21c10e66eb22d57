"""Rank labels that may be wrong, by scores of networks that were not trained on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.index import Dataset, read_index
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
    name: str,
    dataset: Dataset,
    order: str = "noise_rate",
    scores: Path | None = None,
    by_features: bool = False,
    progress: Progress | None = None,
    allow_unmatched: bool = False,
) -> RankedLabels:
    """Rank by a table of out-of-fold scores, by logged margins (order 'aum'), by features, or by stored scores.

    name: a checkpoint, imported scores or a predictions file. allow_unmatched: leave out rows of the table that are no
    studies of the data set. OverreadError where these scores are missing.
    """
    warning = ""
    joins: list[JoinReport] = []
    notes: list[Note] = []
    if scores:
        frame, report, notes = read_out_of_fold(scores, dataset, allow_unmatched)
        joins, basis = [report], str(scores)
    elif order == "aum":
        frame, basis = _frame_by_margins(name, dataset), f"the margins that the training of {name} logged"
    elif by_features:
        frame, warning = _frame_by_features(name, dataset, progress)
        basis = f"logistic regression on the features of {name}"
    else:
        from core.scores.loading import stored_scores

        frame, basis = out_of_fold_frame(stored_scores(name, dataset)), f"{name}, on studies it was not trained on"
    wrong = noise_rates(frame["score"].to_numpy(), frame["label"].to_numpy())
    return RankedLabels(rank_suspects(frame, order), basis, wrong, warning, tuple(joins), tuple(notes))


def _frame_by_margins(name: str, dataset: Dataset) -> pd.DataFrame:
    from core.models.checkpoint import read_checkpoint
    from core.scores.source import source_of
    from core.scores.stored_scores import read_predictions
    from core.training.margins import read_margins

    checkpoint = read_checkpoint(name)
    margins, scores = read_margins(checkpoint), read_predictions(source_of(checkpoint, dataset))
    return frame_from_margins(margins, dataset, None if scores is None else out_of_fold_frame(scores))


def _frame_by_features(name: str, dataset: Dataset, progress: Progress | None) -> tuple[pd.DataFrame, str]:
    from core.models.checkpoint import read_checkpoint
    from core.scores.embeddings import compute_embeddings, read_embeddings
    from core.scores.source import source_of

    checkpoint = read_checkpoint(name)
    source = source_of(checkpoint, dataset)
    found = read_embeddings(source)
    if found is None:
        found = compute_embeddings(source, progress)
    warning = ""
    if checkpoint.learned().index.isin(read_index(dataset.name)["sha1"]).any():
        warning = (
            f"{checkpoint.name} was trained on these labels and may have memorised the wrong ones; a network "
            "trained on other data, or with --folds, is a better judge."
        )
    return frame_from_features(found), warning
