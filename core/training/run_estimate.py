"""The cost of a run that was not started, as a value that is stored and shown with its basis. Needs no torch."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from core.checksums import read_json, write_json
from core.data.index import Dataset
from core.paths import home
from core.plural import count_text
from core.training.options import duration_text
from core.training.recipe import Recipe


@dataclass(frozen=True)
class RunEstimate:
    """Times in seconds, memory in bytes. steps, batch_size, device, precision: what they were measured on.

    epoch_seconds: learning and validation; decode_seconds: of the files that are not in the pixel cache yet;
    score_seconds: of the radiographs that the run does not learn from, at its end.
    """

    epochs: int
    epoch_seconds: float
    decode_seconds: float
    score_seconds: float
    memory_bytes: int
    steps: int
    batch_size: int
    device: str
    precision: str

    def seconds(self, folds: int = 0) -> float:
        """The whole run; with folds, of all their networks."""
        networks = max(folds, 1)
        return self.decode_seconds + networks * (self.epochs * self.epoch_seconds + self.score_seconds)

    def text(self, folds: int = 0) -> str:
        """`About 3 min: 15 epochs of 11 s each; 1.2 GB of memory.`"""
        networks = f"{count_text(folds, 'network')} of " if folds else ""
        decoding = f", {duration_text(self.decode_seconds)} to decode" if self.decode_seconds >= 1 else ""
        return (
            f"About {duration_text(self.seconds(folds))}: {networks}{count_text(self.epochs, 'epoch')} of "
            f"{duration_text(self.epoch_seconds)} each{decoding}; {self.memory_bytes / 1e9:.1f} GB of memory."
        )

    @property
    def basis(self) -> str:
        """The machine and the steps that the figures were measured on."""
        return (
            f"Measured on {count_text(self.steps, 'step')} of {self.batch_size} on this machine ({self.device}, "
            f"{self.precision}). "
            "Other work on it, a recipe that stops early or learns in stages makes the time differ."
        )


def estimate_file(recipe: Recipe, dataset: Dataset) -> Path:
    """The file of the estimate of a recipe on an index."""
    key = f"{recipe.to_json()}\n{dataset.name}\n{dataset.index_hash}"
    return home() / "estimates" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def read_estimate(recipe: Recipe, dataset: Dataset) -> RunEstimate | None:
    """The stored estimate; None where there is none that can be read."""
    try:
        return RunEstimate(**read_json(estimate_file(recipe, dataset)))
    except (OSError, ValueError, TypeError):
        return None


def write_estimate(recipe: Recipe, dataset: Dataset, found: RunEstimate) -> None:
    """Store an estimate."""
    write_json(estimate_file(recipe, dataset), asdict(found))
