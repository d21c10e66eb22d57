"""Which method is itself on which network: what would silently be something else is refused, with the reason."""

from collections import Counter

import torch
from torch import nn

from core.explain.attribution_target import Explained

# What an activation leaves in the autograd graph, by the name people give it.
_ACTIVATIONS = {
    "Relu": "ReLU",
    "Gelu": "GELU",
    "Silu": "SiLU",
    "Hardswish": "Hardswish",
    "Hardtanh": "ReLU6 or Hardtanh",
    "LeakyRelu": "LeakyReLU",
    "Elu": "ELU",
    "Mish": "Mish",
    "Softplus": "Softplus",
    "PreluKernel": "PReLU",
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "Hardsigmoid": "Hardsigmoid",
    "Softmax": "Softmax",
    "attention": "attention",
}
_ATTENTION = "ScaledDotProduct"
# Gates squash a factor between 0 and 1; guided backpropagation lets them be.
_GATES = {"Sigmoid", "Hardsigmoid", "Softmax", "Tanh", "attention"}
_DEEP_LIFT_RULES = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax)


def guided_backprop_fault(explained: Explained, inputs: torch.Tensor) -> str:
    """Why guided backpropagation would not be itself here; '' where it is. It only knows nn.ReLU modules."""
    found, calls = _activations(explained, inputs)
    modules = sum(count for module, count in calls if isinstance(module, nn.ReLU))
    if not found["Relu"]:
        others = ", ".join(_ACTIVATIONS[name] for name in found if name not in _GATES) or "no ReLU"
        return f"it changes how ReLUs pass gradients, and this network has {others}: it would equal the plain gradient"
    unknown = [name for name in found if name not in _GATES | {"Relu"}]
    if unknown or modules < found["Relu"]:
        what = (
            ", ".join(_ACTIVATIONS[name] for name in unknown) or f"{found['Relu'] - modules} ReLUs that are no modules"
        )
        return f"part of this network's activations ({what}) would pass plain gradients"
    return ""


def deep_lift_fault(explained: Explained, inputs: torch.Tensor) -> str:
    """Why DeepLIFT's rules do not reach through here; '' where they do."""
    if explained.aggregation:
        return "its rules do not reach through the pooling of a study; explain one radiograph"
    found, calls = _activations(explained, inputs)
    if constant := [
        type(module).__name__ for module, count in calls if not count and isinstance(module, _DEEP_LIFT_RULES)
    ]:
        return f"a {constant[0]} module works on what does not depend on the radiograph, where no rule can be hooked in"
    reused = [type(module).__name__ for module, count in calls if count > 1 and isinstance(module, _DEEP_LIFT_RULES)]
    if reused:
        return f"a {reused[0]} module is used more than once, and DeepLIFT keeps one reference for each"
    covered = sum(count for module, count in calls if isinstance(module, _DEEP_LIFT_RULES))
    if covered < sum(found.values()):
        names = ", ".join(_ACTIVATIONS[name] for name in found)
        return f"it has no rule for some of this network's steps ({names})"
    return ""


def _activations(explained: Explained, inputs: torch.Tensor):
    """Activations in the autograd graph, counted by name; and how often each module was called on its way there.

    0 times: it was called on something that does not depend on the inputs, such as a table of positions.
    """
    calls: Counter[nn.Module] = Counter()
    hooks = [
        module.register_forward_hook(lambda module, _inputs, output: calls.update({module: int(_depends(output))}))
        for module in explained.model.modules()
        if not list(module.children())
    ]
    try:
        with torch.enable_grad():
            value = explained(inputs.detach().clone().requires_grad_(True))
    finally:
        for hook in hooks:
            hook.remove()
    counted: Counter[str] = Counter()
    waiting, known = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in known:
            continue
        known.add(node)
        name = type(node).__name__.split("Backward")[0].lstrip("_")
        if name in _ACTIVATIONS or name.startswith(_ATTENTION):
            counted[name if name in _ACTIVATIONS else "attention"] += 1
        waiting += [after for after, _ in node.next_functions]
    return counted, list(calls.items())


def _depends(output) -> bool:
    """Whether a module's output hangs on the inputs: the weights of a private copy are frozen."""
    return not isinstance(output, torch.Tensor) or output.requires_grad
