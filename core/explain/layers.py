"""Where in a network Grad-CAM looks: the last feature map that still knows its place, for any family."""

import difflib
import math
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from core.errors import OverreadError

# Norms over the channels of a place or of a map, by parts of their names in lower case.
SCALE_FREE = ("layernorm", "rmsnorm", "simplenorm", "groupnorm", "instancenorm", "filterresponsenorm")


@dataclass(frozen=True)
class Layer:
    """A module whose output is a feature map, and how that output is laid out.

    layout: 'maps' [b, channels, h, w], 'channels last' [b, h, w, channels], or 'tokens' [b, prefix + h * w, channels].
    sure: False where nothing moved the logit of the radiograph that was asked. block: whether it is what a block of
    several convolutions gives, not a step inside one.
    """

    name: str
    module: nn.Module
    layout: str
    height: int
    width: int
    sure: bool = True
    block: bool = False

    def maps(self, values: torch.Tensor) -> torch.Tensor:
        """Its output as feature maps [b, channels, h, w]."""
        if self.layout == "channels last":
            return values.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            values = values[:, values.shape[1] - self.height * self.width :]
            return values.reshape(len(values), self.height, self.width, -1).permute(0, 3, 1, 2)
        return values


@dataclass(frozen=True)
class _Seen:
    name: str
    module: nn.Module
    output: torch.Tensor
    version: int
    leaf: bool
    block: bool


def draw(coarse: torch.Tensor, side: int) -> torch.Tensor:
    """Coarse maps [b, 1, h, h] as [b, 1, side, side], the cells spread from edge to edge.

    A cell's middle by strides and paddings lies up to half a cell off that; where trained networks' evidence lies, on
    phantoms and on fractures, it does not (docs/lab-log.md).
    """
    return functional.interpolate(coarse.float(), (side, side), mode="bilinear", align_corners=False)


def find_layer(model: nn.Module, inputs: torch.Tensor, wanted: str = "", cells: int = 0) -> Layer:
    """The layer named, else the last one whose places each move the logit. `inputs` [b, 1, s, s].

    cells: the last that has so many a side, a block's output before a step inside the next one (docs/lab-log.md);
    where there is none, the last of all.

    The network is run once forwards and backwards: a class token leaves the patches of a transformer's last block
    without any say, so a layer counts only where the gradient reaches its places. OverreadError where there is none,
    or no layer of that name gives a map.
    """
    prefix = int(getattr(model, "num_prefix_tokens", 0) or 0)
    if wanted:
        modules = dict(model.named_modules())
        if wanted not in modules or not wanted:
            near = difflib.get_close_matches(wanted, modules, 4, 0.3)
            raise OverreadError(
                f"{type(model).__name__} has no layer {wanted!r}; the nearest names are {', '.join(near) or 'none'}."
            )
    with torch.enable_grad():
        # A leaf that asks for a gradient, so that every output after it has one.
        outputs, logits = _run(model, inputs.detach().clone().requires_grad_(True))
        if wanted:
            outputs = [seen for seen in outputs if seen.name == wanted]
        candidates = [(seen, layout) for seen in outputs if (layout := _layout(seen, prefix, inputs.shape[-1]))]
        if wanted and not candidates:
            raise OverreadError(f"The layer {wanted!r} gives no feature map; choose a block or a convolution.")
        usable = [
            Layer(seen.name, seen.module, *layout, block=seen.block)
            for seen, layout in _whole(candidates)
            if seen.output.requires_grad
        ]
        tensors = [seen.output for seen, _ in _whole(candidates) if seen.output.requires_grad]
        found = list(zip(usable, tensors))[::-1]
        fine = [one for one in found if one[0].height >= cells]
        blocks = []
        if cells and not _normalises_places(model):
            blocks = [one for one in fine if one[0].block and one[0].height == fine[0][0].height]
        for layer, tensor in (*blocks, *fine, *found):
            (gradient,) = torch.autograd.grad(logits.sum(), tensor, retain_graph=True, allow_unused=True)
            if gradient is not None and layer.maps(gradient).abs().sum() > 0:
                return layer
    if usable:
        # Nothing moves this logit at all (a saturated or dead network): the last map says so with zeros.
        return replace(usable[-1], sure=False)
    raise OverreadError(
        f"{type(model).__name__} gives no feature map that its logit depends on, which Grad-CAM needs; "
        "choose another method, or name a layer."
    )


