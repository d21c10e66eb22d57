"""Training and scoring in several processes: `accelerate launch -m core train ...`, or `torchrun -m core train ...`.

Every process draws the same order of samples and takes its share of each batch, so that a step learns from the same
samples as in one process. Only the first process writes files; the others read them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from core.device import pick_device
from core.errors import OverreadError
from core.plural import count_text


@dataclass(frozen=True)
class Team:
    """The processes that work together, seen from this one. device: of this process; why: a reason in words."""

    rank: int
    size: int
    device: torch.device
    why: str
    accelerator: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def share(self, chosen: np.ndarray) -> np.ndarray:
        """The part of a batch that this process learns from. The parts of all processes make the batch."""
        return chosen[self.rank :: self.size]

    def wrapped(self, model: nn.Module, frozen_at_times: bool) -> nn.Module:
        """The network in a wrapper that averages gradients over all processes."""
        if self.size == 1:
            return model
        where = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=where, find_unused_parameters=frozen_at_times)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        return value if self.size == 1 else self.accelerator.reduce(value, "sum")

    def broadcast(self, value):
        """The value of the leading process, in every process."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def disband(self) -> None:
        """Wait for the other processes and leave the group.

        A group that is open when Python ends may abort a process that has finished its work.
        """
        if self.size > 1:
            self.accelerator.wait_for_everyone()
            self.accelerator.end_training()

    @contextmanager
    def explain_lost_process(
        self, kept: str = "The last full epoch is kept; continue with --resume."
    ) -> Iterator[None]:
        """Turn the error of waiting for a process that has ended into an OverreadError. kept: what to do, in words."""
        try:
            yield
        except RuntimeError as error:
            if self.size > 1 and any(word in str(error) for word in ("gloo", "NCCL", "Connection closed")):
                raise OverreadError(
                    f"Another of the {count_text(self.size, 'process')} has ended. {kept}",
                    code="process-lost",
                ) from error
            raise

    @contextmanager
    def lead_first(self) -> Iterator[None]:
        """Run the block in the leading process first, then in the others."""
        if self.size == 1:
            yield
        else:
            with self.accelerator.main_process_first():
                yield


def leads() -> bool:
    """Whether this process leads, before a team is made."""
    return int(os.environ.get("RANK") or 0) == 0


def refuse_several_processes(command: str) -> None:
    """OverreadError where a launcher started several processes for a command that runs in one."""
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise OverreadError(f"{command} runs in one process; start it without a launcher.", code="one-process-only")


def current_team(wanted: str = "") -> Team:
    """The processes that a launcher started together, or this one alone. wanted: a device, '' for the best.

    OverreadError for a device that several processes cannot use.
    """
    size = int(os.environ.get("WORLD_SIZE") or 1)
    if size == 1:
        device, why = pick_device(wanted)
        return Team(0, 1, device, why)
    if wanted not in ("", "cpu", "cuda"):
        raise OverreadError(
            f"--device is {wanted}, with {size} processes; expected cpu, cuda or none.", code="device-unsupported"
        )
    from accelerate import Accelerator, InitProcessGroupKwargs

    on_cpu = wanted == "cpu" or not torch.cuda.is_available()
    shared = not on_cpu and share_gpus()
    # NCCL refuses two processes on one GPU; Gloo does not.
    handlers = [InitProcessGroupKwargs(backend="gloo")] if shared else []
    accelerator = Accelerator(cpu=on_cpu, kwargs_handlers=handlers)
    device = torch.device("cpu") if accelerator.device.type == "cpu" else accelerator.device
    why = f"{device.type} in {size} processes" + (", which share GPUs" if shared else "")
    return Team(accelerator.process_index, size, device, why, accelerator)


def share_gpus() -> bool:
    """Whether a launcher started more processes on this machine than it has GPUs."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or 1)
    return here > torch.cuda.device_count()
