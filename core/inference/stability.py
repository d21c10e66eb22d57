"""How steady a network's answer is under an augmentation: the same radiograph drawn many times."""

import numpy as np
import torch

from core.device import autocast
from core.inference.classifier import Classifier


def logits_of(classifier: Classifier, units: torch.Tensor, batch_size: int = 64) -> np.ndarray:
    """Logits float64 [n] of augmented grey in 0..1, float32 tensor [n, 1, s, s]."""
    found = []
    with torch.inference_mode(), autocast(classifier.device):
        for start in range(0, len(units), batch_size):
            batch = classifier.spec.normalise(units[start : start + batch_size].to(classifier.device))
            found.append(classifier.model(batch.contiguous(memory_format=torch.channels_last))[:, 0].float().cpu())
    return torch.cat(found).double().numpy() if found else np.zeros(0)
