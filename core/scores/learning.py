"""Whether a training run learned anything: the AUROC of its held-out fold, judged by the lower end of its interval."""

import math
from dataclasses import dataclass

import pandas as pd

from core.errors import OverreadError
from core.metrics.intervals import FEWEST, Estimate, undefined
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import PREDICTIONS, Checkpoint
from core.parquet_files import read_parquet

# A run counts as trained if the lower bound of its tuning AUROC is at least this.
LEAST = 0.6


@dataclass(frozen=True)
class Learned:
    """The evidence of the held-out fold about a run. tuning: its study AUROC in the kept epoch, with n studies.

    The kept epoch is the best of all, so the figure is slightly optimistic. `known` is False where there is no figure.
    """

    tuning: Estimate

    @property
    def known(self) -> bool:
        """Whether the held-out fold gives an interval, or ranks every study correctly, where no interval exists."""
        perfect = self.tuning.value == 1 and self.tuning.n >= 2 * FEWEST
        return perfect or not math.isnan(self.tuning.low)

    @property
    def enough(self) -> bool:
        """Whether the run is known to have learned."""
        return self.known and not self.tuning.low < LEAST  # NaN where every study is ranked correctly

    @property
    def figure(self) -> str:
        """`AUROC .593 (.495-.691), n = 90`, or why there is no interval."""
        value, low, high = self.tuning.value, self.tuning.low, self.tuning.high
        if math.isnan(value):
            return f"AUROC not estimable: {self.tuning.why}"
        if math.isnan(low):
            return f"AUROC {value:.3f}, no interval: {self.tuning.why}"
        return f"AUROC {value:.3f} ({low:.3f}-{high:.3f}), n = {self.tuning.n:,}"

    @property
    def mark(self) -> str:
        """Two or three words for a row of a list; '' where the run has learned."""
        if self.enough:
            return ""
        return "learned nothing" if self.known else "not known to have learned"

    @property
    def warning(self) -> str:
        """Two sentences for a list of models and for the lock of a threshold; '' where the run has learned."""
        if self.enough:
            return ""
        if not self.known:
            return f"It is not known whether this model learned anything. On its held-out fold: {self.figure}."
        return (
            f"This model has not shown that it learned anything. On its held-out fold: {self.figure}; the interval "
            f"begins below {LEAST:.1f}."
        )


def learned(model: object) -> Learned | None:
    """The evidence of a checkpoint's held-out fold about its run; None for imported scores, which have no run.

    Reads the kept epoch of the history. An ensemble has no history of its own: its out-of-fold scores are used.
    """
    if not isinstance(model, Checkpoint):
        return None
    try:
        rows = model.history()
    except OverreadError:
        rows = pd.DataFrame()
    if len(rows) and "tune_auroc" in rows:
        return Learned(kept_epoch(rows))
    return Learned(_out_of_fold(model))


def kept_epoch(history: pd.DataFrame) -> Estimate:
    """The tuning AUROC of the epoch whose weights were kept; of the last epoch where none is marked."""
    best = history[history["best"].astype(bool)] if "best" in history else history
    row = (best if len(best) else history).iloc[-1]
    n = int(row["tune_studies"]) if pd.notna(row.get("tune_studies")) else 0
    if pd.isna(row["tune_auroc"]):
        return undefined(n, "the held-out fold has one class")
    low, high = (float(row.get(name, math.nan)) for name in ("tune_auroc_low", "tune_auroc_high"))
    why = "too few studies of one class" if math.isnan(low) else ""
    return Estimate(float(row["tune_auroc"]), low, high, n, why)


def _out_of_fold(checkpoint: Checkpoint) -> Estimate:
    try:
        scores = read_parquet(checkpoint.folder / PREDICTIONS)
        studies = labelled(study_table(scores[scores["split"] == "tune"]))
    except (OSError, ValueError, KeyError, OverreadError):
        return undefined(0, "the training stored no figure")
    if studies.empty:
        return undefined(0, "the training stored no figure")
    return auroc(studies["score"].to_numpy(), studies["label"].to_numpy())
