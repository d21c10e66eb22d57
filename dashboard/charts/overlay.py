"""An attribution map as a transparent picture, laid over its radiograph at any opacity."""

import io

import numpy as np
from PIL import Image

# Magma, as control points between which colours run linearly: perceptually even, and readable without colour.
_MAGMA = ("#000004", "#180F3D", "#440F76", "#721F81", "#9E2F7F", "#CD4071", "#F1605D", "#FD9668", "#FECA8D", "#FCFDBF")
_TABLE = np.stack(
    [
        np.interp(
            np.linspace(0, 1, 256),
            np.linspace(0, 1, len(_MAGMA)),
            [int(colour[place : place + 2], 16) for colour in _MAGMA],
        )
        for place in (1, 3, 5)
    ],
    axis=1,
).astype(np.uint8)
POLARITIES = {"towards abnormal": 1.0, "towards normal": -1.0, "either way": 0.0}


def strength(signed: np.ndarray, polarity: str) -> np.ndarray:
    """A signed map as 0..1: one side of it, or its magnitude, over the 99.5th percentile of the magnitude.

    One scale for all polarities of a map, so that a side on which little happens looks like little.
    """
    signed = np.nan_to_num(np.asarray(signed, dtype=np.float32))
    top = float(np.percentile(np.abs(signed), 99.5)) or float(np.abs(signed).max())
    side = np.abs(signed) if POLARITIES[polarity] == 0 else np.maximum(POLARITIES[polarity] * signed, 0)
    return np.clip(side / top, 0, 1) if top > 0 else np.zeros_like(side)


def is_blank(signed: np.ndarray, polarity: str) -> bool:
    """Whether a side of a map has nothing that could be seen: none of it reaches a tenth of the map's strength."""
    return bool(strength(signed, polarity).max() < 0.1)


def overlay_png(signed: np.ndarray, polarity: str) -> bytes:
    """RGBA PNG in magma; where nothing happens it is clear, so the radiograph stays visible beneath."""
    level = strength(signed, polarity)
    colours = _TABLE[(level * 255).astype(np.uint8)]
    # The clear end rises fast, so that middling values are seen; zero stays fully clear.
    alpha = (255 * np.sqrt(level)).astype(np.uint8)[..., None]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate([colours, alpha], axis=2), "RGBA").save(buffer, "PNG")
    return buffer.getvalue()
