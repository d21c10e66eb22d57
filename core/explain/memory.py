"""Batches that fit into memory: a batch that does not fit is halved, and a single row that does not fit is an error."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from core.errors import OverreadError

T = TypeVar("T")

# Messages of allocators that raise a RuntimeError instead of a MemoryError: PyTorch's CPU allocator and oneDNN's.
_OUT_OF_MEMORY = ("allocate memory", "bad_alloc", "out of memory", "could not create a", "failed to allocate")


def batch_that_fits(side: int, views: int = 1) -> int:
    """The batch size that takes as much memory as 8 single views of 224 px, at `side` px and so many views each."""
    return min(64, max(1, round(8 * 224**2 / (views * side**2))))


def retry_with_smaller_batches(call: Callable[[int], T], batch: int, what: str, side: int) -> T:
    """Return `call(batch)`; each time memory runs out, call again with half the batch, down to one row.

    what, side: for the message of the OverreadError where even one row does not fit.
    """
    while True:
        try:
            return call(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if batch == 1:
                raise OverreadError(
                    f"{what} does not fit into memory at {side} px; close other programs, or use a network that "
                    "takes smaller radiographs.",
                    code="out-of-memory",
                ) from error
            batch = max(1, batch // 2)
        # Outside the except clause, whose traceback keeps the tensors alive.
        gc.collect(1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that the memory of a GPU or of this machine ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)
