"""Training samples: single radiographs or, where a study is one sample, whole studies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from core.data.pixel_batches import Pixels
from core.device import send


@dataclass(frozen=True)
class Samples:
    """rows: one row per sample. members: the row numbers of each study's radiographs; None where each radiograph is a
    sample."""

    rows: pd.DataFrame
    members: tuple[np.ndarray, ...] | None = None

    def radiographs(self, chosen: np.ndarray) -> np.ndarray:
        """Row numbers of all radiographs of the chosen samples, sample by sample."""
        return chosen if self.members is None else np.concatenate([self.members[sample] for sample in chosen])

    def study_arguments(self, chosen: np.ndarray, device: torch.device) -> tuple:
        """Further arguments of the network: the study of each radiograph and the number of studies, or none."""
        if self.members is None:
            return ()
        sizes = [len(self.members[sample]) for sample in chosen]
        return send(np.repeat(np.arange(len(chosen)), sizes), device), len(chosen)


def samples_of(radiographs: pd.DataFrame, by_study: bool) -> Samples:
    """The samples of these radiographs (rows of the index), in the same order."""
    if not by_study:
        return Samples(radiographs)
    places = radiographs.groupby("study_id", sort=False).indices
    rows = radiographs.drop_duplicates("study_id").reset_index(drop=True)
    return Samples(rows, tuple(places[study] for study in rows["study_id"]))


@dataclass(frozen=True)
class TrainingData:
    """Samples with their pixels. image_ids [m] and places [m]: name of each radiograph and its row in `pixels`."""

    samples: Samples
    image_ids: np.ndarray
    pixels: Pixels
    places: np.ndarray

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.samples.rows)
