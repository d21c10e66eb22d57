"""Where the cells of a feature map lie on the radiograph.

A 3 x 3 convolution of stride 2 padded by 1 centres its cell i on pixel 2 i, not on 2 i + .5. Five of them add up to
half a cell of the last map: 15.5 of 32 pixels. So a coarse map is drawn where its cells look, not from edge to edge.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Cells:
    """Cell i of a map is centred on pixel `start + i * step`, along both sides."""

    start: float
    step: float


def spread(side: int, cells: int) -> Cells:
    """Cells that tile a side of that many pixels from edge to edge, as the patches of a transformer do."""
    return Cells((side / cells - 1) / 2, side / cells)


class Geometry:
    """Follows a forward pass module by module: what is known of maps of each side. `note` is called in order.

    Branches that meet need not lie alike: the shortcut of a ResNet-D averages 2 x 2 pixels where its other branch steps
    by 2. Their mean is taken.
    """

    def __init__(self, side: int):
        self.side, self.ways = side, {side: {side: [Cells(0.0, 1.0)]}}

    def note(self, module: nn.Module, given: object, output: torch.Tensor) -> None:
        """One leaf module's call. A side is reached from the first side that leads to it, by one branch or several."""
        if not (isinstance(given, torch.Tensor) and given.ndim == output.ndim == 4):
            return
        before, after = given.shape[-1], output.shape[-1]
        if given.shape[-2] != before or output.shape[-2] != after or before == after:
            return
        ways = self.ways.setdefault(after, {before: []})
        if before in ways:
            ways[before].append(self._after(module, before, after))

    def of(self, cells: int) -> Cells:
        """Where the cells of a map with so many a side lie; spread from edge to edge where that is not known."""
        (ways,) = self.ways.get(cells, {0: []}).values()
        if not ways:
            return spread(self.side, cells)
        return Cells(sum(way.start for way in ways) / len(ways), sum(way.step for way in ways) / len(ways))

    def _after(self, module: nn.Module, before: int, after: int) -> Cells:
        given = self.of(before)
        window = getattr(module, "kernel_size", None) or getattr(module, "filt_size", None)
        if not window or isinstance(module, nn.ConvTranspose2d) or after > before:
            within = spread(before, after)
            return Cells(given.start + given.step * within.start, given.step * within.step)
        stride, wide = _first(module.stride), (_first(window) - 1) * _first(getattr(module, "dilation", 1)) + 1
        # TensorFlow's "same", which timm names so, puts the odd pixel of padding at the far end.
        same = type(module).__name__.endswith("Same") or module.padding == "same"
        padding = max((after - 1) * stride + wide - before, 0) // 2 if same else _first(module.padding)
        return Cells(given.start + given.step * ((wide - 1) / 2 - padding), given.step * stride)


def draw(coarse: torch.Tensor, cells: Cells, side: int) -> torch.Tensor:
    """Maps [b, 1, h, h] as [b, 1, side, side]: each cell at its own centre, linear between, the last one outwards."""
    across = coarse.shape[-1]
    place = (torch.arange(side, device=coarse.device, dtype=torch.float32) - cells.start) / cells.step
    along = 2 * place / max(across - 1, 1) - 1
    down, right = torch.meshgrid(along, along, indexing="ij")
    grid = torch.stack([right, down], -1)[None].expand(len(coarse), -1, -1, -1)
    return functional.grid_sample(coarse.float(), grid, padding_mode="border", align_corners=True)


def _first(value) -> int:
    return int(value[0] if isinstance(value, (tuple, list)) else value)
