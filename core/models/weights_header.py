"""The header of a safetensors file, read without torch: names, types and shapes of its tensors."""

import json
import math
from pathlib import Path

from core.errors import OverreadError, reason_of

_MOST_HEADER = 100_000_000  # bytes, as in the safetensors library


def read_header(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor by name. OverreadError where the file is not safetensors, or is cut off."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if not 2 <= length <= min(size - 8, _MOST_HEADER):
                raise ValueError("it does not begin with a header of safetensors")
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        found, end = {}, 0
        for name, facts in header.items():
            shape = tuple(int(side) for side in facts["shape"])
            start, stop = facts["data_offsets"]
            if min((0, start, *shape)) < 0 or stop < start:
                raise ValueError(f"the tensor {name} has no valid place")
            found[name], end = (str(facts["dtype"]), shape), max(end, stop)
        if end != size - 8 - length:
            raise ValueError(f"it has {size - 8 - length:,} bytes of tensors, and its header names {end:,}")
        return found
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OverreadError(
            f"{file} cannot be read as safetensors ({reason_of(error)}). Restore it, or train the checkpoint again.",
            code="weights-unreadable",
        ) from error


def count_elements(header: dict[str, tuple[str, tuple[int, ...]]]) -> int:
    """The number of elements of all tensors together."""
    return sum(math.prod(shape) for _, shape in header.values())
