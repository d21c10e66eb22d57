"""A network with its input specification and device: grey bytes in, logits out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.device import autocast, channels_last, move_to_device, pick_device, send
from core.models.checkpoint import Checkpoint, load_model
from core.models.networks import reads_studies

# Radiographs in one pass of the network. Another number on a CPU would change the bits of its scores.
CPU_BATCH = 64
# A GPU computes at least GPU_BATCH, and more of smaller radiographs, which it would otherwise wait for.
GPU_BATCH, GPU_SIDE, GPU_BATCHES = 256, 224, 8


def own_batch(device: torch.device, side: int) -> int:
    """The radiographs of this side in one pass of the network on a device, by default."""
    if device.type != "cuda":
        return CPU_BATCH
    return GPU_BATCH * min(max(GPU_SIDE**2 // side**2, 1), GPU_BATCHES)


def padded_length(count: int, size: int) -> int:
    """The length to which a GPU's batch of `count` is padded: a power of two, at most `size`.

    A GPU compiles kernels for each shape of a batch, which takes MobileNetV2 some ten seconds; so there are few shapes.
    Padding changes no other score of a batch, since a network that is not learning looks at each radiograph by itself.
    """
    return min(1 << max(count - 1, 0).bit_length(), max(size, count))


@dataclass(frozen=True)
class PendingScores:
    """Scores that a device may still be computing. values: float32 [n, columns], in the memory of the processor.

    done: recorded on a GPU after the copy of the values, None on other devices.
    """

    values: torch.Tensor
    done: torch.cuda.Event | None = None

    def result(self) -> np.ndarray:
        """The scores, float64 [n, columns], once they are there."""
        if self.done is not None:
            self.done.synchronize()
        return self.values.double().numpy()


@dataclass(frozen=True)
class Classifier:
    """A network, ready to score."""

    model: nn.Module
    spec: InputSpec
    device: torch.device

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """Grey bytes uint8 [n, size, size] as the network's input float32 [n, 1, size, size], on the device."""
        return self.spec.normalise(send(pixels, self.device).unsqueeze(1).float() / 255)

    @property
    def columns(self) -> tuple[str, ...]:
        """The outputs for a radiograph: its logit and, if the network weighs the views of a study, its attention."""
        return ("logit", "attention") if reads_studies(self.model) else ("logit",)

    def logits(self, pixels: np.ndarray, batch_size: int = 0) -> np.ndarray:
        """Logits of P(abnormal), float64 [n], of grey bytes uint8 [n, size, size]."""
        return self.scores(pixels, batch_size)[:, 0]

    def scores(self, pixels: np.ndarray, batch_size: int = 0) -> np.ndarray:
        """`columns` of grey bytes uint8 [n, size, size], float64 [n, columns]. batch_size: 0 for the device's own."""
        return self.start(pixels, batch_size).result()

    def start(self, pixels: np.ndarray, batch_size: int = 0) -> PendingScores:
        """Begin `scores`. A GPU computes them while the processor prepares the next radiographs."""
        return self._pending(pixels, batch_size, self.tensor)

    def scores_of_units(self, units: torch.Tensor, batch_size: int = 0) -> np.ndarray:
        """`scores` of grey in 0..1, float tensor [n, 1, size, size], as augmentation gives it."""
        return self._pending(units, batch_size, lambda part: self.spec.normalise(part.to(self.device))).result()

    def _pending(
        self, values: np.ndarray | torch.Tensor, batch_size: int, inputs: Callable[..., torch.Tensor]
    ) -> PendingScores:
        """Scores of values [n, ...]. inputs: from a part of them to the input of the network.

        Where a GPU is short of memory, the parts are halved until they fit.
        """
        on_gpu = self.device.type == "cuda"
        size = batch_size or own_batch(self.device, self.spec.size)
        while True:
            try:
                found = [
                    self._outputs(inputs(values[start : start + size]), size) for start in range(0, len(values), size)
                ]
                break
            except torch.OutOfMemoryError:
                if size < 2:
                    raise
                size //= 2
            torch.cuda.empty_cache()
        if not found:
            return PendingScores(torch.zeros((0, len(self.columns))))
        outputs = torch.cat(found)
        if not on_gpu:
            return PendingScores(outputs.cpu())
        copied = torch.empty(outputs.shape, dtype=outputs.dtype, pin_memory=True)
        copied.copy_(outputs, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        return PendingScores(copied, done)

    def _outputs(self, batch: torch.Tensor, size: int) -> torch.Tensor:
        """Outputs float32 [n, columns] of a batch of at most `size`."""
        call = self.model.views if reads_studies(self.model) else self.model
        count = len(batch)
        if self.device.type == "cuda" and (more := padded_length(count, size) - count):
            batch = torch.cat([batch, batch.new_zeros((more, *batch.shape[1:]))])
        with torch.inference_mode(), autocast(self.device):
            return call(channels_last(batch)).float()[:count]


def load_classifier(checkpoint: Checkpoint, device: str = "") -> Classifier:
    """The checkpoint's network on this device, by default the fastest available."""
    where, _ = pick_device(device)
    model = move_to_device(load_model(checkpoint), where)
    return Classifier(model, checkpoint.input_spec, where)
