"""Imports timm without torch's compiler, whose import takes longer than timm's own and which only training uses.

Two lines import it: torchvision asks it one question when regions are pooled, and timm marks methods of one network
family as not to be compiled. Both are put off until they are called.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import torch

from core.deferred_imports import deferred

_disable = torch.compiler.disable


@contextmanager
def _compiler_later() -> Iterator[None]:
    if "torch._dynamo" in sys.modules:
        yield
        return
    torch.compiler.disable = _disable_later
    try:
        with deferred("torch._dynamo.utils", "is_compile_supported"):
            yield
    finally:
        torch.compiler.disable = _disable


def _disable_later(function: Callable | None = None, recursive: bool = True, *, reason: str | None = None) -> Callable:
    """`torch.compiler.disable`, applied when the function is called for the first time."""
    if function is None:
        return lambda one: _disable_later(one, recursive, reason=reason)
    made: list[Callable] = []

    @wraps(function)
    def call(*given, **named):
        if not made:
            made.append(_disable(function, recursive, reason=reason))
        return made[0](*given, **named)

    return call


with _compiler_later():
    import timm  # noqa: F401
