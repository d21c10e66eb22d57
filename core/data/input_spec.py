"""The conversion of a file into the network's input; stored with the weights."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from core.data.pixels import FITS, read_grey, to_square
from core.errors import OverreadError, reason_of


@dataclass(frozen=True)
class InputSpec:
    """A square of `size` pixels, fitted by `fit`; one grey channel g in 0..1, as (g - mean) / std."""

    size: int
    fit: str = "pad"
    mean: float = 0.5
    std: float = 0.25

    def __post_init__(self):
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (self.mean, self.std))
        if not numbers or isinstance(self.size, bool):
            raise OverreadError(
                f"The input specification has the size {self.size!r}, the mean {self.mean!r} and the standard "
                f"deviation {self.std!r}; expected numbers.",
                code="input-spec-keys",
            )
        if not (isinstance(self.size, int) and 8 <= self.size <= 4096):
            raise OverreadError(
                f"The input size is {self.size!r}; expected 8 to 4096 pixels.", code="input-size-invalid"
            )
        if not isinstance(self.fit, str) or self.fit not in FITS:
            raise OverreadError(f"The fit is {self.fit!r}; expected one of {', '.join(FITS)}.", code="fit-unknown")
        if not self.std > 0:
            raise OverreadError(
                f"The standard deviation is {self.std!r}; expected a number above 0.", code="input-std-invalid"
            )

    def pixels(self, path: Path | str) -> np.ndarray:
        """The file as uint8 [size, size]. UnreadableImage if it cannot be decoded."""
        return to_square(read_grey(path), self.size, self.fit)

    def normalise(self, unit):
        """Grey in 0..1 (any array or tensor) to the network's input."""
        return (unit - self.mean) / self.std

    def to_json(self) -> str:
        """The text of `input_spec.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "input_spec.json") -> "InputSpec":
        """The inverse of to_json. OverreadError for unknown or missing keys."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OverreadError(
                f"{source} is not JSON ({reason_of(error)}). Restore it, or train again.", code="input-spec-unreadable"
            ) from error
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != known:
            raise OverreadError(
                f"{source} contains {sorted(values) if isinstance(values, dict) else values!r}; expected the keys "
                f"{sorted(known)}.",
                code="input-spec-keys",
            )
        return cls(**values)
