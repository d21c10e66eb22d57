"""Finds the layer that Grad-CAM uses: the last feature map whose cells still belong to places, for any family."""

import difflib
import math
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from core.errors import OverreadError

# Parts of the names, in lower case, of norms over the channels of a place or of a map.
SCALE_FREE = ("layernorm", "rmsnorm", "simplenorm", "groupnorm", "instancenorm", "filterresponsenorm")


@dataclass(frozen=True)
class Layer:
    """A module whose output is a feature map, and the layout of that output.

    layout: 'maps' [b, channels, h, w], 'channels last' [b, h, w, channels], or 'tokens' [b, prefix + h * w, channels].
    moves_logit: False where no layer moved the logit of the radiograph. block: whether the output is that of a block
    of several convolutions and not of a step inside one.
    """

    name: str
    module: nn.Module
    layout: str
    height: int
    width: int
    moves_logit: bool = True
    block: bool = False

    def maps(self, values: torch.Tensor) -> torch.Tensor:
        """Rearrange the module's output to feature maps [b, channels, h, w]."""
        if self.layout == "channels last":
            return values.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            values = values[:, values.shape[1] - self.height * self.width :]
            return values.reshape(len(values), self.height, self.width, -1).permute(0, 3, 1, 2)
        return values


@dataclass(frozen=True)
class _ModuleOutput:
    """An output recorded in a forward pass. version: of the tensor at that time; in-place changes raise it."""

    name: str
    module: nn.Module
    output: torch.Tensor
    version: int
    leaf: bool
    block: bool


_Candidate = tuple[_ModuleOutput, tuple[str, int, int]]


def upsample(coarse: torch.Tensor, side: int) -> torch.Tensor:
    """Coarse maps [b, 1, h, h] to [b, 1, side, side], with the cells spread evenly from edge to edge.

    By strides and paddings the centre of a cell may be up to half a cell away from there. On phantoms and fractures,
    the evidence in trained networks is not shifted that way (docs/lab-log.md).
    """
    return functional.interpolate(coarse.float(), (side, side), mode="bilinear", align_corners=False)


def find_layer(model: nn.Module, inputs: torch.Tensor, name: str = "", min_cells: int = 0) -> Layer:
    """Return the named layer, or else the last one in which places move the logit. `inputs` [b, 1, s, s].

    min_cells: return the last layer with at least so many cells a side, and prefer a block's output to a step inside
    the next block (docs/lab-log.md); where no layer is that large, the last of all.

    The network runs once forwards and backwards, and a layer counts only where the gradient reaches its places: in
    the last block of a transformer with a class token, the patches have no influence. Raises OverreadError where there
    is no such layer, or where the named one is missing or gives no feature map.
    """
    prefix = int(getattr(model, "num_prefix_tokens", 0) or 0)
    if name:
        modules = dict(model.named_modules())
        if name not in modules:
            near = difflib.get_close_matches(name, modules, 4, 0.3)
            raise OverreadError(
                f"{type(model).__name__} has no layer {name!r}; the nearest names are {', '.join(near) or 'none'}.",
                code="layer-unknown",
            )
    with torch.enable_grad():
        # The input requires a gradient, so that every output after it has one.
        outputs, logits = _run(model, inputs.detach().clone().requires_grad_(True))
        if name:
            outputs = [output for output in outputs if output.name == name]
        candidates = [(output, layout) for output in outputs if (layout := _layout(output, prefix, inputs.shape[-1]))]
        if name and not candidates:
            raise OverreadError(
                f"The layer {name!r} gives no feature map; choose a block or a convolution.", code="layer-without-map"
            )
        usable = [
            (Layer(output.name, output.module, *layout, block=output.block), output.output)
            for output, layout in _unmodified(candidates)
            if output.output.requires_grad
        ]
        last_first = usable[::-1]
        large = [one for one in last_first if one[0].height >= min_cells]
        blocks = []
        if min_cells and not _has_scale_free_norm(model):
            blocks = [one for one in large if one[0].block and one[0].height == large[0][0].height]
        for layer, tensor in (*blocks, *large, *last_first):
            (gradient,) = torch.autograd.grad(logits.sum(), tensor, retain_graph=True, allow_unused=True)
            if gradient is not None and layer.maps(gradient).abs().sum() > 0:
                return layer
    if usable:
        # No layer moves this logit (a saturated or dead network): the map of the last one is rightly zero.
        return replace(usable[-1][0], moves_logit=False)
    raise OverreadError(
        f"{type(model).__name__} gives no feature map that its logit depends on, which Grad-CAM needs; "
        "choose another method, or name a layer.",
        code="no-feature-map",
    )


