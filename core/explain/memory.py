"""Work in parts that memory holds: fewer rows at once where many do not fit, and one sentence where one does not."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from core.errors import OverreadError

T = TypeVar("T")

# What allocators say where they raise no MemoryError: PyTorch's of the CPU, and oneDNN's.
_SAID = ("allocate memory", "bad_alloc", "out of memory", "could not create a", "failed to allocate")


def at_once(side: int, views: int = 1) -> int:
    """How many squares of `side` px, each of so many views, go through a network at once: what 8 of 224 px hold."""
    return min(64, max(1, round(8 * 224**2 / (views * side**2))))


def in_parts(call: Callable[[int], T], rows: int, what: str, side: int) -> T:
    """`call(rows at once)`; where memory runs out, again with half as many, down to one.

    what, side: for the sentence of the OverreadError where even one row is too many.
    """
    while True:
        try:
            return call(rows)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if rows == 1:
                raise OverreadError(
                    f"{what} does not fit into memory at {side} px; close other work, or use a network of fewer px."
                ) from error
            rows = max(1, rows // 2)
        # Outside the except clause, whose traceback keeps the tensors alive.
        gc.collect(1)


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, of a GPU or of this machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)
