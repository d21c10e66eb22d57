"""torch.compile for recipes that ask for it, and what a run does where it fails."""

import os

import torch
from torch import nn

from core.paths import home


def compiled(model: nn.Module, wanted: bool) -> nn.Module:
    """The network to call in a step, compiled where that is wanted. It shares its weights with `model`.

    Compiled code is kept in the workspace, so that the next run of the same network compiles in a fraction of the time.
    """
    if not wanted:
        return model
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home() / "compiled"))
    return torch.compile(model)


def is_compile_error(error: BaseException) -> bool:
    """Whether torch.compile raised this error. Such errors appear only in the first step of a run."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
