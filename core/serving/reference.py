"""The split that an operating point was chosen on, as far as it is stored here. Nothing is scored or decoded for it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from core.among import among
from core.data import pixel_store
from core.data.decode import pixels_folder
from core.data.index import list_datasets, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.metrics.studies import study_table
from core.scores.halves import in_split
from core.scores.loading import stored_scores
from core.scores.operating_points import OperatingPoint
from core.scores.source import Source, same_dataset, source_of
from core.serving.answers import grey_levels
from core.serving.monitor import Reference

MOST_STUDIES = 2000  # studies of the reference; more would not make the daily test noticeably sharper


@dataclass(frozen=True)
class PointSplit:
    """rows: PREDICTIONS with `sha1`, `width` and `height` of the index. squares: grey uint8 [n, size, size], a memory
    map. places: the square of each row, -1 where it was never decoded."""

    rows: pd.DataFrame
    squares: np.ndarray
    places: np.ndarray


def split_of(source: Source, point: OperatingPoint, spec: InputSpec) -> PointSplit | None:
    """The radiographs of the split that a point was chosen on; None where that data set or its scores are not here."""
    try:
        datasets = [one for one in list_datasets() if same_dataset(source_of(source.model, one), point.dataset)]
        if not datasets:
            return None
        frame = stored_scores(source_of(source.model, datasets[0]))
        frame = frame[in_split(frame, point.split)]
        index = read_index(datasets[0].name)[["image_id", "sha1", "width", "height"]]
        rows = frame.merge(index, on="image_id", validate="one_to_one")
        stored = pixel_store.load(pixels_folder(datasets[0], spec), spec.size)
    except (OverreadError, OSError, ValueError):
        return None
    return PointSplit(rows, stored.pixels, stored.hashes.get_indexer(pd.Index(rows["sha1"]))) if len(rows) else None


def reference_of(source: Source, point: OperatingPoint, spec: InputSpec) -> Reference:
    """The reference with which the traffic of a model is compared."""
    alerts = point.figures.get("alerts_per_100")
    rate, split = float("nan") if alerts is None else alerts / 100, split_of(source, point, spec)
    return Reference(rate, None if split is None else study_measures(split, point.aggregation))


def study_measures(split: PointSplit, aggregation: str) -> pd.DataFrame:
    """One row per study, as in the log of decisions: score, n_views, side, brightness, contrast (NaN if not decoded).

    Of at most MOST_STUDIES, evenly taken.
    """
    studies = study_table(split.rows, aggregation)
    kept = studies.iloc[np.unique(np.linspace(0, len(studies) - 1, min(len(studies), MOST_STUDIES)).astype(int))]
    chosen = among(split.rows["study_id"], kept["study_id"]).to_numpy()
    rows, places = split.rows[chosen], split.places[chosen]
    grey = np.array([grey_levels(split.squares[place]) if place >= 0 else (np.nan, np.nan) for place in places])
    measured = pd.DataFrame(
        {
            "study_id": rows["study_id"].to_numpy(),
            "side": rows[["width", "height"]].max(axis=1).to_numpy(float),
            "brightness": grey[:, 0],
            "contrast": grey[:, 1],
        }
    )
    means = measured.groupby("study_id").mean().reset_index()
    return kept[["study_id", "score", "n_views"]].merge(means, on="study_id")


def trial_views(source: Source, points: tuple[OperatingPoint, ...], spec: InputSpec, count: int = 32) -> np.ndarray:
    """Radiographs to compare two runtimes by, uint8 [count, size, size].

    Those of the split that the first point was chosen on whose scores are nearest to its threshold, where another
    digit would matter most; filled up with made-up ones.
    """
    found = np.zeros((0, spec.size, spec.size), np.uint8)
    split = split_of(source, points[0], spec) if points else None
    if split is not None:
        threshold = float(np.clip(points[0].threshold, 1e-6, 1 - 1e-6))
        distance = np.abs(split.rows["logit"].to_numpy() - logit(threshold))
        nearest = [place for place in split.places[np.argsort(distance, kind="stable")] if place >= 0]
        found = split.squares[sorted(nearest[: count - 4])]
    return np.concatenate([found, made_up_views(count - len(found), spec.size)])


def made_up_views(count: int, size: int) -> np.ndarray:
    """Grey squares with bright bars, an exposure each, and grain; the same ones in each call."""
    random = np.random.default_rng(17)
    down, across = np.mgrid[0:size, 0:size] / size
    views = []
    for _ in range(count):
        turn, place, width = random.uniform(0, np.pi), random.uniform(0.3, 0.7), random.uniform(0.05, 0.25)
        away = np.abs((down - 0.5) * np.cos(turn) + (across - place) * np.sin(turn))
        grey = random.uniform(20, 90) + random.uniform(60, 150) * np.exp(-((away / width) ** 2))
        views.append(np.clip(grey + random.normal(0, random.uniform(1, 12), (size, size)), 0, 255).astype(np.uint8))
    return np.stack(views) if views else np.zeros((0, size, size), np.uint8)
