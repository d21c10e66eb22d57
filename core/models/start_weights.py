"""The checkpoint that a run begins from, where its recipe names one. Needs no torch."""

from pathlib import Path

from core.errors import OverreadError
from core.models.checkpoint import WEIGHTS, Checkpoint, read_checkpoint
from core.paths import checkpoint_folder


def start_checkpoint(weights: str) -> Checkpoint | None:
    """The checkpoint whose name or folder a recipe's `weights` gives; None for '', 'timm' or a file of weights."""
    if weights in ("", "timm") or Path(weights).is_file():
        return None
    try:
        folder = checkpoint_folder(weights)
    except OverreadError:
        return None  # no name of a checkpoint; reading it as a file gives the error
    return read_checkpoint(folder) if folder.is_dir() else None


def weights_source(weights: str) -> str:
    """A recipe's `weights` as `networks.build` takes them: the name of a checkpoint becomes the file of its weights."""
    found = start_checkpoint(weights)
    return str(found.folder / WEIGHTS) if found else weights
