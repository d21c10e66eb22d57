"""Maps for other programs: floats without colours as NPZ, and what was seen as PNG."""

import json
from pathlib import Path

import numpy as np

from core.explain.attribution import Attribution
from core.paths import write_atomically


def npz_bytes(pixels: np.ndarray, maps: list[Attribution]) -> bytes:
    """An NPZ: `pixels` uint8 [s, s], each map under its method's name float32 [s, s], and `about`, JSON text."""
    import io

    buffer = io.BytesIO()
    about = {
        found.method: {key: getattr(found, key) for key in ("value", "explains", "note", "signed", "layer", "baseline")}
        for found in maps
    }
    # Text as bytes of UTF-8: an array of objects would need pickle to be read.
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez_compressed(buffer, pixels=pixels, about=text, **{found.method: found.map for found in maps})
    return buffer.getvalue()


def write_npz(file: Path, pixels: np.ndarray, maps: list[Attribution]) -> None:
    """Put `npz_bytes` in place in one step."""
    data = npz_bytes(pixels, maps)
    write_atomically(file, lambda path: path.write_bytes(data))
