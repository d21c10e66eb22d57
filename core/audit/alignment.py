"""Aligns one sketch with another that may be a cropped, framed or slightly turned copy of it, and compares the two.

Such a copy keeps its shape, so a scale, an angle and a shift describe where it is in the original. As complex numbers,
in units of the height: place in the first = turn * place in the second + shift. Least squares on the difference of the
two pictures find them from coarse to fine (Lucas and Kanade 1981), for many pairs at once.
"""

from dataclasses import dataclass

import cv2
import numpy as np

# For each level: side of the grid that both are sampled on, steps of least squares, and the likeness that a pair needs
# to reach the next, finer level.
LEVELS = ((16, 3, 0.85), (32, 3, 0.88), (48, 4, 0.0))
# The least share of the second's area that must also be in the first.
_OVERLAP = 0.4
# The most that one step may shift, turn or scale, since larger steps are unreliable.
_STEP = 0.06
_FLOOR = 4.0


@dataclass(frozen=True)
class InitialPlacement:
    """The start values of the least squares: turn and shift, complex [n].

    window: the part of the second that is compared, [n, 4]: left, top, right and bottom in shares of its sides,
    from -0.5 to 0.5.
    """

    turn: np.ndarray
    shift: np.ndarray
    window: np.ndarray


@dataclass(frozen=True)
class _Placement:
    """The place of the second picture in the first: turn and shift, complex [n]; width over height of both [n]."""

    turn: np.ndarray
    shift: np.ndarray
    aspect: np.ndarray
    aspect_of_second: np.ndarray


def align(
    first: np.ndarray,
    second: np.ndarray,
    aspect: np.ndarray,
    aspect_of_second: np.ndarray,
    initial: InitialPlacement,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeness of each aligned pair, 0..1, [n], and how far the alignment moved a corner of the second.

    The likeness is 0 where the pair cannot be aligned. The distance is in shares of the height, [n]. first, second:
    float32 [n, s, s]. aspect, aspect_of_second: width over height [n].
    """
    likeness, remaining = np.zeros(len(first)), np.arange(len(first))
    turn, shift = initial.turn.copy(), initial.shift.copy()
    for size, steps, least in LEVELS:
        if not len(remaining):
            break
        # A cell of one picture is smaller than a cell of the other by `turn`; both are blurred to the same detail.
        scale = np.abs(turn[remaining])
        smooth_first = _smooth(first[remaining], size, scale)
        smooth_second = _smooth(second[remaining], size, 1 / scale)
        aspects = aspect[remaining], aspect_of_second[remaining]
        for step in range(steps + 1):
            placement = _Placement(turn[remaining], shift[remaining], *aspects)
            window = _common_window(placement, initial.window[remaining], 0.75 / size)
            mine, theirs = _sample_pair(placement, window, smooth_first, smooth_second, size)
            if step < steps:
                change = _least_squares_step(_even_out(mine), _even_out(theirs), window, aspects[1])
                shift[remaining] += turn[remaining] * change[1]
                turn[remaining] *= 1 + change[0]
        area = (window[:, 2] - window[:, 0]) * (window[:, 3] - window[:, 1])
        found = np.where(area >= _OVERLAP, likeness_of(mine, theirs), 0)
        if size == LEVELS[-1][0]:
            likeness[remaining] = found
        remaining = remaining[found >= least]
    corners = np.array([-1 - 1j, 1 - 1j])[:, None] / 2
    corners = corners.real * aspect_of_second + 1j * corners.imag
    return likeness, np.abs((turn - 1) * np.concatenate([corners, -corners]) + shift).max(axis=0)


def likeness_of(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation [n] of the local contrast of pictures [n, s, s], as they are or with equalised levels."""
    plain = _correlation(_even_out(mine), _even_out(theirs))
    equalised = _correlation(_even_out(_equalise(mine)), _even_out(_equalise(theirs)))
    return np.maximum(plain, equalised)


def _smooth(pictures: np.ndarray, size: int, scale: np.ndarray) -> np.ndarray:
    sigma = 0.5 * pictures.shape[1] / size
    # A cell is the mean of a square, which is itself a blur with a variance of 1/12 of the side squared.
    sigmas = np.sqrt(np.maximum(scale, 1) ** 2 * (sigma**2 + 1 / 12) - 1 / 12)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), sigma) for picture, sigma in zip(pictures, sigmas)])


