"""Refuse a network that cannot fit before memory is asked for it: it is built without storage first, and counted."""

import os
from collections.abc import Callable

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from core.errors import OverreadError

# A larger number in model_kwargs, such as a depth, would take hours even without storage.
_LARGEST = 65_536
_BYTES = 4  # of a parameter
_DRAWS = (
    "normal_",
    "uniform_",
    "trunc_normal_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "xavier_normal_",
    "xavier_uniform_",
)
_ANY = (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError, OSError, MemoryError)


class _WithoutDraws(TorchFunctionMode):
    """Skips the random start of weights. Without storage it has no effect, but torch imports its compiler for it."""

    def __torch_function__(self, function, types, given=(), named=None):
        named = named or {}
        if getattr(function, "__name__", "") in _DRAWS:
            weight = given[0] if given else named.get("tensor")
            if isinstance(weight, torch.Tensor) and weight.is_meta:
                return weight
        return function(*given, **named)


def check_network_size(make: Callable[[], nn.Module], name: str, arguments: dict, most: int = 0) -> None:
    """OverreadError where the network of these arguments has more parameters than `most`, or than the memory holds."""
    if (number := _largest(arguments)) > _LARGEST:
        raise OverreadError(
            f"model_kwargs of {name} has the number {number:,}; expected at most {_LARGEST:,}. Choose a smaller "
            "network.",
            code="network-too-large",
        )
    try:
        with torch.device("meta"), _WithoutDraws():
            count = sum(parameter.numel() for parameter in make().parameters())
    except OverreadError:
        raise
    except _ANY:  # some networks cannot be built without storage; building them later gives the error
        return
    limit = min(most or count, _memory() // _BYTES)
    if count > limit:
        why = "as many as its file of weights may have" if most and limit == most else "as many as the memory holds"
        raise OverreadError(
            f"{name} with model_kwargs {str(arguments)[:80]} has {count:,} parameters; expected at most {limit:,}, "
            f"{why}. Choose a smaller network, or restore the recipe.",
            code="network-too-large",
        )


def _largest(value: object) -> float:
    if isinstance(value, dict):
        return max(map(_largest, value.values()), default=0)
    if isinstance(value, list | tuple):
        return max(max(map(_largest, value), default=0), len(value))
    return abs(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _memory() -> int:
    """Bytes of the machine's memory; very many where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62
