"""A Plan applied by torch to the whole batch at once, on the device of the pixels.

Only element-wise operations and integers: libraries for matrix products and convolutions may add in another order for
another batch.
"""

import functools
import math

import torch
from torch.nn.functional import grid_sample, pad

from core.data.augment.device_plan import DevicePlan
from core.data.augment.on_cpu import TILES
from core.data.augment.plan import normal_levels


def apply_plan(pixels: torch.Tensor, plan: DevicePlan) -> torch.Tensor:
    """uint8 [n, s, s] to float32 [n, s, s] in 0..1."""
    grey = pixels
    if plan.maps is not None:
        grey = warped(grey, plan.maps)
    elif plan.flips is not None:
        grey = flipped(grey, plan.flips)
    grey = with_grey_steps(grey, plan)
    unit = looked_up(grey, plan.tables)
    if plan.spreads is not None:
        unit = unit + noise(plan.keys, unit.shape[-1]) * plan.spreads[:, None, None]
        unit = unit.clamp(0, 1)
    if plan.windows is not None:
        unit = unit.masked_fill(inside(plan.windows, unit), 0.0)
    return unit


def flipped(grey: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Flips by index, which is exact. flips: bool [n, 2], left-right and top-bottom."""
    for axis, flip in ((2, flips[:, 0]), (1, flips[:, 1])):
        grey = torch.where(flip[:, None, None], grey.flip(axis), grey)
    return grey


def with_grey_steps(grey: torch.Tensor, plan: DevicePlan) -> torch.Tensor:
    """The steps between resampling and the table of grey levels, all in uint8 [n, s, s]."""
    if plan.blurs is not None:
        grey = blurred(grey, plan.blurs)
    if plan.sharpness is not None:
        grey = sharpened(grey, plan.sharpness[:, None, None])
    if plan.equalised is not None:
        grey = torch.where(plan.equalised[:, None, None], equalised(grey), grey)
    if plan.clips is not None:
        grey = torch.where((plan.clips > 0)[:, None, None], local_equalised(grey, plan.clips), grey)
    return grey


def inside(windows: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """bool [n, s, s]: the pixels of each sample's window (left, top, right, bottom), int [n, 4]."""
    place = torch.arange(unit.shape[-1], device=unit.device)
    left, top, right, bottom = windows.T[:, :, None]
    rows, columns = (place >= top) & (place < bottom), (place >= left) & (place < right)
    return rows[:, :, None] & columns[:, None, :]


def bytes_of(values: torch.Tensor) -> torch.Tensor:
    """Grey values as uint8: rounded, and limited to 0-255."""
    return values.round().clamp(0, 255).to(torch.uint8)


def looked_up(grey: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
    """Levels mapped by each sample's own table [n, 256]."""
    return tables.gather(1, grey.flatten(1).long()).view(grey.shape)


def warped(grey: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Bilinear, black outside. maps: float32 [n, 3, 3]."""
    side, device = grey.shape[-1], grey.device
    m = maps[:, :, :, None, None]
    place = torch.arange(side, device=device, dtype=torch.float32)
    across, down = place[None, None, :], place[None, :, None]
    x, y, w = (m[:, row, 0] * across + m[:, row, 1] * down + m[:, row, 2] for row in range(3))
    grid = torch.stack([(2 * (x / w) + 1) / side - 1, (2 * (y / w) + 1) / side - 1], dim=-1)
    found = grid_sample(grey[:, None].float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return bytes_of(found[:, 0])


def blurred(grey: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with each sample's weights, float32 [n, taps], edges mirrored."""
    widest = weights.shape[1] // 2
    values = grey.float()
    side = grey.shape[-1]
    for axis in (1, 2):
        mirrored = pad(values[:, None], (0, 0, widest, widest) if axis == 1 else (widest, widest, 0, 0), "reflect")
        values = torch.zeros_like(values)
        for step in range(2 * widest + 1):
            values = values + weights[:, step, None, None] * mirrored[:, 0].narrow(axis, step, side)
    return bytes_of(values)


def sharpened(grey: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Interpolates between the smoothed image (0) and the image (1), or extrapolates (2)."""
    values, side = grey.float(), grey.shape[-1]
    around = 4 * values[:, 1:-1, 1:-1]
    for down in range(3):
        for across in range(3):
            around = around + values[:, down : down + side - 2, across : across + side - 2]
    smooth = values.clone()
    smooth[:, 1:-1, 1:-1] = (around / 13).round()
    return bytes_of(values * factors + smooth * (1 - factors))


def histograms(grey: torch.Tensor) -> torch.Tensor:
    """Number of pixels of each level, [n, 256]; grey is uint8 [n, ...]."""
    flat = grey.flatten(1).long()
    counts = torch.zeros(len(flat), 256, dtype=torch.long, device=grey.device)
    return counts.scatter_add_(1, flat, torch.ones_like(flat))


def equalised(grey: torch.Tensor) -> torch.Tensor:
    """Histogram equalisation; the darkest level becomes 0, as in OpenCV, so a black border does not count."""
    counts, total = histograms(grey), grey[0].numel()
    first = (counts > 0).int().argmax(1, keepdim=True)
    darkest = counts.gather(1, first)
    summed = counts.cumsum(1) - darkest
    scale = 255 / (total - darkest).clamp(min=1).float()
    table = bytes_of(summed.clamp(min=0).float() * scale)
    # An image of one level is unchanged.
    levels = torch.arange(256, device=grey.device, dtype=torch.uint8).expand_as(table)
    return looked_up(grey, torch.where(darkest == total, levels, table))


def local_equalised(grey: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    """CLAHE (Zuiderveld 1994) over 8 x 8 tiles, as in OpenCV: clipped counts are redistributed, tiles interpolated.

    clips: int64 [n], the most pixels of one level in a tile; a sample with 0 is computed and not used.
    """
    count, side = grey.shape[:2]
    tile = -(-side // TILES)
    padded = pad(grey[:, None].float(), (0, tile * TILES - side) * 2, "reflect")[:, 0].to(torch.uint8)
    tiles = padded.view(count, TILES, tile, TILES, tile).permute(0, 1, 3, 2, 4).reshape(-1, tile * tile)
    counts = histograms(tiles)
    most = clips.clamp(min=1).repeat_interleave(TILES * TILES, output_size=len(clips) * TILES * TILES)[:, None]
    over = (counts - most).clamp(min=0).sum(1, keepdim=True)
    counts = torch.minimum(counts, most) + over // 256
    rest = over % 256
    step = torch.div(256, rest.clamp(min=1), rounding_mode="floor").clamp(min=1)
    level = torch.arange(256, device=grey.device)[None]
    counts = counts + ((level % step == 0) & (level // step < rest)).long()
    tables = bytes_of(counts.cumsum(1).float() * (255 / (tile * tile))).view(count, TILES, TILES, 256)
    place = torch.arange(side, device=grey.device) * torch.full((), 1 / tile, device=grey.device) - 0.5
    low = place.floor()
    part, low = place - low, low.long()
    first, second = low.clamp(min=0), (low + 1).clamp(max=TILES - 1)
    flat, values = tables.flatten(1).float(), grey.long()

    def read(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        where = (rows[:, None] * TILES + columns[None, :]) * 256
        return flat.gather(1, (where[None] + values).flatten(1)).view(grey.shape)

    down, across = part[None, :, None], part[None, None, :]
    top = read(first, first) * (1 - across) + read(first, second) * across
    bottom = read(second, first) * (1 - across) + read(second, second) * across
    return bytes_of(top * (1 - down) + bottom * down)


def noise(keys: torch.Tensor, side: int) -> torch.Tensor:
    """The noise of `on_cpu`, float32 [n, side, side], bit for bit."""
    count = torch.arange(1, math.ceil(side * side / 4) + 1, device=keys.device)
    bits = mixed(keys[:, None] + count * _GOLDEN)
    quarters = bits.view(torch.int16)[:, : side * side].long() & 0xFFFF
    return levels_on(keys.device)[quarters].view(-1, side, side)


@functools.cache
def levels_on(device: torch.device) -> torch.Tensor:
    """`normal_levels` on a device, float32 [65536]."""
    return torch.from_numpy(normal_levels()).to(device)


_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def mixed(bits: torch.Tensor) -> torch.Tensor:
    """SplitMix64's mixing function on int64."""

    def right(value: torch.Tensor, by: int) -> torch.Tensor:
        return (value >> by) & ((1 << (64 - by)) - 1)  # torch shifts int64 with its sign

    bits = (bits ^ right(bits, 30)) * _FIRST
    bits = (bits ^ right(bits, 27)) * _SECOND
    return bits ^ right(bits, 31)
