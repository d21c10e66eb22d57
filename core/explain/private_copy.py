"""A private copy of a network for maps, so that scoring never runs through one of Captum's hooks."""

import copy
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import nn

from core.device import move_to_device


@dataclass
class PrivateCopy:
    """A copy of a network, and the lock that lets one caller at a time add hooks to it.

    layers: the layers found so far, as `core.explain.layers.cached_layer` stores them.
    """

    model: nn.Module
    lock: threading.Lock = field(default_factory=threading.Lock)
    layers: dict = field(default_factory=dict)


_COPIES: "weakref.WeakKeyDictionary[nn.Module, PrivateCopy]" = weakref.WeakKeyDictionary()
_COPIES_LOCK = threading.Lock()


def private_copy(model: nn.Module) -> PrivateCopy:
    """Return the copy of a network that maps are made on; it is made once.

    The copy is frozen, in eval mode and without in-place activations, which overwrite values that some methods read.
    """
    with _COPIES_LOCK:
        if model not in _COPIES:
            made = copy.deepcopy(model).eval().requires_grad_(False)
            # A network without weights, such as a formula in a test, has no device.
            if (weight := next(made.parameters(), None)) is not None:
                made = move_to_device(made, weight.device)
                _start_backward_thread(weight.device)
            for module in made.modules():
                if getattr(module, "inplace", False) is True:
                    module.inplace = False
            _COPIES[model] = PrivateCopy(made)
        return _COPIES[model]


@cache
def _start_backward_thread(device: torch.device) -> None:
    """Run one small kernel backwards on a GPU, once in a process.

    A backward pass runs in a thread of torch's own, which has no CUDA context before its first kernel. Where that is a
    matrix product, cuBLAS sets the context itself and warns.
    """
    if device.type == "cuda":
        with torch.enable_grad():
            start = torch.ones(1, device=device, requires_grad=True)
            (2 * start).sum().backward()


@contextmanager
def locked_copy(model: nn.Module) -> Iterator[PrivateCopy]:
    """Lend the private copy to one caller at a time. A copy on which a method left hooks is replaced by a new one."""
    while True:
        lent = private_copy(model)
        with lent.lock:
            # The caller before may have failed while this one waited for the lock.
            if not count_hooks(lent.model):
                try:
                    yield lent
                finally:
                    if count_hooks(lent.model):
                        _discard(model, lent)
                return
            _discard(model, lent)


def _discard(model: nn.Module, lent: PrivateCopy) -> None:
    with _COPIES_LOCK:
        if _COPIES.get(model) is lent:
            del _COPIES[model]


def count_hooks(model: nn.Module) -> int:
    """The number of hooks on the modules of a network."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)
