"""Exports maps for other programs: floating-point values without colours, as NPZ."""

import io
import json
from pathlib import Path

import numpy as np

from core.explain.map_record import MapRecord
from core.paths import write_atomically

_DESCRIBED = ("value", "explains", "note", "signed", "layer", "baseline")


def npz_bytes(
    pixels: np.ndarray, records: list[MapRecord], finding: np.ndarray | None = None, attribution: str = ""
) -> bytes:
    """Return an NPZ with `pixels` uint8 [s, s], each map float32 [s, s] under its method's name, and `about`, JSON.

    `about` has each map's facts, its checks and its verdict. finding: the known finding, bool [s, s]. attribution:
    whose work the radiograph is, stored as `attribution` where it is not empty.
    """
    buffer = io.BytesIO()
    maps = [(record, record.attribution) for record in records if record.attribution]
    about = {
        one.method: {key: getattr(one, key) for key in _DESCRIBED} | record.to_dict(finding) for record, one in maps
    }
    # The text is stored as UTF-8 bytes, since reading an array of objects would need pickle.
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    whose = {"attribution": np.frombuffer(attribution.encode(), np.uint8)} if attribution else {}
    np.savez_compressed(buffer, pixels=pixels, about=text, **whose, **{one.method: one.map for _, one in maps})
    return buffer.getvalue()


def write_npz(
    file: Path,
    pixels: np.ndarray,
    records: list[MapRecord],
    finding: np.ndarray | None = None,
    attribution: str = "",
) -> None:
    """Write `npz_bytes` to a file in one step."""
    data = npz_bytes(pixels, records, finding, attribution)
    write_atomically(file, lambda path: path.write_bytes(data))
