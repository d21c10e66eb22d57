"""The network of the original study: two convolution blocks and a hidden layer, each with a sigmoid."""

import torch
from torch import nn

from core.models.networks.registry import register


class SmallCNN(nn.Module):
    """Two blocks (convolution, batch norm, sigmoid, max pooling), one hidden layer, one logit. From 16 px."""

    def __init__(self, width: int = 16, hidden: int = 64, dropout: float = 0.25):
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(1, width, 5, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.Sigmoid(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 5, padding=2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.Sigmoid(),
            nn.MaxPool2d(2),
        )
        # A fixed grid, so that one network accepts 32, 64 and 128 px.
        self.pool, self.num_features = nn.AdaptiveAvgPool2d(8), 2 * width
        # The norm removes the offset of the sigmoids; without it the network hardly learns (docs/lab-log.md).
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(2 * width * 64),
            nn.Dropout(dropout),
            nn.Linear(2 * width * 64, hidden),
            nn.Sigmoid(),
        )
        self.head = nn.Linear(hidden, 1)

    def get_classifier(self) -> nn.Module:
        """The last layer, named as timm names it."""
        return self.head

    def forward_features(self, radiographs: torch.Tensor) -> torch.Tensor:
        """The last map, named as timm names it."""
        return self.pool(self.blocks(radiographs))

    def forward(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Radiographs [n, channels, height, width] to logits [n, 1]."""
        return self.head(self.hidden(self.forward_features(radiographs)))


@register
def small_cnn(**arguments) -> nn.Module:
    """SmallCNN with this width, these hidden units and this dropout."""
    return SmallCNN(**arguments)