def known_layer(known: dict, model: nn.Module, inputs: torch.Tensor, wanted: str = "", cells: int = 0) -> Layer:
    """`find_layer`, once a name, cells and side: `known` keeps what was found on a radiograph that moved the logit."""
    asked = (wanted, cells, inputs.shape[-1])
    if asked in known:
        return known[asked]
    found = find_layer(model, inputs, wanted, cells)
    if found.sure:
        known[asked] = found
    return found


def _run(model: nn.Module, inputs: torch.Tensor) -> tuple[list[_Seen], torch.Tensor]:
    """Every module's output in the order in which they were done, and the logits."""
    seen: list[_Seen] = []
    calls: dict[str, int] = {}
    pooled: list[torch.Tensor] = []

    def note(name: str):
        def hook(module, _inputs, output):
            calls[name] = calls.get(name, 0) + 1
            if not isinstance(output, torch.Tensor):
                return
            if "Pool" in type(module).__name__:
                pooled.append(output)
            # A block that ends in pooling gives back the pooling's tensor; the map before it has more places.
            if not any(output is small for small in pooled):
                leaf = not list(module.children())
                seen.append(_Seen(name, module, output, output._version, leaf, not leaf and _is_block(module)))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        logits = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    # A module that is used twice has no one output to look at.
    return [one for one in seen if calls[one.name] == 1], logits


def _layout(seen: _Seen, prefix: int, side: int) -> tuple[str, int, int] | None:
    shape, kind = seen.output.shape, type(seen.module).__name__
    if "Pool" in kind or kind in ("Flatten", "Dropout", "Identity"):
        return None
    inside_attention = any(part.startswith(("attn", "attention", "token_mixer")) for part in seen.name.split("."))
    if len(shape) == 4 and not inside_attention:
        # A square input gives square maps. Where all could be meant, channels first is what convolutions give.
        if shape[2] == shape[3] and 1 < shape[2] <= side:
            return "maps", shape[2], shape[3]
        if shape[1] == shape[2] and 1 < shape[1] <= side:
            return "channels last", shape[1], shape[2]
    if len(shape) == 3 and not inside_attention and (seen.leaf is False or "Norm" in kind):
        # Not every family says how many class tokens it puts first.
        for before in (prefix, 1, 0, 2):
            across = math.isqrt(max(shape[1] - before, 0))
            if across > 1 and across * across == shape[1] - before:
                return "tokens", across, across
    return None


def _is_block(module: nn.Module) -> bool:
    """Several weights that are no scales: a convolution with its norm and activation is a step, no block."""
    return sum(parameter.ndim > 1 for parameter in module.parameters()) > 1


def _normalises_places(model: nn.Module) -> bool:
    """Whether a norm follows that forgets the scale of its input: before it gradient times value adds up to nothing."""
    return any(kind in type(module).__name__.lower() for module in model.modules() for kind in SCALE_FREE)


def _whole(candidates: list) -> list:
    """Without outputs that a later step changed in place; one entry for each tensor."""
    kept: dict[int, tuple] = {}
    for seen, layout in candidates:
        if seen.output._version != seen.version:
            continue
        before = kept.get(id(seen.output))
        # A block gives back its last leaf's tensor: the leaf's name says more.
        if before is None or (seen.leaf and not before[0].leaf):
            kept[id(seen.output)] = (seen, layout)
        elif seen.block and not before[0].block:
            kept[id(seen.output)] = (replace(before[0], block=True), before[1])
    return list(kept.values())
