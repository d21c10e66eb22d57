"""The area under the margin (AUM) of each training study (Pleiss 2020), which is low for wrong labels.

The margin of a step is the logit of the given label minus the logit of the other label, as the network computed them
in that step. The AUM of a study is the mean over its radiographs and all epochs.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from core.errors import OverreadError, reason_of
from core.models.checkpoint import Checkpoint
from core.parquet_files import read_parquet, write_parquet

MARGINS = "margins.parquet"
COLUMNS = ("study_id", "bone", "group_id", "label", "logit", "aum", "steps")


class MarginSums:
    """Sums over all steps so far, on the device: `total` of logits and number of `steps`, float64 [samples]."""

    def __init__(self, count: int, device: torch.device):
        kind = torch.float32 if device.type == "mps" else torch.float64
        self.total, self.steps = (torch.zeros(count, dtype=kind, device=device) for _ in range(2))

    def add(self, places: torch.Tensor, logits: torch.Tensor) -> None:
        """Add the logits [n] of a step; places: the numbers of their samples, int64 [n], on the device."""
        self.total.index_add_(0, places, logits.detach().to(self.total.dtype))
        self.steps.index_add_(0, places, torch.ones_like(places, dtype=self.total.dtype))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Both sums by name. They are saved with the state of a run."""
        return {"total": self.total, "steps": self.steps}

    def arrays(self) -> dict[str, np.ndarray]:
        """Both sums by name, as NumPy arrays."""
        return {name: value.cpu().numpy() for name, value in self.tensors().items()}


def margin_table(rows: pd.DataFrame, total: np.ndarray, steps: np.ndarray) -> pd.DataFrame:
    """COLUMNS, one row for each study that was trained on: `logit` is the mean logit, `aum` the mean margin.

    rows: one row for each sample, with its study and label. total, steps: the sums of MarginSums.
    """
    # Radiographs that learn their own labels may differ within a study; its label is then that of an abnormal one.
    margin = total * (2 * rows["label"].to_numpy() - 1)
    table = rows[["study_id", "bone", "group_id", "label"]].assign(total=total, margin=margin, steps=steps)
    by_study = table.groupby("study_id", sort=False)
    found = by_study[["bone", "group_id"]].first().join(by_study["label"].max())
    found = found.join(by_study[["total", "margin", "steps"]].sum()).reset_index()
    found = found[found["steps"] > 0]
    logit, aum = found["total"] / found["steps"], found["margin"] / found["steps"]
    found = found.assign(logit=logit, aum=aum, steps=found["steps"].astype(int))
    return found[list(COLUMNS)].reset_index(drop=True)


def write_margins(folder: Path, table: pd.DataFrame) -> None:
    """Write the margins to the folder of a checkpoint."""
    write_parquet(folder / MARGINS, table)


def mean_margins(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The mean over members of an ensemble; each study counts the members that were trained on it."""
    everything = pd.concat(tables, ignore_index=True)
    by_study = everything.groupby("study_id", sort=False)
    found = by_study[["bone", "group_id", "label"]].first()
    return found.join(by_study[["logit", "aum"]].mean()).join(by_study["steps"].sum()).reset_index()[list(COLUMNS)]


def read_margins(checkpoint: Checkpoint) -> pd.DataFrame:
    """The margins that training wrote. OverreadError where there are none, or they cannot be read."""
    file = checkpoint.folder / MARGINS
    try:
        return read_parquet(file, columns=list(COLUMNS))
    except FileNotFoundError:
        raise OverreadError(
            f"{checkpoint.name} has no margins: it was trained by an older version, or with an augmentation that mixes "
            "labels (mixup, cutmix). Train it again without mixing, or rank by another order.",
            code="margins-missing",
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}); train again.", code="margins-unreadable"
        ) from error
