"""Samples of an augmentation and the network's scores of them, cached by pixels and augmentation."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.augment import Augmentation
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.models.checkpoint import Checkpoint
from core.scores.halves import in_split
from core.scores.source import Source, source_of
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data, cached_resource

# Radiographs with a known finding, and draws of each, from which the loss of findings is counted.
MASKS, RETENTION_DRAWS = 100, 16


@dataclass(frozen=True)
class Film:
    """The file of one radiograph."""

    root: str
    path: str
    sha1: str


@dataclass(frozen=True)
class Draws:
    """The random draws of one radiograph: an augmentation, the radiograph's id and a seed decide them."""

    augmentation: Augmentation
    image_id: str
    seed: int


def film_of(dataset: Dataset, row: pd.Series) -> Film:
    """The file of a row of the Index."""
    return Film(dataset.root, row["path"], row["sha1"])


@cached_data(max_entries=256)
def square(film: Film, spec: InputSpec) -> np.ndarray:
    """A radiograph at the network's input size, uint8 [s, s]."""
    return spec.pixels(f"{film.root}/{film.path}")


@cached_data(max_entries=4)
def epoch_ids(source: Source) -> list[str]:
    """The radiographs to mix with: those that trained the checkpoint, or without any the labelled ones of train."""
    index = loaders.index(source.indexed)
    if source.has_network:
        learned = index[index["sha1"].map(source.checkpoint.learned()) == "train"]
        if len(learned):
            return learned["image_id"].tolist()
    return index.loc[(index["split"] == "train") & index["label"].notna(), "image_id"].tolist()


@cached_resource(max_entries=4)
def radiographs(dataset: Dataset) -> pd.DataFrame:
    """The radiographs to choose from: image_id, path, sha1, study_id, bone. Shared, so callers must not change it."""
    # Cached data would be copied at each move of a slider, and an archive has tens of thousands of rows.
    return loaders.index(dataset)[["image_id", "path", "sha1", "study_id", "bone"]]


def samples(source: Source, spec: InputSpec, draws: Draws, count: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """The original uint8 [s, s], its samples float32 [n, s, s] exactly as in training, and their draws."""
    # The model only decides which radiographs are mixed in.
    return _samples(source if draws.augmentation.mixes else source_of(None, source.dataset), spec, draws, count)


@cached_data(max_entries=64, max_size="300MB")
def _samples(source: Source, spec: InputSpec, draws: Draws, count: int):
    from core.data.augment import preview
    from core.device import pick_device

    augmentation, dataset = draws.augmentation, source.indexed
    index = radiographs(dataset)
    if not augmentation.mixes:
        index = index[index["image_id"] == draws.image_id]
    files = dict(zip(index["image_id"], zip(index["path"], index["sha1"])))

    def read(wanted: str) -> np.ndarray:
        return square(Film(dataset.root, *files[wanted]), spec)

    partners = epoch_ids(source) if augmentation.mixes else ()
    # The device of training, since only there the samples are bit for bit those of training.
    device = pick_device()[0]
    units, drawn = preview(augmentation, read, draws.image_id, draws.seed, range(count), partners, device)
    return read(draws.image_id), units[:, 0].cpu().numpy(), drawn


@cached_data(max_entries=256)
def scores(checkpoint: Checkpoint, original: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Logits of the original and of its samples, float64 [1 + n]."""
    import torch

    from core.scores.augmentation_stability import logits_of

    classifier = loaders.classifier(checkpoint)
    return np.concatenate(
        [classifier.logits(original[None]), logits_of(classifier, torch.from_numpy(samples)[:, None])]
    )


@cached_data(max_entries=1024)
def draw_logits(checkpoint: Checkpoint, original: np.ndarray, draws: Draws, first: int, last: int) -> np.ndarray:
    """Logits of one radiograph in the epochs from `first` to before `last`, without mixing, float64 [last - first]."""
    from core.scores import augmentation_stability

    classifier = loaders.classifier(checkpoint)
    return augmentation_stability.draw_logits(
        classifier, draws.augmentation, original, draws.image_id, draws.seed, range(first, last)
    )


def stored_draws(source: Source, augmentation: Augmentation, seed: int) -> pd.DataFrame:
    """The rows of `core.scores.augmentation_stability.stability_rows` that are stored."""
    from core.scores.augmentation_stability import DRAWS, stability_file, stored_rows

    return stored_rows(stability_file(source, augmentation, DRAWS, seed))


@cached_data(max_entries=16)
def split_ids(source: Source, split: str) -> set[str]:
    """The radiographs of a split; those that trained the checkpoint are in train, also against the index."""
    from core.scores.stored_scores import splits_for

    index = splits_for(source)
    return set(index.loc[in_split(index, split), "image_id"])


@cached_data(max_entries=128)
def retention(dataset: Dataset, spec: InputSpec, augmentation: Augmentation, seed: int) -> dict:
    """`core.data.lesion_retention.retention_facts` of a sample of the data set."""
    from core.data.lesion_retention import retention_facts, retention_table

    return retention_facts(retention_table(augmentation, _masks(dataset, spec), seed, RETENTION_DRAWS))


@cached_resource(max_entries=4, show_spinner="Reading the known findings")
def _masks(dataset: Dataset, spec: InputSpec):
    from core.data.lesion_retention import known_masks

    return known_masks(dataset, spec, most=MASKS)
