"""A Classifier: network, input specification and device, from grey bytes to logits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.device import autocast, channels_last, pick_device, placed
from core.models.checkpoint import Checkpoint, load_model
from core.models.networks import reads_studies


@dataclass(frozen=True)
class Classifier:
    """A frozen network and how it is fed."""

    model: nn.Module
    spec: InputSpec
    device: torch.device

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """Grey bytes uint8 [n, size, size] as the network's input float32 [n, 1, size, size], on the device."""
        unit = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).unsqueeze(1).float() / 255
        return self.spec.normalise(unit)

    @property
    def columns(self) -> tuple[str, ...]:
        """What it tells of a radiograph: its logit and, where it weighs the views of a study, its attention."""
        return ("logit", "attention") if reads_studies(self.model) else ("logit",)

    def logits(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Logits of P(abnormal), float64 [n], of grey bytes uint8 [n, size, size]."""
        return self.scores(pixels, batch_size)[:, 0]

    def scores(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """`columns` of grey bytes uint8 [n, size, size], float64 [n, columns]."""
        parts = (pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size))
        return self._told(self.tensor(part) for part in parts)

    def scores_of_units(self, units: torch.Tensor, batch_size: int = 64) -> np.ndarray:
        """The same of grey in 0..1, float tensor [n, 1, size, size], as augmentation leaves it."""
        parts = (units[start : start + batch_size] for start in range(0, len(units), batch_size))
        return self._told(self.spec.normalise(part.to(self.device)) for part in parts)

    def _told(self, batches: Iterable[torch.Tensor]) -> np.ndarray:
        call, found = self.model.views if reads_studies(self.model) else self.model, []
        with torch.inference_mode(), autocast(self.device):
            for batch in batches:
                told = call(channels_last(batch))
                found.append(told.float().cpu().double().numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.columns)))


def load_classifier(checkpoint: Checkpoint, device: str = "") -> Classifier:
    """The checkpoint's network on the device asked for, else on the best there is."""
    where, _ = pick_device(device)
    model = placed(load_model(checkpoint), where)
    return Classifier(model, checkpoint.input_spec, where)
