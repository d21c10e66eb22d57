"""torch.compile around a network, where the recipe asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from core.errors import OverreadError
from core.training.recipe import Recipe


def compiled(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The network as it is called in a step; its weights stay those of `model`."""
    return torch.compile(model) if recipe.compile else model


@contextmanager
def compiling(recipe: Recipe) -> Iterator[None]:
    """Says in one sentence that a network could not be compiled, which only its first step shows."""
    try:
        yield
    except Exception as error:
        if recipe.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise OverreadError(
                f"torch.compile failed on {recipe.architecture} ({first}); train it with --set compile=false."
            ) from error
        raise
