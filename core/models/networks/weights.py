"""Fill a network from a file of weights that was trained for any colours and classes."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch
from timm.models import adapt_input_conv
from torch import nn

from core.errors import OverreadError
from core.models.networks.structure import find_head, reads_studies
from core.models.networks.weight_files import read_weights
from core.plural import count_text

# ImageNet's standard deviation of each colour, and the single one used for grey images.
_COLOUR_STD, _GREY_STD = (0.229, 0.224, 0.225), 0.226
# A counter of batches that nothing here uses; older files lack it.
_COUNTER = "num_batches_tracked"
# The counter of torch's AveragedModel.
_AVERAGED = "n_averaged"
# Names of torchvision's DenseNets before 2018, as in CheXNet: norm.1 for norm1.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
_NEW_NAMES = r"\1\2"


@dataclass
class _Fit:
    """The tensors for a network, sentences on what was changed, and what does not fit."""

    model: nn.Module
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def load_weights(model: nn.Module, file: Path) -> list[str]:
    """Fill the network from a file; sentences on what was left out or changed.

    A prefix before all names is taken off. A first convolution for colour is summed to grey. A head for other classes
    is left out and keeps its random weights. OverreadError where other keys or shapes differ.
    """
    found = read_weights(file)
    state = {_OLD_DENSENET.sub(_NEW_NAMES, key): value for key, value in found.state.items()}
    fits = [_fitted(model, state)]
    if reads_studies(model) and hasattr(model, "backbone") and fits[0].faults:
        # The file may hold the weights of the backbone alone, such as ImageNet's.
        fits.append(_fitted(model.backbone, state))
    fit = next((fit for fit in fits if not fit.faults), fits[-1])
    if fit.faults:
        raise OverreadError(
            f"{file} does not fit this network: it {' and '.join(fit.faults)}. "
            "Choose the architecture these weights were made for.",
            code="weights-mismatch",
        )
    broken = [key for key, value in fit.state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise OverreadError(
            f"{file} has values that are not numbers in {_examples(broken)}. Save the weights again from an epoch "
            "whose loss was a number.",
            code="weights-not-finite",
        )
    fit.model.load_state_dict(fit.state, strict=False)
    return [*found.notes, *(f"{file.name}: {note}" for note in fit.notes)]


def _fitted(model: nn.Module, state: dict[str, torch.Tensor]) -> _Fit:
    """The state with the names and shapes of the network, or what does not fit."""
    own, fit = model.state_dict(), _Fit(model)
    config = getattr(model, "pretrained_cfg", {}) or {}
    heads = tuple(f"{head}." for head in [*_as_list(config.get("classifier")), *_as_list(_headless(model))])
    if not heads and hasattr(model, "get_classifier"):
        heads = tuple(find_head(model)[1])
    state = _without_prefix(state, own, fit)
    for first in _as_list(config.get("first_conv")):
        key = f"{first}.weight"
        if key in state and key in own and state[key].shape != own[key].shape and _is_colour(state[key]):
            scaled = state[key].float() * (_GREY_STD / torch.tensor(_COLOUR_STD))[None, :, None, None]
            state[key] = adapt_input_conv(1, scaled)
            fit.notes.append("the first convolution is for three colours; it is summed to grey")
    dropped = [key for key in state if heads and key.startswith(heads) and not _same_shape(key, state, own)]
    fit.state = {key: value for key, value in state.items() if key not in dropped}
    new = [key for key in own if heads and key.startswith(heads) and key not in fit.state]
    if dropped or new:
        classes = next((f" for {state[key].shape[0]:,} classes" for key in dropped if state[key].ndim), "")
        fit.notes.append(
            f"its head{classes} is left out ({_examples(dropped)}); the network starts with a new head"
            if dropped
            else f"it has no head ({_examples(new)}); the network starts with a new head"
        )
    fit.faults += _faults(fit.state, own, heads)
    return fit


def _without_prefix(state: dict, own: dict, fit: _Fit) -> dict:
    """The state without the prefix before the names, which wrappers and training programs add."""
    known = set(own)
    prefixes: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in known:
                prefixes[".".join([*parts[:place], ""]) if place else ""] += 1
    state = {key: value for key, value in state.items() if key != _AVERAGED}
    most = max(prefixes.values(), default=0)
    if 2 * most < len([key for key in own if not key.endswith(_COUNTER)]):
        return state  # another network, some of whose layers have the same names
    best = [prefix for prefix, count in prefixes.items() if count == most]
    prefix = "" if "" in best else min(best, key=len)
    if len(best) > 1 and prefix and not all(key.startswith(prefix) for key in state):
        fit.faults.append(f"holds {count_text(len(best), 'network')} that fit ({', '.join(sorted(best)[:3])})")
    inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if prefix:
        outside = [key for key in state if not key.startswith(prefix)]
        left_out = f", and {_counted(outside)} beside it left out ({_examples(outside)})" if outside else ""
        fit.notes.append(f"the prefix {prefix!r} is taken off its names{left_out}")
    return inside


def _faults(state: dict, own: dict, heads: tuple[str, ...]) -> list[str]:
    """Missing keys, unknown keys and other shapes, each with their count and three examples."""
    unknown = [key for key in state if key not in own]
    missing = [
        key for key in own if key not in state and not (heads and key.startswith(heads)) and not key.endswith(_COUNTER)
    ]
    shapes = [
        f"{key} {list(state[key].shape)} for {list(own[key].shape)}"
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    return [
        f"{what} {_counted(keys)} ({_examples(keys)})"
        for what, keys in (("lacks", missing), ("holds unknown", unknown), ("has other shapes in", shapes))
        if keys
    ]


def _headless(model: nn.Module) -> str | None:
    return getattr(model, "headless", None)


def _is_colour(weight: torch.Tensor) -> bool:
    return weight.ndim == 4 and weight.shape[1] == 3


def _same_shape(key: str, state: dict, own: dict) -> bool:
    return key in own and state[key].shape == own[key].shape


def _counted(keys: list[str]) -> str:
    return count_text(len(keys), "key")


def _examples(keys: list[str]) -> str:
    return f"{', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"


def _as_list(value) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
