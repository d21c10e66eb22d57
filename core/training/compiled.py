"""torch.compile for recipes that ask for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from core.errors import OverreadError, reason_of
from core.training.recipe import Recipe


def compiled(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The network to call in a step. It shares its weights with `model`."""
    return torch.compile(model) if recipe.compile else model


@contextmanager
def explain_compile_errors(recipe: Recipe) -> Iterator[None]:
    """Turn an error of torch.compile into an OverreadError. Such errors appear only in the first step."""
    try:
        yield
    except Exception as error:
        if recipe.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            first = reason_of(error, 200)
            raise OverreadError(
                f"torch.compile failed on {recipe.architecture} ({first}); train it with --set compile=false.",
                code="compile-failed",
            ) from error
        raise
