"""The part of a radiograph inside its black or white borders, for display: padding and collimation take no screen."""

from typing import NamedTuple

import numpy as np
from PIL import Image

_SIDE = 512  # px of the longer side at which borders are looked for; averaging removes noise and JPEG's ringing
_DARK, _BRIGHT = 12, 243  # grey levels: a border is darker, or brighter, along its whole length
_FLAT = 6  # most grey levels between the darkest and the brightest place of a white border
_JUMP = 0.8  # a white border ends where this share of the next row is not white; white tissue ends here and there
_MARGIN = 0.015  # of the side, kept of every border
_LEAST = 0.2  # of the side: a smaller part is not a radiograph, and the whole film is shown


class FilmBox(NamedTuple):
    """A part of a radiograph, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


WHOLE = FilmBox(0.0, 0.0, 1.0, 1.0)


def film_box(grey: np.ndarray) -> FilmBox:
    """The smallest box around all that is neither a black nor a white border of grey uint8 [height, width].

    A row or column belongs to a border only if all of it is black, or all of it is white, so letters and faint soft
    tissue stay. Borders inside borders are removed too. The box of an empty film is the whole film.
    """
    image = Image.fromarray(grey)
    scale = min(1.0, _SIDE / max(image.size))
    small_size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = np.asarray(image.resize(small_size, Image.Resampling.BOX)).astype(np.int16)
    height, width = small.shape
    top, bottom, left, right = 0, height, 0, width
    while True:
        before = top, bottom, left, right
        top += _border(small[top:bottom, left:right])
        bottom -= _border(small[top:bottom, left:right][::-1])
        left += _border(small[top:bottom, left:right].T)
        right -= _border(small[top:bottom, left:right].T[::-1])
        if bottom - top < _LEAST * height or right - left < _LEAST * width:
            return WHOLE
        if (top, bottom, left, right) == before:
            break
    across, down = _MARGIN * width, _MARGIN * height
    return FilmBox(
        max(0.0, (left - across) / width),
        max(0.0, (top - down) / height),
        min(1.0, (right + across) / width),
        min(1.0, (bottom + down) / height),
    )


def _border(rows: np.ndarray) -> int:
    """The number of rows, from the first on, that are one border."""
    if not rows.size:
        return 0
    low, high = rows.min(axis=1), rows.max(axis=1)
    dark = _run(high <= _DARK)
    if dark:
        return dark
    white = _run((low >= _BRIGHT) & (high - low <= _FLAT))
    if white and (white == len(rows) or (rows[white] < _BRIGHT).mean() < _JUMP):
        return 0
    return white


def _run(flags: np.ndarray) -> int:
    """The number of leading True values."""
    return len(flags) if flags.all() else int(flags.argmin())