def cached_layer(cache: dict, model: nn.Module, inputs: torch.Tensor, name: str = "", min_cells: int = 0) -> Layer:
    """`find_layer`, cached by its arguments and the input size once a radiograph moves the logit."""
    key = (name, min_cells, inputs.shape[-1])
    if key in cache:
        return cache[key]
    layer = find_layer(model, inputs, name, min_cells)
    if layer.moves_logit:
        cache[key] = layer
    return layer


def _run(model: nn.Module, inputs: torch.Tensor) -> tuple[list[_ModuleOutput], torch.Tensor]:
    """The outputs of all modules in the order of their computation, and the logits."""
    outputs: list[_ModuleOutput] = []
    calls: dict[str, int] = {}
    pooled: list[torch.Tensor] = []

    def record(name: str):
        def hook(module, _inputs, output):
            calls[name] = calls.get(name, 0) + 1
            if not isinstance(output, torch.Tensor):
                return
            if "Pool" in type(module).__name__:
                pooled.append(output)
            # A block that ends in pooling returns the pooling's tensor; the map before it has more places.
            if not any(output is small for small in pooled):
                leaf = not list(module.children())
                block = not leaf and _is_block(module)
                outputs.append(_ModuleOutput(name, module, output, output._version, leaf, block))

        return hook

    hooks = [module.register_forward_hook(record(name)) for name, module in model.named_modules() if name]
    try:
        logits = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    # A module that is used twice has two outputs, and a hook could not tell them apart.
    return [output for output in outputs if calls[output.name] == 1], logits


def _layout(output: _ModuleOutput, prefix: int, side: int) -> tuple[str, int, int] | None:
    """Layout, height and width of an output, or None where it is not a feature map."""
    shape, kind = output.output.shape, type(output.module).__name__
    if "Pool" in kind or kind in ("Flatten", "Dropout", "Identity"):
        return None
    inside_attention = any(part.startswith(("attn", "attention", "token_mixer")) for part in output.name.split("."))
    if len(shape) == 4 and not inside_attention:
        # A square input gives square maps. Where both layouts fit, channels first is what convolutions give.
        if shape[2] == shape[3] and 1 < shape[2] <= side:
            return "maps", shape[2], shape[3]
        if shape[1] == shape[2] and 1 < shape[1] <= side:
            return "channels last", shape[1], shape[2]
    if len(shape) == 3 and not inside_attention and (output.leaf is False or "Norm" in kind):
        # Some families do not declare how many class tokens come first.
        for before in (prefix, 1, 0, 2):
            across = math.isqrt(max(shape[1] - before, 0))
            if across > 1 and across * across == shape[1] - before:
                return "tokens", across, across
    return None


def _is_block(module: nn.Module) -> bool:
    """Whether a module has several weights besides scales: a convolution with norm and activation is a single step."""
    return sum(parameter.ndim > 1 for parameter in module.parameters()) > 1


def _has_scale_free_norm(model: nn.Module) -> bool:
    """Whether a norm ignores the scale of its input. Before such a norm, gradient times value sums to zero."""
    return any(kind in type(module).__name__.lower() for module in model.modules() for kind in SCALE_FREE)


def _unmodified(candidates: list[_Candidate]) -> list[_Candidate]:
    """The candidates that no later step changed in place, one for each tensor."""
    kept: dict[int, _Candidate] = {}
    for output, layout in candidates:
        if output.output._version != output.version:
            continue
        before = kept.get(id(output.output))
        # A block returns the tensor of its last leaf, and the leaf's name is more specific.
        if before is None or (output.leaf and not before[0].leaf):
            kept[id(output.output)] = (output, layout)
        elif output.block and not before[0].block:
            kept[id(output.output)] = (replace(before[0], block=True), before[1])
    return list(kept.values())
