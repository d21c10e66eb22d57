"""Poolings: from the logits of views to the logit of a study's score, for training on whole studies and for maps.

Each has the name of the aggregation in `core.metrics.studies` that it computes. To add one: a function here marked
`@register_pooling`, and one of that name there. All stay finite, with finite gradients, at any finite logit.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import logsigmoid, softplus

# From logits [n], the study of each (int [n], 0 to count - 1) and the number of studies, to logits [count].
Pooling = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
POOLINGS: dict[str, Pooling] = {}


def register_pooling(call: Pooling) -> Pooling:
    """Make a pooling available under its function's name."""
    POOLINGS[call.__name__] = call
    return call


def pool_rows(name: str, logits: torch.Tensor) -> torch.Tensor:
    """Logits [b] of studies with the same number of views each, from logits [b, views]."""
    rows, views = logits.shape
    study = torch.arange(rows, device=logits.device).repeat_interleave(views)
    return POOLINGS[name](logits.flatten(), study, rows)


@register_pooling
def mean(logits: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """Logit of the mean probability."""
    return _log_sum(logsigmoid(logits), study, count) - _log_sum(logsigmoid(-logits), study, count)


@register_pooling
def max(logits: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """Logit of the most suspicious view; equal views share the gradient."""
    return logits.new_full((count,), -torch.inf).scatter_reduce(0, study, logits, "amax")


@register_pooling
def top2(logits: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """Logit of the mean probability of the two most suspicious views, or of the only view."""
    order = logits.detach().argsort(descending=True, stable=True)
    order = order[study[order].argsort(stable=True)]
    sizes = torch.bincount(study, minlength=count)
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[study[order]]
    kept = order[rank < 2]
    return mean(logits[kept], study[kept], count)


@register_pooling
def noisy_or(logits: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """Logit of 1 - product of (1 - p), which is log(exp(s) - 1) with s the sum of log(1 + exp(logit))."""
    # log(1 + exp(x)) is exp(x) far below 0, where float32 has no digits of it left; its logarithm is then x.
    far = logits < -30
    each = torch.where(far, logits, softplus(logits.masked_fill(far, 0.0)).log())
    log_sum = _log_sum(each, study, count)
    small = log_sum < -30
    total = log_sum.masked_fill(small, 0.0).exp()
    return torch.where(small, log_sum, total + torch.log(-torch.expm1(-total)))


@register_pooling
def logit_mean(logits: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """The mean logit."""
    return _mean(logits, study, count)


@register_pooling
def lse(logits: torch.Tensor, study: torch.Tensor, count: int, r: float = 5.0) -> torch.Tensor:
    """Logit of log(mean of exp(r p)) / r."""
    return _log_share(logits, study, count, r) - _log_share(-logits, study, count, -r)


def _log_share(logits: torch.Tensor, study: torch.Tensor, count: int, r: float) -> torch.Tensor:
    """Log of log(mean of exp(r p)) / r, which is log(mean of p) where every p is small; r may be negative."""
    raised = _mean(torch.expm1(r * logits.sigmoid()), study, count)
    small = raised.abs() < 1e-20
    exact = torch.log(torch.log1p(raised.masked_fill(small, 0.5 if r > 0 else -0.5)) / r)
    sizes = torch.bincount(study, minlength=count).clamp(min=1).to(logits.dtype)
    return torch.where(small, _log_sum(logsigmoid(logits), study, count) - sizes.log(), exact)


def _mean(values: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """The mean over each study."""
    sizes = torch.bincount(study, minlength=count).clamp(min=1).to(values.dtype)
    return values.new_zeros(count).index_add(0, study, values) / sizes


def _log_sum(values: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """The logarithm of the sum of exp(values) over each study."""
    # Minus the highest of the study, so that no exponential overflows and one of them is 1.
    top = values.detach().new_full((count,), -torch.inf).scatter_reduce(0, study, values.detach(), "amax")
    return values.new_zeros(count).index_add(0, study, (values - top[study]).exp()).log() + top
