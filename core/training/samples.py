"""What a step learns from: single radiographs or, where the network weighs the views of a study, whole studies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch


@dataclass(frozen=True)
class Units:
    """rows: one row a unit; members: the places of a study's radiographs, None where each radiograph is a unit."""

    rows: pd.DataFrame
    members: tuple[np.ndarray, ...] | None = None

    @property
    def word(self) -> str:
        return "radiographs" if self.members is None else "studies"

    def radiographs(self, chosen: np.ndarray) -> np.ndarray:
        """The places of all radiographs of the chosen units, unit by unit."""
        return chosen if self.members is None else np.concatenate([self.members[unit] for unit in chosen])

    def owners(self, chosen: np.ndarray, device: torch.device) -> tuple:
        """What the network is told of whose they are: nothing, or the study of each radiograph and their number."""
        if self.members is None:
            return ()
        sizes = [len(self.members[unit]) for unit in chosen]
        return torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes)).to(device), len(chosen)


def units_of(learn: pd.DataFrame, by_study: bool) -> Units:
    """The units of the radiographs `learn`, in the order in which they stand there."""
    if not by_study:
        return Units(learn)
    places = learn.groupby("study_id", sort=False).indices
    rows = learn.drop_duplicates("study_id").reset_index(drop=True)
    return Units(rows, tuple(places[study] for study in rows["study_id"]))