def _equalise(pictures: np.ndarray) -> np.ndarray:
    levels = np.clip(pictures, 0, 255).astype(np.uint8)
    return np.stack([cv2.equalizeHist(picture) for picture in levels]).astype(np.float32)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """[size, size], a Gaussian blur of a column; cells outside the picture have no weight."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _even_out(pictures: np.ndarray) -> np.ndarray:
    """Subtract the local mean and divide by the local spread, so that shading and tone curves matter little."""
    blur = _blur_matrix(pictures.shape[1], max(1.5, pictures.shape[1] / 20))
    detail = pictures - blur @ pictures @ blur.T
    return detail / np.sqrt(blur @ (detail**2) @ blur.T + _FLOOR**2)


def _correlation(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    mine, theirs = (each.reshape(len(each), -1) for each in (mine, theirs))
    mine, theirs = (each - each.mean(axis=1, keepdims=True) for each in (mine, theirs))
    lengths = np.sqrt(np.einsum("ij,ij->i", mine, mine) * np.einsum("ij,ij->i", theirs, theirs))
    return np.einsum("ij,ij->i", mine, theirs) / np.maximum(lengths, 1e-6)


def _common_window(placement: _Placement, window: np.ndarray, margin: float) -> np.ndarray:
    """The part of `window` that is also in the first, [n, 4] in shares of the second's sides from -0.5 to 0.5."""
    turn, aspect_of_second = placement.turn, placement.aspect_of_second
    corners = np.array([-0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j, -0.5 + 0.5j])
    in_first = corners.real * placement.aspect[:, None] + 1j * corners.imag
    in_second = (in_first - placement.shift[:, None]) / turn[:, None]
    across, down = in_second.real / aspect_of_second[:, None], in_second.imag
    # A picture that was turned within its own bounds has lost its corners.
    lost = np.abs(np.sin(np.angle(turn))) / 2
    lost_across, lost_down = lost / aspect_of_second, lost * aspect_of_second
    left = np.max([across[:, 0], across[:, 3], window[:, 0], lost_across - 0.5], axis=0)
    right = np.min([across[:, 1], across[:, 2], window[:, 2], 0.5 - lost_across], axis=0)
    top = np.max([down[:, 0], down[:, 1], window[:, 1], lost_down - 0.5], axis=0)
    bottom = np.min([down[:, 2], down[:, 3], window[:, 3], 0.5 - lost_down], axis=0)
    left, top, right, bottom = left + margin, top + margin, right - margin, bottom - margin
    return np.stack([left, top, np.maximum(right, left + 0.1), np.maximum(bottom, top + 0.1)], axis=1)


def _sample_pair(
    placement: _Placement, window: np.ndarray, first: np.ndarray, second: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sample a window of the second, and the same place in the first: float32 [n, size, size] each."""
    turn, shift, aspect = placement.turn, placement.shift, placement.aspect
    count = len(turn)
    sides = np.stack([window[:, 2] - window[:, 0], window[:, 3] - window[:, 1]], axis=1)
    middle = np.stack([window[:, 0] + window[:, 2], window[:, 1] + window[:, 3]], axis=1) / 2
    to_second = np.zeros((count, 2, 2))
    to_second[:, 0, 0], to_second[:, 1, 1] = sides[:, 0], sides[:, 1]
    # From shares of the second's sides to shares of the first's.
    second_to_first = np.empty((count, 2, 2))
    second_to_first[:, 0, 0] = turn.real * placement.aspect_of_second / aspect
    second_to_first[:, 0, 1] = -turn.imag / aspect
    second_to_first[:, 1, 0] = turn.imag * placement.aspect_of_second
    second_to_first[:, 1, 1] = turn.real
    offset = np.stack([shift.real / aspect, shift.imag], axis=1)
    middle_in_first = np.einsum("nij,nj->ni", second_to_first, middle) + offset
    sampled_first = _sample(first, second_to_first @ to_second, middle_in_first, size)
    return sampled_first, _sample(second, to_second, middle, size)


def _sample(pictures: np.ndarray, matrix: np.ndarray, middle: np.ndarray, size: int) -> np.ndarray:
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


def _least_squares_step(
    mine: np.ndarray, theirs: np.ndarray, window: np.ndarray, aspect_of_second: np.ndarray
) -> np.ndarray:
    """The changes of turn and shift that best explain the difference of the pictures, complex [2, n]."""
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
    # Columns of the regression: contrast, brightness, scale, angle, shift across, shift down.
    columns = np.stack(
        [mine, np.ones_like(mine), across * x + down * y, down * x - across * y, across, down], axis=1
    ).reshape(count, 6, -1)
    normal = (columns @ columns.transpose(0, 2, 1)).astype(np.float64)
    normal[:, range(6), range(6)] = normal[:, range(6), range(6)] * 1.001 + 1e-3
    solution = np.linalg.solve(normal, (columns @ theirs.reshape(count, -1, 1)).astype(np.float64))[:, :, 0]
    change = np.clip(solution[:, 2:] / np.maximum(solution[:, :1], 0.3), -_STEP, _STEP)
    return np.stack([change[:, 0] + 1j * change[:, 1], change[:, 2] + 1j * change[:, 3]])
