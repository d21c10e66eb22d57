"""Whether a method is valid on a network: where Captum would silently compute something else, the reason why."""

from collections import Counter

import torch
from torch import nn

from core.explain.attribution_target import AttributionTarget

# The autograd nodes of activations, and their usual names.
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
# Gates give a factor between 0 and 1; guided backpropagation leaves them unchanged by definition.
_GATES = {"Sigmoid", "Hardsigmoid", "Softmax", "Tanh", "attention"}
_DEEP_LIFT_RULES = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax)


def guided_backprop_fault(target: AttributionTarget, inputs: torch.Tensor) -> str:
    """Why guided backpropagation is not valid here, or ''. Captum changes the gradients of nn.ReLU modules only."""
    activations, calls = _activations(target, inputs)
    relu_modules = sum(count for module, count in calls if isinstance(module, nn.ReLU))
    if not activations["Relu"]:
        others = ", ".join(_ACTIVATIONS[name] for name in activations if name not in _GATES) or "no ReLU"
        return (
            "it changes the gradients of ReLUs only, and this network has "
            f"{others}: the map would equal the plain gradient"
        )
    unknown = [name for name in activations if name not in _GATES | {"Relu"}]
    functional_relus = activations["Relu"] - relu_modules
    if unknown or functional_relus > 0:
        names = ", ".join(_ACTIVATIONS[name] for name in unknown) or f"{functional_relus} ReLU calls without a module"
        return f"some of this network's activations ({names}) would pass plain gradients"
    return ""


def deep_lift_fault(target: AttributionTarget, inputs: torch.Tensor) -> str:
    """Why DeepLIFT is not valid here, or ''. Captum applies the rescale rule to activation modules only."""
    if target.aggregation:
        return "its rules do not cover the pooling of a study; explain a single radiograph"
    activations, calls = _activations(target, inputs)
    with_rule = [(type(module).__name__, count) for module, count in calls if isinstance(module, _DEEP_LIFT_RULES)]
    if constant := [name for name, count in with_rule if count == 0]:
        return f"the input of a {constant[0]} module does not depend on the radiograph, and Captum's rule fails there"
    if reused := [name for name, count in with_rule if count > 1]:
        return f"a {reused[0]} module is used more than once, and DeepLIFT stores one reference for each module"
    if sum(count for _, count in with_rule) < sum(activations.values()):
        names = ", ".join(_ACTIVATIONS[name] for name in activations)
        return f"it has no rule for some of this network's activations ({names})"
    return ""


def _activations(target: AttributionTarget, inputs: torch.Tensor) -> tuple[Counter[str], list[tuple[nn.Module, int]]]:
    """Count the activations in the autograd graph by name, and the calls of each leaf module in that graph.

    A count of 0 means that a module was called on values that do not depend on the inputs, such as a position table.
    """
    calls: Counter[nn.Module] = Counter()
    hooks = [
        module.register_forward_hook(
            lambda module, _inputs, output: calls.update({module: int(_depends_on_inputs(output))})
        )
        for module in target.model.modules()
        if not list(module.children())
    ]
    try:
        with torch.enable_grad():
            value = target(inputs.detach().clone().requires_grad_(True))
    finally:
        for hook in hooks:
            hook.remove()
    counted: Counter[str] = Counter()
    waiting, visited = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        name = type(node).__name__.split("Backward")[0].lstrip("_")
        if name in _ACTIVATIONS or name.startswith(_ATTENTION):
            counted[name if name in _ACTIVATIONS else "attention"] += 1
        waiting += [after for after, _ in node.next_functions]
    return counted, list(calls.items())


def _depends_on_inputs(output) -> bool:
    """Whether a module's output depends on the inputs; nothing else requires a gradient in a private copy."""
    return not isinstance(output, torch.Tensor) or output.requires_grad
