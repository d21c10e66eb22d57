"""Exports maps for other programs: floating-point values without colours, as NPZ."""

import io
import json
from pathlib import Path

import numpy as np

from core.explain.attribution import Attribution
from core.paths import write_atomically

_DESCRIBED = ("value", "explains", "note", "signed", "layer", "baseline")


def npz_bytes(pixels: np.ndarray, maps: list[Attribution]) -> bytes:
    """Return an NPZ with `pixels` uint8 [s, s], each map float32 [s, s] under its method's name, and `about`, JSON."""
    buffer = io.BytesIO()
    about = {one.method: {key: getattr(one, key) for key in _DESCRIBED} for one in maps}
    # The text is stored as UTF-8 bytes, since reading an array of objects would need pickle.
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez_compressed(buffer, pixels=pixels, about=text, **{one.method: one.map for one in maps})
    return buffer.getvalue()


def write_npz(file: Path, pixels: np.ndarray, maps: list[Attribution]) -> None:
    """Write `npz_bytes` to a file in one step."""
    data = npz_bytes(pixels, maps)
    write_atomically(file, lambda path: path.write_bytes(data))
