"""Networks by name: ours first, then timm's. Each maps float [n, 1, size, size] to logits [n, 1] of P(abnormal).

This module knows no network of ours: each registers itself when the package imports it.
"""

import difflib
from collections.abc import Callable
from pathlib import Path

import timm
from torch import nn

from core.errors import OverreadError, reason_of
from core.models.networks.network_size import check_network_size
from core.models.networks.structure import find_head
from core.models.networks.weights import load_weights

# Arguments of timm.create_model that change what the network returns, or that this program sets itself.
KIND_ARGUMENTS = {
    "features_only": "makes it return maps of features instead of a logit",
    "out_indices": "makes it return maps of features instead of a logit",
    "feature_cls": "makes it return maps of features instead of a logit",
    "num_classes": "is set to 1: P(abnormal) has one logit",
    "in_chans": "is set to 1: radiographs are grey",
    "pretrained": 'is set by weights ("timm", a file, or nothing)',
    "checkpoint_path": "is set by weights, which takes a file",
    "pretrained_strict": "is set by weights, which checks every key",
    "model_name": "is set by architecture",
}
# Networks around another network, built as NAME:BACKBONE, that weigh the views of a study.
AROUND = ("attention", "patch_attention")
CUSTOM: dict[str, Callable[..., nn.Module]] = {}


def register(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Make a network of ours available under its function's name."""
    CUSTOM[make.__name__] = make
    return make


def architecture_names() -> list[str]:
    """Every name that `build` takes, our networks first."""
    return [*CUSTOM, *timm.list_models()]


def build(
    architecture: str,
    model_kwargs: dict | None = None,
    weights: str = "",
    say: Callable[[str], None] | None = None,
    most: int = 0,
) -> nn.Module:
    """A network with one grey channel and one logit.

    architecture: a name of ours or of timm's. `attention:NAME` weighs the views of a study by attention over the
    features of NAME, which gets the arguments; `patch_attention:NAME` weighs the places of its last map.
    weights: '' (random), 'timm' (its pretrained ones, downloaded), or a file of a state dict. say: called with each
    sentence on what was changed in or left out of that file. most: parameters it may have, by default as many as the
    memory holds. OverreadError where the name, an argument or a key does not fit.
    """
    arguments = dict(model_kwargs or {})
    if arguments:
        check_network_size(lambda: _untrained(architecture, arguments, ""), architecture, arguments, most)
    network = _untrained(architecture, arguments, weights)
    _calm_head(network)
    if weights and weights != "timm":
        for note in load_weights(network, Path(weights)):
            if say:
                say(note)
    return network


def _untrained(architecture: str, arguments: dict, weights: str) -> nn.Module:
    known = architecture_names()
    pooling, colon, backbone = architecture.partition(":")
    if colon:
        if pooling not in AROUND:
            raise OverreadError(
                f"There is no architecture {architecture!r}; the prefixes are {', '.join(AROUND)}, "
                "as in attention:resnet18.",
                code="architecture-unknown",
            )
        return CUSTOM[pooling](backbone, dict(arguments), weights=weights if weights == "timm" else "")
    if architecture in CUSTOM or architecture.split(".")[0] in known:
        return _make(architecture, arguments, weights)
    raise OverreadError(
        f"There is no architecture {architecture!r}; use {', '.join(CUSTOM)} or a timm name such as "
        f"{', '.join(_nearest(architecture, known))}.",
        code="architecture-unknown",
    )


def _make(architecture: str, arguments: dict, weights: str) -> nn.Module:
    if architecture in CUSTOM and weights == "timm":
        raise OverreadError(
            f"timm has no weights for {architecture}; name a file, or leave out weights.", code="weights-unavailable"
        )
    kind = [name for name in arguments if name in KIND_ARGUMENTS and arguments[name] not in (None, False)]
    if kind and architecture not in CUSTOM:
        raise OverreadError(
            f"model_kwargs of {architecture} has {kind[0]}, which {KIND_ARGUMENTS[kind[0]]}. Leave {kind[0]} out.",
            code="arguments-unsupported",
        )
    try:
        if architecture in CUSTOM:
            return CUSTOM[architecture](**arguments)
        arguments = {name: value for name, value in arguments.items() if name not in KIND_ARGUMENTS}
        return timm.create_model(architecture, pretrained=weights == "timm", in_chans=1, num_classes=1, **arguments)
    except OverreadError:
        raise  # from a network inside this one
    except (TypeError, ValueError, KeyError, IndexError, AssertionError, RuntimeError, OSError) as error:
        if weights != "timm" or isinstance(error, TypeError):
            raise OverreadError(
                f"{architecture} cannot be built with the arguments {arguments} ({reason_of(error)}); "
                "change model_kwargs or the architecture.",
                code="arguments-unsupported",
            ) from error
        raise OverreadError(
            f"timm's weights for {architecture} could not be downloaded ({reason_of(error)}); "
            "name a file instead with --set weights=FILE.",
            code="download-failed",
        ) from error


def _nearest(wanted: str, known: list[str]) -> list[str]:
    """Up to six known names that resemble the wanted one."""
    family = wanted.split("_")[0]
    same_family = (name for name in known if family in name)
    return list(dict.fromkeys([*difflib.get_close_matches(wanted, known, 3), *same_family]))[:6] or ["resnet18"]


def _calm_head(model: nn.Module) -> None:
    """Draw the head again where it starts too large: timm's mobile families scale it by the number of outputs."""
    head, _ = find_head(model)
    if isinstance(head, nn.Linear) and not head.weight.is_meta and head.weight.std() > 2 / head.in_features**0.5:
        nn.init.normal_(head.weight, std=0.01)
