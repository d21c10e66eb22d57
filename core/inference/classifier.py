"""A Classifier: network, input specification and device, from grey bytes to logits."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.device import autocast, pick_device
from core.models.checkpoint import Checkpoint, load_model


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

    def logits(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Logits of P(abnormal), float64 [n], of grey bytes uint8 [n, size, size]."""
        found = []
        with torch.inference_mode(), autocast(self.device):
            for start in range(0, len(pixels), batch_size):
                batch = self.tensor(pixels[start : start + batch_size]).contiguous(memory_format=torch.channels_last)
                found.append(self.model(batch)[:, 0].float().cpu().double().numpy())
        return np.concatenate(found) if found else np.zeros(0)


def load_classifier(checkpoint: Checkpoint, device: str = "") -> Classifier:
    """The checkpoint's network on the device asked for, else on the best there is."""
    where, _ = pick_device(device)
    model = load_model(checkpoint).to(where, memory_format=torch.channels_last)
    return Classifier(model, checkpoint.input_spec, where)
