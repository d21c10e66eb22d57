"""Augmentation for training on an NVIDIA GPU: two Triton kernels instead of some forty operations of torch.

Each kernel gives the bits of the operations in `on_device` on the same GPU: products and sums are rounded one by one
where torch runs one kernel each, and together where torch's own kernel does (fused multiply-add). Triton comes with
torch's build for NVIDIA GPUs.
"""

import torch
import triton
import triton.language as tl

from core.data.augment.device_plan import DevicePlan
from core.data.augment.on_device import _FIRST, _GOLDEN, _SECOND, flipped, levels_on, with_grey_steps

BLOCK = 1024  # pixels that one program computes
# Adding and subtracting 2 ** 23 rounds a float32 from 0 to 255 to the nearest whole number, halves to even.
_ROUND = tl.constexpr(8388608.0)
_STEP, _MIX_1, _MIX_2 = tl.constexpr(_GOLDEN), tl.constexpr(_FIRST), tl.constexpr(_SECOND)


def normalised(
    pixels: torch.Tensor, rows: torch.Tensor, plan: DevicePlan, mean: float, deviation: float
) -> torch.Tensor:
    """The network's input: these rows of uint8 [N, s, s], augmented by the plan, as float32 [n, s, s].

    rows: int64 [n], on the device of the pixels.
    """
    side = pixels.shape[-1]
    if plan.maps is None:
        grey = pixels[rows]
        grey = grey if plan.flips is None else flipped(grey, plan.flips)
    else:
        grey = warped(pixels, rows, plan.maps)
    grey = with_grey_steps(grey, plan).contiguous()
    made = torch.empty(grey.shape, dtype=torch.float32, device=grey.device)
    noisy, erased = plan.spreads is not None, plan.windows is not None
    _finish[(triton.cdiv(side * side, BLOCK), len(grey))](
        grey,
        plan.tables,
        plan.keys,
        plan.spreads if noisy else plan.tables,
        levels_on(grey.device) if noisy else plan.tables,
        plan.windows if erased else plan.keys,
        made,
        side,
        plan.tables.stride(0),
        mean,
        _reciprocal(deviation),
        noisy,
        erased,
        BLOCK,
        enable_fp_fusion=False,
    )
    return made


def warped(pixels: torch.Tensor, rows: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """uint8 [n, s, s]: these rows, each through its own map float32 [n, 3, 3], bilinear, black outside."""
    side = pixels.shape[-1]
    made = torch.empty((len(rows), side, side), dtype=torch.uint8, device=pixels.device)
    grid = (triton.cdiv(side * side, BLOCK), len(rows))
    _warp[grid](pixels, rows, maps, made, side, _reciprocal(side), BLOCK, enable_fp_fusion=False)
    return made


def _reciprocal(number: float) -> float:
    """1 / number as float32, by which torch multiplies on a GPU where a tensor is divided by a number."""
    return (torch.ones((), dtype=torch.float32) / torch.tensor(number, dtype=torch.float32)).item()


@triton.jit
def _warp(pixels, rows, maps, made, side, one_over_side, BLOCK: tl.constexpr):
    sample = tl.program_id(1)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    within = place < side * side
    across, down = (place % side).to(tl.float32), (place // side).to(tl.float32)
    at = maps + sample * 9
    x = tl.load(at) * across + tl.load(at + 1) * down + tl.load(at + 2)
    y = tl.load(at + 3) * across + tl.load(at + 4) * down + tl.load(at + 5)
    w = tl.load(at + 6) * across + tl.load(at + 7) * down + tl.load(at + 8)
    # To the coordinates -1..1 of grid_sample and back to pixels, since that rounds.
    grid_x = (2 * tl.div_rn(x, w) + 1) * one_over_side - 1
    grid_y = (2 * tl.div_rn(y, w) + 1) * one_over_side - 1
    source_x = tl.fma(grid_x + 1, side * 1.0, -1.0) * 0.5
    source_y = tl.fma(grid_y + 1, side * 1.0, -1.0) * 0.5
    left, top = tl.floor(source_x), tl.floor(source_y)
    # Far outside, where a whole number would overflow, everything is black.
    left = tl.minimum(tl.maximum(left, -2.0), side * 1.0)
    top = tl.minimum(tl.maximum(top, -2.0), side * 1.0)
    column, row = left.to(tl.int32), top.to(tl.int32)
    to_left, to_top = source_x - left, source_y - top
    to_right, to_bottom = left + 1 - source_x, top + 1 - source_y
    start = pixels + tl.load(rows + sample).to(tl.int64) * side * side
    has_left, has_right = (column >= 0) & (column < side), (column >= -1) & (column < side - 1)
    has_top, has_bottom = (row >= 0) & (row < side), (row >= -1) & (row < side - 1)
    corner = start + row * side + column
    found = tl.load(corner, within & has_left & has_top, 0).to(tl.float32) * (to_right * to_bottom)
    value = tl.load(corner + 1, within & has_right & has_top, 0).to(tl.float32)
    found = tl.fma(value, to_left * to_bottom, found)
    value = tl.load(corner + side, within & has_left & has_bottom, 0).to(tl.float32)
    found = tl.fma(value, to_right * to_top, found)
    value = tl.load(corner + side + 1, within & has_right & has_bottom, 0).to(tl.float32)
    found = tl.fma(value, to_left * to_top, found)
    level = tl.minimum(tl.maximum((found + _ROUND) - _ROUND, 0.0), 255.0)
    tl.store(made + sample.to(tl.int64) * side * side + place, level.to(tl.uint8), within)


@triton.jit
def _finish(
    grey,
    tables,
    keys,
    spreads,
    levels,
    windows,
    made,
    side,
    table_stride,
    mean,
    one_over_deviation,
    NOISY: tl.constexpr,
    ERASED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    sample = tl.program_id(1)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    within = place < side * side
    first = sample.to(tl.int64) * side * side
    level = tl.load(grey + first + place, within, 0).to(tl.int32)
    unit = tl.load(tables + sample * table_stride + level)
    if NOISY:
        # SplitMix64, as `noise` in `on_device`; four pixels share one random number.
        bits = (tl.load(keys + sample) + (place // 4 + 1).to(tl.int64) * _STEP).to(tl.uint64, bitcast=True)
        bits = ((bits ^ (bits >> 30)).to(tl.int64, bitcast=True) * _MIX_1).to(tl.uint64, bitcast=True)
        bits = ((bits ^ (bits >> 27)).to(tl.int64, bitcast=True) * _MIX_2).to(tl.uint64, bitcast=True)
        bits = bits ^ (bits >> 31)
        quarter = (bits >> ((place % 4) * 16).to(tl.uint64)) & 0xFFFF
        unit = unit + tl.load(levels + quarter.to(tl.int32)) * tl.load(spreads + sample)
        unit = tl.minimum(tl.maximum(unit, 0.0), 1.0)
    if ERASED:
        window = windows + sample * 4
        across, down = place % side, place // side
        covered = (across >= tl.load(window)) & (across < tl.load(window + 2))
        covered = covered & (down >= tl.load(window + 1)) & (down < tl.load(window + 3))
        unit = tl.where(covered, 0.0, unit)
    tl.store(made + first + place, (unit - mean) * one_over_deviation, within)
