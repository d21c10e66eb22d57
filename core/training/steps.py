"""The steps of an epoch: loss, gradients, new weights. On one GPU most of them are replays of a CUDA graph."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.device import autocast_to, wait_for
from core.models.networks import POOLINGS
from core.training.average import update_average
from core.training.batches import Batch
from core.training.loss import loss_of
from core.training.margins import MarginSums
from core.training.parallel import Team
from core.training.recipe import Recipe
from core.training.samples import Samples
from core.training.state import Learner
from core.training.step_graph import StepGraph, StepInput


@dataclass(frozen=True)
class Epoch:
    """Settings of one epoch. call: the network as called in a step, `learner.model` itself or a wrapper around it.

    scores: those of the epochs before, for the schedule 'plateau'. outlook: text after the name of the epoch in the
    progress. graph: of the run, where steps are replayed on a GPU. pieces: parts in which a batch is computed, since
    the whole does not fit into memory. first_step: called with the seconds of the first step, if given.
    """

    recipe: Recipe
    number: int
    learner: Learner
    call: nn.Module
    team: Team
    precision: str
    scores: tuple[float, ...] = ()
    outlook: str = ""
    graph: StepGraph | None = None
    pieces: int = 1
    first_step: Callable[[float], None] | None = None


class Steps:
    """The steps of an epoch. total: the sum of the losses of its samples; sums: their margins. Both are on the device.

    count: the number of samples of the run.
    """

    def __init__(self, epoch: Epoch, samples: Samples, count: int):
        self.epoch, self.samples, graph = epoch, samples, epoch.graph
        self.total = torch.zeros((), device=epoch.team.device) if graph is None else graph.total
        self.sums = MarginSums(count, epoch.team.device) if graph is None else graph.sums
        self.taken = 0

    @contextlib.contextmanager
    def graphed(self) -> Iterator[None]:
        """The block runs on the stream of the graph, if there is one."""
        graph = self.epoch.graph
        with graph.epoch(self.epoch.learner.model) if graph else contextlib.nullcontext():
            yield

    def take(self, batch: Batch, together: int, ends: bool) -> None:
        """Add the gradients of a batch. together: the number of samples whose gradients make one step; ends: the
        batch is the last of them, and the weights change."""
        epoch, learner = self.epoch, self.epoch.learner
        started = time.perf_counter()
        inputs = StepInput(batch.pixels, batch.numbers, batch.target, batch.weight)
        # Each sample of a step counts equally, in any batch and process. Gradients are averaged over the
        # processes, so each process contributes its share of the sum times their number.
        share = len(batch.samples) * epoch.team.size / together
        graph = epoch.graph
        full = graph is None or graph.takes(inputs)
        if graph and full and ends and share == 1:
            graph.run(self._whole_step, inputs)
        else:
            studies = self.samples.study_arguments(batch.samples, epoch.team.device)
            # A compiled network would be compiled once more for a last batch of another size.
            self._gradients(epoch.call if full else learner.model, inputs, studies, share)
            if ends:
                self._change_weights()
        self.taken += 1
        if graph:
            graph.pace(self.taken)
        if epoch.first_step and self.taken == 1:
            wait_for(epoch.team.device)
            epoch.first_step(time.perf_counter() - started)

    def _whole_step(self, inputs: StepInput) -> None:
        self._gradients(self.epoch.call, inputs, (), 1.0)
        self._change_weights()

    def _gradients(self, call: nn.Module, inputs: StepInput, studies: tuple, share: float) -> None:
        recipe = self.epoch.recipe
        with autocast_to(self.epoch.team.device, self.epoch.precision):
            if recipe.view_pooling:
                logits = POOLINGS[recipe.view_pooling](call(inputs.pixels)[:, 0].float(), *studies)
            else:
                logits = call(inputs.pixels, *studies)[:, 0].float()
        loss = loss_of(recipe, logits, inputs.target, inputs.weight)
        (loss * share).backward()
        self.sums.add(inputs.numbers, logits)
        self.total += loss.detach() * len(inputs.numbers)

    def _change_weights(self) -> None:
        learner, recipe = self.epoch.learner, self.epoch.recipe
        if recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(learner.model.parameters(), recipe.clip_norm)
        learner.optimiser.step()
        learner.optimiser.zero_grad(set_to_none=True)
        update_average(learner.average, learner.model)


def split_batch(batch: np.ndarray, batch_size: int, pieces: int) -> list[np.ndarray]:
    """A batch in parts of at most batch_size / pieces samples, and of at least two, which batch norm needs."""
    if pieces == 1:
        return [batch]
    largest = max(2, batch_size // pieces)
    return np.array_split(batch, min(-(-len(batch) // largest), max(1, len(batch) // 2)))
