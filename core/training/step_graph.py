"""A whole training step as one CUDA graph: the GPU runs its kernels without waiting for the processor."""

import contextlib
import gc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import torch
from torch import nn

from core.errors import reason_of
from core.training.margins import MarginSums

# Full batches that run as usual first: they allocate the optimiser's state, choose kernels and compile.
WARM_UP = 3
# Steps after which the processor waits for the GPU to end the steps of the block before.
PACE = 16


@dataclass(frozen=True)
class StepInput:
    """The input of a step: pixels float32 [m, 1, s, s]; numbers int64, target and weight float32 of its samples [n]."""

    pixels: torch.Tensor
    numbers: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor

    def clone(self) -> "StepInput":
        """The same values in memory of its own."""
        return StepInput(*(getattr(self, field.name).clone() for field in fields(self)))

    def take(self, other: "StepInput") -> None:
        """Copy the values of another one of the same shape."""
        for field in fields(self):
            getattr(self, field.name).copy_(getattr(other, field.name))


class StepGraph:
    """Steps of a run on one GPU. total: the sum of losses, sums: the margins, both of this epoch.

    A batch of another size than `batch_size`, such as the last one of an epoch, is not replayed. A graph holds for one
    choice of learning parameters; where that changes, a new one is captured. failed: why none could be, '' otherwise.
    """

    def __init__(self, device: torch.device, samples: int, batch_size: int):
        self.total, self.sums = torch.zeros((), device=device), MarginSums(samples, device)
        self.batch_size, self.failed = batch_size, ""
        self._device, self._stream = device, torch.cuda.Stream(device)
        self._captured: tuple[torch.cuda.CUDAGraph, StepInput] | None = None
        self._warm = 0
        self._learning: tuple = ()
        self._parameters: list[nn.Parameter] = []
        self._blocks: deque[torch.cuda.Event] = deque()

    @contextlib.contextmanager
    def epoch(self, model: nn.Module) -> Iterator[None]:
        """Run an epoch's steps on the graph's stream; at the end the default stream waits for them."""
        self._parameters = list(model.parameters())
        learning = (
            tuple(parameter.requires_grad for parameter in self._parameters),
            tuple(module.training for module in model.modules()),
        )
        if learning != self._learning:
            self._forget()
            self._learning = learning
        self.total.zero_()
        for value in self.sums.tensors().values():
            value.zero_()
        before = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(before)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            before.wait_stream(self._stream)
            self._blocks.clear()

    def takes(self, inputs: StepInput) -> bool:
        """Whether these are a full batch, which the graph replays unless it could not be captured."""
        return len(inputs.numbers) == self.batch_size

    def run(self, step: Callable[[StepInput], None], inputs: StepInput) -> None:
        """Take the step: as usual while warming up or where no graph can be captured, then by the graph."""
        if self._warm < WARM_UP or self.failed:
            self._warm += 1
            step(inputs)
            return
        self._captured = self._captured or self._capture(step, inputs)
        if self._captured is None:
            step(inputs)
            return
        graph, static = self._captured
        static.take(inputs)
        graph.replay()

    def pace(self, steps: int) -> None:
        """Wait, every PACE steps, until the GPU has ended the block before last: three blocks at most are in its queue.

        The progress then is that of the GPU, and memory for copies is reused.
        """
        if steps % PACE:
            return
        event = torch.cuda.Event()
        event.record()
        self._blocks.append(event)
        if len(self._blocks) > 2:
            self._blocks.popleft().synchronize()

    def _capture(
        self, step: Callable[[StepInput], None], inputs: StepInput
    ) -> tuple[torch.cuda.CUDAGraph, StepInput] | None:
        """The graph of a step and the inputs that it reads; None where it could not be captured."""
        graph, static = torch.cuda.CUDAGraph(), inputs.clone()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                step(static)
        except RuntimeError as error:  # also where memory is short
            self.failed = reason_of(error)
            # Gradients of the attempt were never computed.
            for parameter in self._parameters:
                parameter.grad = None
            return None
        return graph, static

    def _forget(self) -> None:
        self._captured, self._warm = None, 0
        gc.collect()
