"""A compact residual network for grey radiographs, which removes exposure first and preserves small findings."""

from collections.abc import Sequence

import torch
from torch import nn

from core.models.networks.registry import register


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He 2016); the shortcut of a stride averages first (He 2019)."""

    def __init__(self, before: int, width: int, step: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, step, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        around = [nn.AvgPool2d(2, ceil_mode=True)] if step > 1 else []
        if before != width:
            around += [nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.around, self.relu = nn.Sequential(*around), nn.ReLU()
        # Each block starts as its shortcut, so that depth does not slow the start of training (Goyal 2017).
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps [n, channels, height, width] to maps of half the size, or of the same."""
        return self.relu(self.body(maps) + self.around(maps))


class GreyResNet(nn.Module):
    """Four stages. widths: channels of each; depths: blocks of each. Any square from 32 px."""

    def __init__(
        self, widths: Sequence[int] = (24, 48, 96, 160), depths: Sequence[int] = (1, 2, 2, 1), dropout: float = 0.2
    ):
        super().__init__()
        # Exposure and window differ between devices and say nothing about a bone: each radiograph is normalised alone.
        self.exposure = nn.InstanceNorm2d(1)
        self.stem = nn.Sequential(nn.Conv2d(1, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        stages, before = [], widths[0]
        for place, (width, depth) in enumerate(zip(widths, depths)):
            blocks = []
            for number in range(depth):
                blocks.append(Block(before, width, 2 if place and not number else 1))
                before = width
            stages.append(nn.Sequential(*blocks))
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.dropout, self.num_features = nn.Dropout(dropout), before
        # The mean describes the anatomy, the maximum a finding that covers one percent of the radiograph.
        self.head = nn.Linear(2 * before, 1)

    def get_classifier(self) -> nn.Module:
        """The last layer, named as timm names it."""
        return self.head

    def forward_features(self, radiographs: torch.Tensor) -> torch.Tensor:
        """The last map, named as timm names it."""
        return self.stage4(self.stage3(self.stage2(self.stage1(self.stem(self.exposure(radiographs))))))

    def forward(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Radiographs [n, 1, height, width] to logits [n, 1]."""
        maps = self.forward_features(radiographs)
        return self.head(self.dropout(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)))


@register
def grey_resnet(**arguments) -> nn.Module:
    """GreyResNet with these four widths, four depths and dropout."""
    return GreyResNet(**arguments)
