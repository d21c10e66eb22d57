"""The network that `bench.serving` serves: a checkpoint, or one with random weights, whose speed is the same."""

from pathlib import Path

import pandas as pd
import torch

from core.models.checkpoint import begin_checkpoint, save_weights
from core.models.networks import build
from core.paths import checkpoint_folder, home
from core.training.recipe import Recipe


def checkpoint_to_serve(network: str) -> Path:
    """The folder of a checkpoint by name, or of a new one for `ARCHITECTURE:SIZE`, made once for a workspace."""
    architecture, _, size = network.partition(":")
    if not size:
        return checkpoint_folder(network)
    folder = home() / "bench-networks" / f"{architecture}-{size}"
    if not folder.exists():
        torch.manual_seed(0)
        recipe = Recipe(name="bench", architecture=architecture, size=int(size))
        learned = pd.DataFrame({"sha1": [], "part": []}, dtype="str")
        manifest = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec(), learned)
        save_weights(folder, manifest, build(architecture, {}).state_dict())
    return folder
