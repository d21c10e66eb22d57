"""Score a data set with a checkpoint, store the scores and, if asked, call each study by an operating point."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from core.scores.decisions import write_decisions
from core.scores.loading import split_scores
from core.scores.operating_points import OperatingPoint
from core.scores.predictions import store_predictions, tta_path
from core.scores.source import Source

if TYPE_CHECKING:
    from core.scores.test_time_augmentation import AugmentedDraws


@dataclass(frozen=True)
class ScoringResult:
    """New scores and the file they were stored in.

    left_out: {path, reason} of radiographs that could not be decoded. gain: what test-time augmentation changed.
    decisions, decisions_file: what the operating point calls each study.
    """

    scores: pd.DataFrame
    file: Path
    left_out: list[dict]
    gain: dict | None = None
    decisions: pd.DataFrame | None = None
    decisions_file: Path | None = None


def score(
    source: Source,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    out: Path | None = None,
    tta: "AugmentedDraws | None" = None,
    point: OperatingPoint | None = None,
) -> ScoringResult:
    """Score the data set of a checkpoint's source and store the scores.

    splits: by default every split but those the checkpoint learned from. out: by default in the workspace. Needs torch.
    """
    from core.scores.predict import predict

    checkpoint, dataset = source.model, source.dataset
    frame = predict(checkpoint, dataset, splits, progress, device, tta=tta)
    gain = _gain(source, frame, progress) if tta else None
    if tta and out is None:
        out = tta_path(checkpoint, dataset, tta.augmentation.hash(), tta.draws)
    file = store_predictions(frame, checkpoint, dataset, out)
    result = ScoringResult(frame, file, frame.attrs["left_out"], gain)
    if point is None:
        return result
    decisions_file, table = write_decisions(point, frame, file)
    return ScoringResult(frame, file, result.left_out, gain, table, decisions_file)


def _gain(source: Source, augmented: pd.DataFrame, progress) -> dict:
    """The change in AUROC on valid where it was scored, else on the first split."""
    from core.scores.test_time_augmentation import augmentation_gain

    scored = sorted(set(augmented["split"]))
    split = "valid" if "valid" in scored else scored[0]
    plain, _ = split_scores(source, split=split, progress=progress)
    return augmentation_gain(plain, augmented, split)
