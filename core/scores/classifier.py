"""A network with its input specification and device: grey bytes in, logits out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.device import autocast, channels_last, move_to_device, pick_device
from core.models.checkpoint import Checkpoint, load_model
from core.models.networks import reads_studies


@dataclass(frozen=True)
class Classifier:
    """A network, ready to score."""

    model: nn.Module
    spec: InputSpec
    device: torch.device

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """Grey bytes uint8 [n, size, size] as the network's input float32 [n, 1, size, size], on the device."""
        unit = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).unsqueeze(1).float() / 255
        return self.spec.normalise(unit)

    @property
    def columns(self) -> tuple[str, ...]:
        """The outputs for a radiograph: its logit and, if the network weighs the views of a study, its attention."""
        return ("logit", "attention") if reads_studies(self.model) else ("logit",)

    def logits(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Logits of P(abnormal), float64 [n], of grey bytes uint8 [n, size, size]."""
        return self.scores(pixels, batch_size)[:, 0]

    def scores(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """`columns` of grey bytes uint8 [n, size, size], float64 [n, columns]."""
        parts = (pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size))
        return self._outputs(self.tensor(part) for part in parts)

    def scores_of_units(self, units: torch.Tensor, batch_size: int = 64) -> np.ndarray:
        """`scores` of grey in 0..1, float tensor [n, 1, size, size], as augmentation gives it."""
        parts = (units[start : start + batch_size] for start in range(0, len(units), batch_size))
        return self._outputs(self.spec.normalise(part.to(self.device)) for part in parts)

    def _outputs(self, batches: Iterable[torch.Tensor]) -> np.ndarray:
        call, found = self.model.views if reads_studies(self.model) else self.model, []
        with torch.inference_mode(), autocast(self.device):
            for batch in batches:
                outputs = call(channels_last(batch))
                found.append(outputs.float().cpu().double().numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.columns)))


def load_classifier(checkpoint: Checkpoint, device: str = "") -> Classifier:
    """The checkpoint's network on this device, by default the fastest available."""
    where, _ = pick_device(device)
    model = move_to_device(load_model(checkpoint), where)
    return Classifier(model, checkpoint.input_spec, where)
