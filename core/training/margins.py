"""The area under the margin of each study that was learned from (Pleiss 2020): wrong labels are learned late or never.

A step's margin is the logit of the given label less that of the other, as the network saw the radiograph then; a
study's area is the mean over its radiographs and all epochs. Low is suspicious.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.paths import write_atomically

MARGINS = "margins.parquet"
COLUMNS = ("study_id", "bone", "group_id", "label", "logit", "aum", "steps")


class Logged:
    """Sums over all steps so far, on the device: `total` of logits and `steps`, float64 [units]."""

    def __init__(self, count: int, device: torch.device):
        kind = torch.float32 if device.type == "mps" else torch.float64
        self.total, self.steps = (torch.zeros(count, dtype=kind, device=device) for _ in range(2))

    def add(self, chosen: np.ndarray, logits: torch.Tensor) -> None:
        """A step's logits [n] of the units `chosen`."""
        places = torch.from_numpy(chosen).to(self.total.device)
        self.total.index_add_(0, places, logits.detach().to(self.total.dtype))
        self.steps.index_add_(0, places, torch.ones_like(places, dtype=self.total.dtype))

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a stopped run goes on with."""
        return {"total": self.total, "steps": self.steps}


def margin_table(rows: pd.DataFrame, total: np.ndarray, steps: np.ndarray) -> pd.DataFrame:
    """COLUMNS, one row a study that was seen: `logit` is the mean, `aum` the same towards the given label.

    rows: one row a unit, with its study and label; total, steps: as Logged sums them.
    """
    table = rows[["study_id", "bone", "group_id", "label"]].assign(total=total, steps=steps)
    by_study = table.groupby("study_id", sort=False)
    found = by_study[["bone", "group_id", "label"]].first().join(by_study[["total", "steps"]].sum()).reset_index()
    found = found[found["steps"] > 0]
    logit = found["total"] / found["steps"]
    found = found.assign(logit=logit, aum=logit * (2 * found["label"] - 1), steps=found["steps"].astype(int))
    return found[list(COLUMNS)].reset_index(drop=True)


def write_margins(folder: Path, table: pd.DataFrame) -> None:
    """Keep them beside the weights."""
    write_atomically(folder / MARGINS, lambda path: table.to_parquet(path, index=False))


def mean_margins(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Over the members of an ensemble: each study by the members that learned from it."""
    everything = pd.concat(tables, ignore_index=True)
    by_study = everything.groupby("study_id", sort=False)
    found = by_study[["bone", "group_id", "label"]].first()
    return found.join(by_study[["logit", "aum"]].mean()).join(by_study["steps"].sum()).reset_index()[list(COLUMNS)]


def read_margins(checkpoint: Checkpoint) -> pd.DataFrame:
    """The margins that training logged. OverreadError where there are none, or they cannot be read."""
    file = checkpoint.folder / MARGINS
    try:
        return pd.read_parquet(file, columns=list(COLUMNS))
    except FileNotFoundError:
        raise OverreadError(
            f"{checkpoint.name} logged no margins: it was trained before they were, or with an augmentation that mixes "
            "labels (mixup, cutmix). Train it again without mixing, or rank by another order."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise OverreadError(f"{file} cannot be read ({str(error).splitlines()[0][:120]}); train again.") from error
