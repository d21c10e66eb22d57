"""A run that may start, and the plan with which it continues where the GPU is short of memory or compiling fails."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from core.data.index import Dataset
from core.errors import OverreadError, reason_of
from core.plural import count_text
from core.training.compiled import is_compile_error
from core.training.options import RunOptions
from core.training.parallel import Team
from core.training.recipe import Recipe
from core.training.state import STATE_FILE
from core.training.step_graph import StepGraph


@dataclass(frozen=True)
class TrainingPlan:
    """A run that may start: its recipe, data set, folder, options and processes.

    pieces: parts in which each batch is computed; more than one where the whole does not fit into the memory of the
    GPU. compiles: whether the network is compiled.
    """

    recipe: Recipe
    dataset: Dataset
    out: Path
    options: RunOptions
    team: Team
    pieces: int = 1
    compiles: bool = False


def plan_after(plan: TrainingPlan, error: Exception) -> TrainingPlan | None:
    """The plan after an error: smaller parts of a batch, or no compilation; None for any other error.

    OverreadError where memory is short and the parts cannot be smaller.
    """
    reason = reason_of(error, 200)
    if isinstance(error, torch.OutOfMemoryError):
        following = _in_smaller_parts(plan, reason)
    elif plan.compiles and is_compile_error(error):
        plan.options.say(f"torch.compile failed on {plan.recipe.architecture} ({reason}); continuing without it")
        following = replace(plan, compiles=False)
    else:
        return None
    # The last full epoch, if there is one, was kept.
    resume = (plan.out / STATE_FILE).exists()
    return replace(following, options=replace(plan.options, resume=resume))


def _in_smaller_parts(plan: TrainingPlan, reason: str) -> TrainingPlan:
    """The plan with twice as many parts a batch. OverreadError where the parts cannot be smaller."""
    pieces, size = plan.pieces * 2, plan.recipe.batch_size
    if size // pieces < 2 or plan.team.size > 1:
        raise OverreadError(
            f"The GPU has too little memory for {plan.recipe.architecture} at {plan.recipe.size} px with "
            f"{count_text(size // plan.pieces, 'sample')} at a time ({reason}). The last full epoch is kept. Free "
            "memory of the GPU, or train with a smaller --set batch_size=..., size=..., or with --device cpu.",
            code="gpu-memory-short",
        )
    plan.options.say(
        f"a batch of {size} does not fit into the memory of the GPU; computing it in {pieces} parts, whose gradients "
        f"are added. Batch norm then sees {size // pieces} samples at a time"
    )
    return replace(plan, pieces=pieces)


def step_graph(plan: TrainingPlan, samples: int) -> StepGraph | None:
    """A CUDA graph for the steps of one process on a GPU, where all batches have one shape; otherwise None."""
    recipe, team = plan.recipe, plan.team
    if team.device.type != "cuda" or team.size > 1 or recipe.learns_studies or recipe.accumulate > 1 or plan.pieces > 1:
        return None
    return StepGraph(team.device, samples, recipe.batch_size)


def step_facts(plan: TrainingPlan, graph: StepGraph | None) -> dict:
    """How the steps were computed, for the manifest. Equal choices give equal results on equal hardware."""
    device = plan.team.device
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "compiled": plan.compiles,
        "graph": graph is not None and not graph.failed,
        "parts": plan.pieces,
    }


def say_compiled(options: RunOptions) -> Callable[[float], None]:
    """The function to call with the seconds of a compiled network's first step."""
    return lambda seconds: options.say(f"the first step took {seconds:.1f} s, in which the network was compiled")
