"""Fill a network from a file of weights, whatever colours and classes it was trained for."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from timm.models import adapt_input_conv
from torch import nn

from core.errors import OverreadError
from core.models.networks.structure import reads_studies

# ImageNet's standard deviation of each colour, and the single one used for grey images.
_COLOUR_STD, _GREY_STD = (0.229, 0.224, 0.225), 0.226


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill the network from a state dict.

    A first convolution for colour is summed to grey. A head for other classes is left out and keeps its random weights.
    OverreadError where other keys or shapes differ.
    """
    state = _read_state(file)
    if reads_studies(model) and hasattr(model, "backbone") and not any(key.startswith("backbone.") for key in state):
        model = model.backbone  # the file holds the weights of the backbone alone, such as ImageNet's
    config = getattr(model, "pretrained_cfg", {}) or {}
    own = model.state_dict()
    for first in _as_list(config.get("first_conv")):
        key = f"{first}.weight"
        if key in state and state[key].shape != own[key].shape and state[key].shape[1] == 3:
            scaled = state[key].float() * (_GREY_STD / torch.tensor(_COLOUR_STD))[None, :, None, None]
            state[key] = adapt_input_conv(1, scaled)
    removed = _as_list(getattr(model, "headless", None))
    heads = tuple(f"{head}." for head in [*_as_list(config.get("classifier")), *removed])
    state = {
        key: value
        for key, value in state.items()
        if not key.startswith(heads or ("\0",)) or (key in own and value.shape == own[key].shape)
    }
    _check_keys(state, own, heads, file)
    model.load_state_dict(state, strict=False)


def _check_keys(state: dict, own: dict, heads: tuple[str, ...], file: Path) -> None:
    """OverreadError that names missing keys, unknown keys and other shapes."""
    unknown = [key for key in state if key not in own]
    missing = [key for key in own if key not in state and not key.startswith(heads or ("\0",))]
    shapes = [
        f"{key} {list(state[key].shape)} for {list(own[key].shape)}"
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    faults = [
        f"{what} {len(keys)} keys ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in (("lacks", missing), ("holds unknown", unknown), ("has other shapes in", shapes))
        if keys
    ]
    if faults:
        raise OverreadError(
            f"{file} does not fit this network: it {' and '.join(faults)}. "
            "Choose the architecture these weights were made for.",
            code="weights-mismatch",
        )


def _read_state(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise OverreadError(f"There is no weights file {file}; check the path.", code="weights-missing") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError, KeyError) as error:
        raise OverreadError(
            f"{file} could not be read as weights ({str(error).splitlines()[0][:120]}); expected "
            ".safetensors, or a .pth that holds only tensors.",
            code="weights-unreadable",
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise OverreadError(
            f"{file} holds no state dict (names to tensors); expected one, as saved by model.state_dict().",
            code="weights-unreadable",
        )
    return state


def _as_list(value) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
