"""A Plan as tensors on the device of the pixels, sent once for many batches."""

from dataclasses import dataclass, fields

import numpy as np
import torch

from core.data.augment.on_cpu import TILES
from core.data.augment.plan import Plan
from core.device import send


@dataclass(frozen=True)
class DevicePlan:
    """Parameters of each sample, as in Plan; None for a step that this augmentation never takes.

    maps: float32 [n, 3, 3]. flips: bool [n, 2]. blurs: float32 [n, taps], weights of the Gaussian. sharpness: float32
    [n]. equalised: bool [n]. clips: int64 [n], the most pixels of one level in a tile of CLAHE, 0 for no CLAHE. tables:
    float32 [n, 256]. keys: int64 [n]. spreads: float32 [n]. windows: int32 [n, 4].
    """

    maps: torch.Tensor | None
    flips: torch.Tensor | None
    blurs: torch.Tensor | None
    sharpness: torch.Tensor | None
    equalised: torch.Tensor | None
    clips: torch.Tensor | None
    tables: torch.Tensor
    keys: torch.Tensor
    spreads: torch.Tensor | None
    windows: torch.Tensor | None

    def part(self, start: int, stop: int) -> "DevicePlan":
        """The plan of the samples from start to stop (exclusive). Nothing is copied."""
        columns = (getattr(self, field.name) for field in fields(self))
        return DevicePlan(*(None if column is None else column[start:stop] for column in columns))

    @property
    def grey_steps(self) -> bool:
        """Whether blur, sharpness, equalisation or CLAHE may change a sample."""
        return any(step is not None for step in (self.blurs, self.sharpness, self.equalised, self.clips))


def send_plan(plan: Plan, side: int, device: torch.device) -> DevicePlan:
    """The plan for images of this side on a device. On a GPU the processor does not wait for the copies."""

    def sent(values: np.ndarray | None, kind: type) -> torch.Tensor | None:
        return None if values is None else send(np.asarray(values, kind), device)

    return DevicePlan(
        # float64 would be exact, but not every device has it.
        sent(plan.maps, np.float32),
        sent(plan.flips, np.bool_),
        sent(None if plan.sigmas is None else _gaussians(plan.sigmas), np.float32),
        sent(plan.sharpness, np.float32),
        sent(plan.equalised, np.bool_),
        sent(None if plan.clips is None else _most_of_a_level(plan.clips, side), np.int64),
        _send_tables(plan.tables, device),
        sent(plan.keys, np.int64),
        sent(plan.spreads, np.float32),
        sent(plan.windows, np.int32),
    )


def _send_tables(tables: np.ndarray, device: torch.device) -> torch.Tensor:
    """Tables [n, 256]; those that are one table for all samples are sent once."""
    if len(tables) and tables.strides[0] == 0:
        return send(tables[:1], device).expand(len(tables), 256)
    return send(tables, device)


def _gaussians(sigmas: np.ndarray) -> np.ndarray:
    """Weights of each sample's Gaussian, float64 [n, taps], with the radius that OpenCV takes for bytes."""
    radii = [(round(float(sigma) * 6 + 1) | 1) // 2 for sigma in sigmas]
    widest = max([0, *radii])
    weights = np.zeros((len(sigmas), 2 * widest + 1))
    for row, sigma, radius in zip(weights, sigmas, radii):
        steps = np.arange(-radius, radius + 1)
        part = np.exp(-0.5 * (steps / float(sigma)) ** 2) if sigma > 0 else (steps == 0).astype(float)
        row[widest - radius : widest + radius + 1] = part / part.sum()
    return weights


def _most_of_a_level(clips: np.ndarray, side: int) -> np.ndarray:
    """CLAHE's limit for the count of one level in a tile, int [n]; 0 for no CLAHE."""
    pixels = (-(-side // TILES)) ** 2
    return np.array([max(int(float(clip) * pixels / 256), 1) if clip > 0 else 0 for clip in clips], np.int64)
