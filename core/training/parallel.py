"""One process or several that train together: `accelerate launch -m core train ...`, or `torchrun -m core train ...`.

Every process draws the same order of radiographs and takes its share of each batch, so that a step sees what it would
see in one process. The first one alone writes; the others read what it wrote.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.device import pick_device
from core.errors import OverreadError


@dataclass(frozen=True)
class Team:
    """This process among those that train together. device: where it computes; why: in words."""

    rank: int
    size: int
    device: torch.device
    why: str
    accelerator: object = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, chosen: np.ndarray) -> np.ndarray:
        """This process's part of a batch; the parts of all are the batch, each radiograph once."""
        return chosen[self.rank :: self.size]

    def wrapped(self, model: nn.Module, frozen_at_times: bool) -> nn.Module:
        """The network, its gradients averaged over all processes on the way back."""
        if self.size == 1:
            return model
        where = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=where, find_unused_parameters=frozen_at_times)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        return value if self.size == 1 else self.accelerator.reduce(value, "sum")

    def told(self, value):
        """What the leading process holds, in every process."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def part(self) -> None:
        """Leave the others, once all have come this far. A group still open when Python ends may abort a process whose
        work was done, by a thread of its own that nobody joined."""
        if self.size > 1:
            self.accelerator.wait_for_everyone()
            self.accelerator.end_training()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Says in one sentence that another process is gone, which shows where this one waits for it."""
        try:
            yield
        except RuntimeError as error:
            if self.size > 1 and any(word in str(error) for word in ("gloo", "NCCL", "Connection closed")):
                raise OverreadError(
                    f"Another of the {self.size} processes that train together has ended; the last full epoch is kept, "
                    "go on with --resume."
                ) from error
            raise

    @contextmanager
    def lead_first(self) -> Iterator[None]:
        """The leading process runs what is inside, then the others."""
        if self.size == 1:
            yield
        else:
            with self.accelerator.main_process_first():
                yield


def leads() -> bool:
    """Whether this is the process that writes and speaks, before a team is made."""
    return int(os.environ.get("RANK") or 0) == 0


def alone_or_refuse(what: str) -> None:
    """OverreadError where several processes were started for what one does."""
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise OverreadError(f"{what} runs in one process; start it without a launcher.")


def team(wanted: str = "") -> Team:
    """The processes that were started together, as their launcher says; one, where none did."""
    size = int(os.environ.get("WORLD_SIZE") or 1)
    if size == 1:
        device, why = pick_device(wanted)
        return Team(0, 1, device, why)
    if wanted not in ("", "cpu", "cuda"):
        raise OverreadError(f"--device is {wanted}, with {size} processes; expected cpu, cuda or none.")
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=wanted == "cpu" or not torch.cuda.is_available())
    device = torch.device("cpu") if accelerator.device.type == "cpu" else accelerator.device
    return Team(accelerator.process_index, size, device, f"{device.type} in {size} processes", accelerator)
