"""How one sketch lies in another, and how alike they are where both show the same: crops, borders, slight turns.

A copy that was cropped, framed or turned keeps its shape: one scale, one angle and a shift say where it lies, two
complex numbers in units of the height: place in the first = turn x place in the second + shift. They are found from
coarse to fine by least squares on the difference of the two (Lucas and Kanade 1981), many pairs at once.
"""

from dataclasses import dataclass

import cv2
import numpy as np

# Side of the grid that both are sampled on, steps of least squares, and what is asked before the next, finer one.
LEVELS = ((16, 3, 0.85), (32, 3, 0.88), (48, 4, 0.0))
# Share of the second's area that must lie in the first.
_OVERLAP = 0.4
# The most that one step may shift, turn or scale; steps beyond are wrong anyway.
_STEP = 0.06
_FLOOR = 4.0


@dataclass(frozen=True)
class Start:
    """Where to begin: turn and shift, complex [n]; window: what of the second is looked at, as `_common` gives it."""

    turn: np.ndarray
    shift: np.ndarray
    window: np.ndarray


def aligned(
    first: np.ndarray, second: np.ndarray, aspect: np.ndarray, aspect_of_second: np.ndarray, start: Start
) -> tuple[np.ndarray, np.ndarray]:
    """How alike pairs are where both show the same, 0..1, float [n]; 0 where they cannot be laid on each other.

    And by how much, in shares of the height, a corner of the second lies elsewhere in the first than it lies itself.

    first, second: float32 [n, s, s]. aspects: width over height [n].
    """
    likeness, left = np.zeros(len(first)), np.arange(len(first))
    turn, shift = start.turn.copy(), start.shift.copy()
    for size, steps, least in LEVELS:
        if not len(left):
            break
        # A cell of the one is finer by `turn` than one of the other: both are blurred to the same.
        finer = np.abs(turn[left])
        smooth = _smooth(first[left], size, finer), _smooth(second[left], size, 1 / finer)
        shapes = aspect[left], aspect_of_second[left], start.window[left]
        for step in range(steps + 1):
            window = _common(turn[left], shift[left], *shapes, 0.75 / size)
            mine, theirs = _through(window, turn[left], shift[left], *shapes[:2], *smooth, size)
            if step < steps:
                change = _change(_evened_out(mine), _evened_out(theirs), window, shapes[1])
                shift[left] += turn[left] * change[1]
                turn[left] *= 1 + change[0]
        area = (window[:, 2] - window[:, 0]) * (window[:, 3] - window[:, 1])
        found = np.where(area >= _OVERLAP, likeness_of(mine, theirs), 0)
        if size == LEVELS[-1][0]:
            likeness[left] = found
        left = left[found >= least]
    corners = np.array([-1 - 1j, 1 - 1j])[:, None] / 2
    corners = corners.real * aspect_of_second + 1j * corners.imag
    return likeness, np.abs((turn - 1) * np.concatenate([corners, -corners]) + shift).max(axis=0)


