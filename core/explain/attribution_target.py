"""The quantity a map explains: one radiograph's logit or, through the pooling, the logit of a study's score."""

import copy
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from core.device import autocast_for_maps, channels_last, placed
from core.errors import OverreadError

POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}


class Cancelled(OverreadError):
    """Somebody asked to stop half-way."""


def pooling(name: str) -> Callable:
    """Register logits [b, n] -> logit of the study's score [b] under the name that `core.metrics.studies` gives it."""

    def keep(call: Callable) -> Callable:
        POOLINGS[name] = call
        return call

    return keep


@pooling("mean")
def mean(logits: torch.Tensor) -> torch.Tensor:
    """Of the mean probability. By logarithms, so that sure views keep a gradient."""
    return logsigmoid(logits).logsumexp(1) - logsigmoid(-logits).logsumexp(1)


@pooling("max")
def highest(logits: torch.Tensor) -> torch.Tensor:
    """Of the most suspicious view."""
    return logits.amax(1)


@pooling("top2")
def top2(logits: torch.Tensor) -> torch.Tensor:
    """Of the mean of the two most suspicious views, or of the one there is."""
    return mean(logits.topk(2 if logits.shape[1] > 1 else 1, dim=1).values)


@pooling("noisy_or")
def noisy_or(logits: torch.Tensor) -> torch.Tensor:
    """Of 1 - product of (1 - p)."""
    clear = logsigmoid(-logits).sum(1)
    return torch.log(-torch.expm1(clear)) - clear


@pooling("logit_mean")
def logit_mean(logits: torch.Tensor) -> torch.Tensor:
    """The mean logit."""
    return logits.mean(1)


@pooling("lse")
def lse(logits: torch.Tensor, r: float = 5.0) -> torch.Tensor:
    """Of the log of the mean of exp(r p), over r."""
    count = torch.tensor(float(logits.shape[1]), device=logits.device)
    score = ((r * logits.sigmoid()).logsumexp(1) - count.log()) / r
    return torch.logit(score.clamp(1e-7, 1 - 1e-7))


class Explained(nn.Module):
    """Views of one study [b, n, s, s] to one value [b, 1]; with one view and no pooling, that radiograph's logit."""

    def __init__(self, model: nn.Module, aggregation: str = "", cancelled: Callable[[], bool] | None = None):
        super().__init__()
        weighs = aggregation == "attention" and getattr(model, "reads_studies", False)
        if aggregation and aggregation not in POOLINGS and not weighs:
            raise OverreadError(f"The aggregation {aggregation!r} is not known; choose one of {', '.join(POOLINGS)}.")
        self.model, self.aggregation, self.cancelled, self.fast = model, aggregation, cancelled, False

    @contextmanager
    def quick(self) -> Iterator[None]:
        """Within it, half precision where the processor has it: for methods that ask the network many times."""
        self.fast = True
        try:
            yield
        finally:
            self.fast = False

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        if self.cancelled and self.cancelled():
            raise Cancelled("The map was cancelled before it was done; ask for it again.")
        rows, count, height, width = views.shape
        flat = channels_last(views.reshape(rows * count, 1, height, width))
        with autocast_for_maps(flat.device) if self.fast else nullcontext():
            if self.aggregation == "attention":
                told = self.model.views(flat).float().reshape(rows, count, 2)
                return (told[..., 1].softmax(1) * told[..., 0]).sum(1, keepdim=True)
            logits = self.model(flat)[:, 0].float().reshape(rows, count)
        return (POOLINGS[self.aggregation](logits) if self.aggregation else logits[:, 0])[:, None]


@dataclass
class Copy:
    """A network of its own to hang hooks on, and the lock that lets one visitor at a time do so.

    layers: Grad-CAM's layer by (name asked for, side of the radiograph), found once.
    """

    model: nn.Module
    lock: threading.Lock = field(default_factory=threading.Lock)
    layers: dict = field(default_factory=dict)


_COPIES: "weakref.WeakKeyDictionary[nn.Module, Copy]" = weakref.WeakKeyDictionary()
_MAKING = threading.Lock()


def private_copy(model: nn.Module) -> Copy:
    """The copy of a network that maps are made on, so that scoring never meets one of Captum's hooks.

    Frozen, in eval mode, and with no activation in place: some methods read what an in-place one would overwrite.
    """
    with _MAKING:
        if model not in _COPIES:
            made = copy.deepcopy(model).eval().requires_grad_(False)
            # A network without a weight, a formula, lies nowhere.
            if (weight := next(made.parameters(), None)) is not None:
                made = placed(made, weight.device)
            for module in made.modules():
                if getattr(module, "inplace", False) is True:
                    module.inplace = False
            _COPIES[model] = Copy(made)
        return _COPIES[model]


@contextmanager
def held_copy(model: nn.Module) -> Iterator[Copy]:
    """The private copy for one visitor alone. One on which a method left its hooks answers nobody else."""
    while True:
        copy = private_copy(model)
        with copy.lock:
            # Whoever held it before may have failed while this visitor waited for it.
            if not hooks_on(copy.model):
                try:
                    yield copy
                finally:
                    if hooks_on(copy.model):
                        _forget(model, copy)
                return
            _forget(model, copy)


def _forget(model: nn.Module, copy: Copy) -> None:
    with _MAKING:
        if _COPIES.get(model) is copy:
            del _COPIES[model]


def hooks_on(model: nn.Module) -> int:
    """How many hooks hang on a network."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)
