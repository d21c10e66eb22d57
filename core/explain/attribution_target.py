"""The quantity that a map explains: the logit of one radiograph or, through the pooling, of a study's score."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from core.device import autocast_for_maps, channels_last
from core.errors import OverreadError
from core.models.networks.poolings import POOLINGS, pool_rows


class MapCancelled(OverreadError):
    """The caller cancelled a map before it was finished."""


def end_if_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raise MapCancelled where the caller no longer wants the map."""
    if cancelled and cancelled():
        raise MapCancelled("The map was cancelled before it was finished; ask for it again.", code="map-cancelled")


def weigh(views: torch.Tensor) -> torch.Tensor:
    """The logit of studies [b] from the logit and the attention of each view [b, n, 2], as attention pools them."""
    return (views[..., 1].softmax(1) * views[..., 0]).sum(1)


class AttributionTarget(nn.Module):
    """Maps the views of one study [b, n, s, s] to the explained value [b, 1].

    With one view and the aggregation '', the value is that radiograph's own logit.
    """

    def __init__(self, model: nn.Module, aggregation: str = "", cancelled: Callable[[], bool] | None = None):
        super().__init__()
        model_weighs_views = aggregation == "attention" and getattr(model, "reads_studies", False)
        if aggregation and aggregation not in POOLINGS and not model_weighs_views:
            raise OverreadError(
                f"The aggregation {aggregation!r} is unknown for this network; choose one of {', '.join(POOLINGS)}.",
                code="aggregation-unknown",
            )
        self.model, self.aggregation, self.cancelled = model, aggregation, cancelled
        self.in_half_precision = False

    @contextmanager
    def half_precision(self) -> Iterator[None]:
        """Use half precision in this block where the processor has it, for methods that need many passes."""
        self.in_half_precision = True
        try:
            yield
        finally:
            self.in_half_precision = False

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """Logits [n, 1] of radiographs [n, channels, height, width]; [1, 1] if they are the views of one study."""
        end_if_cancelled(self.cancelled)
        rows, count, height, width = views.shape
        flat = channels_last(views.reshape(rows * count, 1, height, width))
        with autocast_for_maps(flat.device) if self.in_half_precision else nullcontext():
            if self.aggregation == "attention":
                logit_and_attention = self.model.views(flat).float().reshape(rows, count, 2)
                return weigh(logit_and_attention)[:, None]
            logits = self.model(flat)[:, 0].float().reshape(rows, count)
        return (pool_rows(self.aggregation, logits) if self.aggregation else logits[:, 0])[:, None]
