"""The quantity that a map explains: the logit of one radiograph or, through the pooling, of a study's score."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from core.device import autocast_for_maps, channels_last
from core.errors import OverreadError

POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}


class MapCancelled(OverreadError):
    """The caller cancelled a map before it was finished."""


def end_if_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raise MapCancelled where the caller no longer wants the map."""
    if cancelled and cancelled():
        raise MapCancelled("The map was cancelled before it was finished; ask for it again.", code="map-cancelled")


def weigh(views: torch.Tensor) -> torch.Tensor:
    """The logit of studies [b] from the logit and the attention of each view [b, n, 2], as attention pools them."""
    return (views[..., 1].softmax(1) * views[..., 0]).sum(1)


def pooling(name: str) -> Callable:
    """Register a function from logits [b, n] to the logit of the study's score [b].

    name: an aggregation of `core.metrics.studies`, such as 'mean'.
    """

    def register(call: Callable) -> Callable:
        POOLINGS[name] = call
        return call

    return register


@pooling("mean")
def mean(logits: torch.Tensor) -> torch.Tensor:
    """Logit of the mean probability, computed by logarithms so that the gradient of certain views does not vanish."""
    return logsigmoid(logits).logsumexp(1) - logsigmoid(-logits).logsumexp(1)


@pooling("max")
def highest(logits: torch.Tensor) -> torch.Tensor:
    """Logit of the most suspicious view."""
    return logits.amax(1)


@pooling("top2")
def top2(logits: torch.Tensor) -> torch.Tensor:
    """Logit of the mean probability of the two most suspicious views, or of the only view."""
    return mean(logits.topk(2 if logits.shape[1] > 1 else 1, dim=1).values)


@pooling("noisy_or")
def noisy_or(logits: torch.Tensor) -> torch.Tensor:
    """Logit of 1 - product of (1 - p)."""
    log_all_normal = logsigmoid(-logits).sum(1)
    return torch.log(-torch.expm1(log_all_normal)) - log_all_normal


@pooling("logit_mean")
def logit_mean(logits: torch.Tensor) -> torch.Tensor:
    """The mean logit."""
    return logits.mean(1)


@pooling("lse")
def lse(logits: torch.Tensor, r: float = 5.0) -> torch.Tensor:
    """Logit of log(mean(exp(r p))) / r."""
    count = torch.tensor(float(logits.shape[1]), device=logits.device)
    score = ((r * logits.sigmoid()).logsumexp(1) - count.log()) / r
    return torch.logit(score.clamp(1e-7, 1 - 1e-7))


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
        end_if_cancelled(self.cancelled)
        rows, count, height, width = views.shape
        flat = channels_last(views.reshape(rows * count, 1, height, width))
        with autocast_for_maps(flat.device) if self.in_half_precision else nullcontext():
            if self.aggregation == "attention":
                logit_and_attention = self.model.views(flat).float().reshape(rows, count, 2)
                return weigh(logit_and_attention)[:, None]
            logits = self.model(flat)[:, 0].float().reshape(rows, count)
        return (POOLINGS[self.aggregation](logits) if self.aggregation else logits[:, 0])[:, None]
