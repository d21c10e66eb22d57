"""The registry of saliency methods, and the values that a method is given and returns.

`core.explain.methods` holds the methods and fills METHODS when it is imported.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from core.errors import OverreadError
from core.explain.attribution_target import AttributionTarget
from core.explain.layers import Layer, cached_layer
from core.explain.method_list import METHOD_LIST, MethodFacts

# Integrated gradients promise that the map adds up to the change in logit (completeness, Sundararajan 2017). A map
# that leaves a larger share of the change unexplained is refused.
WORST_GAP = 0.05


class MethodRefused(OverreadError):
    """The method would silently compute something else on this network or radiograph."""


@dataclass(frozen=True)
class MapRequest:
    """The input of a method: `inputs` and `baseline` [1, n, s, s] for n views, in the network's units.

    noise_unit: the standard deviation of the input normalisation, which converts grey levels of 0..1 to those units.
    pixels: the same views, uint8 [n, s, s]. batch: how many variants of the input fit through the network at once.
    """

    target: AttributionTarget
    inputs: torch.Tensor
    baseline: torch.Tensor
    baseline_name: str
    noise_unit: float
    layer_name: str
    pixels: np.ndarray
    batch: int
    layer_cache: dict = field(default_factory=dict)

    def layer(self, min_cells: int = 0) -> Layer:
        """The layer that was named, or else the last one with at least `min_cells` cells a side."""
        views_as_batch = self.inputs.detach().transpose(0, 1)
        return cached_layer(self.layer_cache, self.target.model, views_as_batch, self.layer_name, min_cells)


@dataclass(frozen=True)
class MethodMap:
    """The result of a method: maps [1, n, s, s] and its settings in words.

    gap: the unexplained share of the change in logit, NaN where the method promises no completeness.
    """

    maps: torch.Tensor
    note: str
    gap: float = math.nan
    layer: str = ""


@dataclass(frozen=True)
class Method:
    """A saliency method: its facts and its function."""

    name: str
    facts: MethodFacts
    call: Callable[[MapRequest], MethodMap]

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.facts.title

    @property
    def signed(self) -> bool:
        """Whether its maps have evidence for both sides."""
        return self.facts.signed


METHODS: dict[str, Method] = {}


def saliency_method(call: Callable[[MapRequest], MethodMap]) -> Callable[[MapRequest], MethodMap]:
    """Register a function from MapRequest to MethodMap under its own name, which `METHOD_LIST` describes."""
    METHODS[call.__name__] = Method(call.__name__, METHOD_LIST[call.__name__], call)
    return call
