"""How a file becomes a tensor. Saved with the weights, so that nothing about it has to be remembered."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from core.data.pixels import FITS, read_grey, to_square
from core.errors import OverreadError


@dataclass(frozen=True)
class InputSpec:
    """A square of `size` pixels, fitted by `fit`, one grey channel in 0..1 less `mean` over `std`."""

    size: int
    fit: str = "pad"
    mean: float = 0.5
    std: float = 0.25

    def __post_init__(self):
        if not (isinstance(self.size, int) and 8 <= self.size <= 4096):
            raise OverreadError(f"An input size of {self.size!r} was given; expected 8 to 4096 pixels.")
        if self.fit not in FITS:
            raise OverreadError(f"The fit {self.fit!r} is not known; choose one of {', '.join(FITS)}.")
        if not self.std > 0:
            raise OverreadError(f"A standard deviation of {self.std!r} was given; expected a number above 0.")

    def pixels(self, path: Path | str) -> np.ndarray:
        """The file as uint8 [size, size]. UnreadableImage where it cannot be decoded."""
        return to_square(read_grey(path), self.size, self.fit)

    def normalise(self, unit):
        """From grey in 0..1 (any array or tensor) to what the network expects."""
        return (unit - self.mean) / self.std

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "input_spec.json") -> "InputSpec":
        """The inverse of to_json. OverreadError names unknown or missing keys."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise OverreadError(f"{source} is not JSON ({error}). Restore it, or train again.") from error
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != known:
            raise OverreadError(f"{source} holds {sorted(values)}; expected the keys {sorted(known)}.")
        return cls(**values)