def likeness_of(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation [n] of two pictures [n, s, s] in their local contrast; as they are or with equalised levels."""
    plain = _correlation(_evened_out(mine), _evened_out(theirs))
    equal = _correlation(_evened_out(_equalised(mine)), _evened_out(_equalised(theirs)))
    return np.maximum(plain, equal)


def _smooth(pictures: np.ndarray, size: int, finer: np.ndarray) -> np.ndarray:
    sigma = 0.5 * pictures.shape[1] / size
    # A cell is the mean of a square: its own blur is 1/12 of its side squared.
    sigmas = np.sqrt(np.maximum(finer, 1) ** 2 * (sigma**2 + 1 / 12) - 1 / 12)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), sigma) for picture, sigma in zip(pictures, sigmas)])


def _equalised(pictures: np.ndarray) -> np.ndarray:
    levels = np.clip(pictures, 0, 255).astype(np.uint8)
    return np.stack([cv2.equalizeHist(picture) for picture in levels]).astype(np.float32)


def _blurring(size: int, sigma: float) -> np.ndarray:
    """[size, size], which blurs a column; what lies outside counts nothing."""
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _evened_out(pictures: np.ndarray) -> np.ndarray:
    """Less the local mean, over the local spread: neither shading nor a tone curve counts for much."""
    blur = _blurring(pictures.shape[1], max(1.5, pictures.shape[1] / 20))
    detail = pictures - blur @ pictures @ blur.T
    return detail / np.sqrt(blur @ (detail**2) @ blur.T + _FLOOR**2)


def _correlation(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    mine, theirs = (each.reshape(len(each), -1) for each in (mine, theirs))
    mine, theirs = (each - each.mean(axis=1, keepdims=True) for each in (mine, theirs))
    lengths = np.sqrt(np.einsum("ij,ij->i", mine, mine) * np.einsum("ij,ij->i", theirs, theirs))
    return np.einsum("ij,ij->i", mine, theirs) / np.maximum(lengths, 1e-6)


def _common(turn, shift, aspect, aspect_of_second, window, margin) -> np.ndarray:
    """What of the second lies in the first as well, a window [n, 4] in shares of its sides from -.5 to .5."""
    corners = np.array([-0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j, -0.5 + 0.5j])
    there = corners.real * aspect[:, None] + 1j * corners.imag
    back = (there - shift[:, None]) / turn[:, None]
    across, down = back.real / aspect_of_second[:, None], back.imag
    # A picture that was turned where it lies has lost its corners.
    lost = np.abs(np.sin(np.angle(turn))) / 2
    lost_across, lost_down = lost / aspect_of_second, lost * aspect_of_second
    left = np.max([across[:, 0], across[:, 3], window[:, 0], lost_across - 0.5], axis=0)
    right = np.min([across[:, 1], across[:, 2], window[:, 2], 0.5 - lost_across], axis=0)
    top = np.max([down[:, 0], down[:, 1], window[:, 1], lost_down - 0.5], axis=0)
    bottom = np.min([down[:, 2], down[:, 3], window[:, 3], 0.5 - lost_down], axis=0)
    left, top, right, bottom = left + margin, top + margin, right - margin, bottom - margin
    return np.stack([left, top, np.maximum(right, left + 0.1), np.maximum(bottom, top + 0.1)], axis=1)


def _through(window, turn, shift, aspect, aspect_of_second, first, second, size) -> tuple[np.ndarray, np.ndarray]:
    """Both seen through a window of the second: float32 [n, size, size] each."""
    count = len(turn)
    sides = np.stack([window[:, 2] - window[:, 0], window[:, 3] - window[:, 1]], axis=1)
    middle = np.stack([window[:, 0] + window[:, 2], window[:, 1] + window[:, 3]], axis=1) / 2
    look = np.zeros((count, 2, 2))
    look[:, 0, 0], look[:, 1, 1] = sides[:, 0], sides[:, 1]
    # From shares of the second's sides to shares of the first's.
    across = np.empty((count, 2, 2))
    across[:, 0, 0], across[:, 0, 1] = turn.real * aspect_of_second / aspect, -turn.imag / aspect
    across[:, 1, 0], across[:, 1, 1] = turn.imag * aspect_of_second, turn.real
    offset = np.stack([shift.real / aspect, shift.imag], axis=1)
    there = np.einsum("nij,nj->ni", across, middle) + offset
    return _sampled(first, across @ look, there, size), _sampled(second, look, middle, size)


def _sampled(pictures: np.ndarray, matrix: np.ndarray, middle: np.ndarray, size: int) -> np.ndarray:
    side = pictures.shape[1]
    steps = np.empty((len(pictures), 2, 3))
    steps[:, :, :2] = side / size * matrix
    steps[:, :, 2] = side * (matrix @ np.full(2, 0.5 / size - 0.5) + middle + 0.5) - 0.5
    out = np.empty((len(pictures), size, size), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for place, picture in enumerate(pictures):
        cv2.warpAffine(
            picture, steps[place], (size, size), dst=out[place], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
    return out


def _change(mine, theirs, window, aspect_of_second) -> np.ndarray:
    """By how much the second's places are to be turned and shifted, complex [2, n]: least squares of the difference."""
    count, size = len(mine), mine.shape[1]
    grid = (np.arange(size) + 0.5) / size - 0.5
    sides = window[:, 2] - window[:, 0], window[:, 3] - window[:, 1]
    x = (window[:, 0] + sides[0] / 2)[:, None, None] + sides[0][:, None, None] * grid[None, None, :]
    y = (window[:, 1] + sides[1] / 2)[:, None, None] + sides[1][:, None, None] * grid[None, :, None]
    x = np.broadcast_to(x * aspect_of_second[:, None, None], mine.shape).astype(np.float32)
    y = np.broadcast_to(y, mine.shape).astype(np.float32)
    down, across = np.gradient(mine, axis=(1, 2))
    across *= (size / (sides[0] * aspect_of_second)).astype(np.float32)[:, None, None]
    down *= (size / sides[1]).astype(np.float32)[:, None, None]
    ways = np.stack(
        [mine, np.ones_like(mine), across * x + down * y, down * x - across * y, across, down], axis=1
    ).reshape(count, 6, -1)
    normal = (ways @ ways.transpose(0, 2, 1)).astype(np.float64)
    normal[:, range(6), range(6)] = normal[:, range(6), range(6)] * 1.001 + 1e-3
    found = np.linalg.solve(normal, (ways @ theirs.reshape(count, -1, 1)).astype(np.float64))[:, :, 0]
    change = np.clip(found[:, 2:] / np.maximum(found[:, :1], 0.3), -_STEP, _STEP)
    return np.stack([change[:, 0] + 1j * change[:, 1], change[:, 2] + 1j * change[:, 3]])
