"""Networks by name: ours, else timm's. Each maps float [n, 1, size, size] to logits [n, 1] of P(abnormal)."""

import difflib
import pickle
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from timm.models import adapt_input_conv, group_parameters
from torch import nn

from core.errors import OverreadError

CUSTOM: dict[str, Callable[..., nn.Module]] = {}
# ImageNet's means and deviations per colour, and the single ones that stand for them on grey.
_COLOUR_STD, GREY_MEAN, GREY_STD = (0.229, 0.224, 0.225), 0.449, 0.226


def register(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Make a network of ours available under its function's name."""
    CUSTOM[build.__name__] = build
    return build


def names() -> list[str]:
    """Our networks first, then every one of timm's."""
    from core.models import attention, ensemble, grey_resnet, small_cnn  # noqa: F401  register themselves

    return [*CUSTOM, *timm.list_models()]


def build(architecture: str, model_kwargs: dict | None = None, weights: str = "") -> nn.Module:
    """A network with one grey channel and one logit.

    architecture: a name of ours or of timm's; `attention:NAME` puts a gated pool over a study's views on NAME, which
    gets the arguments. weights: '' random, 'timm' timm's own pretrained ones (needs a network connection), else a
    .safetensors or .pth file of a state dict. A first convolution made for colour is folded to grey, and a head for
    other classes is left out. OverreadError where the name, an argument or a key of the weights does not fit.
    """
    arguments, known = dict(model_kwargs or {}), names()
    kind, pooled, backbone = architecture.partition(":")
    if pooled:
        if kind != "attention":
            raise OverreadError(f"There is no architecture {architecture!r}; before a colon only attention can stand.")
        return _filled(CUSTOM[kind](backbone, arguments, weights=weights if weights == "timm" else ""), weights)
    if architecture not in CUSTOM and architecture.split(".")[0] not in known:
        raise OverreadError(
            f"There is no architecture {architecture!r}; use {', '.join(CUSTOM)} or a timm name such as "
            f"{', '.join(_nearest(architecture, known))}."
        )
    if architecture in CUSTOM and weights == "timm":
        raise OverreadError(f"timm has no weights for {architecture}; give a file, or leave out weights.")
    try:
        if architecture in CUSTOM:
            model = CUSTOM[architecture](**arguments)
        else:
            model = timm.create_model(
                architecture, pretrained=weights == "timm", in_chans=1, num_classes=1, **arguments
            )
    except OverreadError:
        raise  # of a network inside this one
    except (TypeError, ValueError, KeyError, IndexError, AssertionError, RuntimeError, OSError) as error:
        if weights != "timm" or isinstance(error, TypeError):
            raise OverreadError(
                f"{architecture} cannot be built with the arguments {arguments} ({_first_line(error)}); "
                "change model_kwargs or the architecture."
            ) from error
        raise OverreadError(
            f"timm's weights for {architecture} could not be fetched ({_first_line(error)}); "
            "give a file instead with --set weights=FILE."
        ) from error
    return _filled(model, weights)


def reads_studies(model: nn.Module) -> bool:
    """Whether the network weighs the views of a study, and so learns from studies and tells each view's attention."""
    return getattr(model, "reads_studies", False)


def _filled(model: nn.Module, weights: str) -> nn.Module:
    _calm_head(model)
    if weights and weights != "timm":
        load_weights(model, Path(weights))
    return model


def _nearest(wanted: str, known: list[str]) -> list[str]:
    """Six names that were meant, perhaps."""
    family = wanted.split("_")[0]
    return list(dict.fromkeys([*difflib.get_close_matches(wanted, known, 3), *(n for n in known if family in n)]))[
        :6
    ] or ["resnet18"]


def _calm_head(model: nn.Module) -> None:
    """Draw a head anew that starts too large: timm's mobile families scale it by its outputs, of which there is one."""
    head, _ = parts(model)
    if isinstance(head, nn.Linear) and head.weight.std() > 2 / head.in_features**0.5:
        nn.init.normal_(head.weight, std=0.01)


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill the network from a state dict, folding colour to grey and leaving out a head of other classes."""
    state = _read_state(file)
    if reads_studies(model) and hasattr(model, "backbone") and not any(key.startswith("backbone.") for key in state):
        model = model.backbone  # weights of the network inside, such as ImageNet's
    config = getattr(model, "pretrained_cfg", {}) or {}
    own = model.state_dict()
    for first in _as_list(config.get("first_conv")):
        key = f"{first}.weight"
        if key in state and state[key].shape != own[key].shape and state[key].shape[1] == 3:
            scaled = state[key].float() * (GREY_STD / torch.tensor(_COLOUR_STD))[None, :, None, None]
            state[key] = adapt_input_conv(1, scaled)
    gone = _as_list(getattr(model, "headless", None))
    heads = tuple(f"{head}." for head in [*_as_list(config.get("classifier")), *gone])
    state = {
        key: value
        for key, value in state.items()
        if not key.startswith(heads or ("\0",)) or (key in own and value.shape == own[key].shape)
    }
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
            "Choose the architecture these weights were made for."
        )
    model.load_state_dict(state, strict=False)


def check_size(model: nn.Module, architecture: str, size: int) -> None:
    """OverreadError where the network does not take grey squares of `size` pixels, before anything is decoded."""
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros(2, 1, size, size, device=next(model.parameters()).device))
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        made = (getattr(getattr(model, "backbone", model), "pretrained_cfg", None) or {}).get("input_size", (0,))[-1]
        other = f'size={made}, or where it takes one model_kwargs={{"img_size": {size}}}' if made else "another size"
        raise OverreadError(f"{architecture} does not take {size} px ({_first_line(error)}); set {other}.") from error
    if logits.shape != (2, 1):
        raise OverreadError(
            f"{architecture} gives {list(logits.shape)} for 2 radiographs; expected one logit each, [2, 1]."
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160].rstrip(".")


def parts(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """The head (its module) and the names of its parameters; the rest is the backbone that freezing leaves alone."""
    head = model.get_classifier()
    # A distilled network has two, and answers with their mean.
    head = nn.ModuleList(head) if isinstance(head, tuple) else head
    inside = {id(parameter) for parameter in head.parameters()}
    return head, [name for name, parameter in model.named_parameters() if id(parameter) in inside]


def stages(model: nn.Module) -> dict[str, int]:
    """The stage of each parameter by name, from 0 (the stem) to the head's, which is the last.

    timm's own grouping where the network has one; else each of its top-level parts is a stage.
    """
    if reads_studies(model) and hasattr(model, "backbone"):
        inside = stages(model.backbone)
        last = max(inside.values()) + 1
        return {name: inside.get(name.removeprefix("backbone."), last) for name, _ in model.named_parameters()}
    _, head = parts(model)
    try:
        found = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    except (AttributeError, AssertionError, NotImplementedError):  # ours, and the few of timm's that have none
        tops = list(dict.fromkeys(name.split(".")[0] for name, _ in model.named_parameters()))
        found = {name: tops.index(name.split(".")[0]) for name, _ in model.named_parameters()}
    last = max([found[name] for name in found if name not in head], default=0) + 1
    return {name: last if name in head else min(found[name], last - 1) for name, _ in model.named_parameters()}


def _read_state(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise OverreadError(f"There is no weights file {file}; check the path.") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError, KeyError) as error:
        raise OverreadError(
            f"{file} could not be read as weights ({str(error).splitlines()[0][:120]}); expected "
            ".safetensors, or a .pth that holds only tensors."
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise OverreadError(
            f"{file} holds no state dict (names to tensors); expected one, as saved by model.state_dict()."
        )
    return state


def _as_list(value) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
