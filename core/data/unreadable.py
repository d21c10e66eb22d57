"""The error for a radiograph that cannot be read, and the largest size that is read."""

from pathlib import Path

from core.errors import OverreadError, without_codes

# Larger than any radiograph (a 43 x 43 cm detector at 100 um has 18 million), small enough to fit into memory.
MOST_PIXELS = 120_000_000


class UnreadableImage(OverreadError):
    """A radiograph that cannot be decoded. `reason` says why, without the name of the file."""

    def __init__(self, path: Path | str, reason: str):
        self.path, self.reason = str(path), without_codes(reason)
        message = f"{path} cannot be read: {reason}. Replace the file or remove it from the data set."
        super().__init__(message, code="image-unreadable")

    def __reduce__(self):
        # The parent's version passes message and code, which are not the arguments of this class.
        return type(self), (self.path, self.reason)


def check_size(path: Path | str, width: int, height: int) -> None:
    """Raise UnreadableImage for an image that is too large to decode."""
    if width * height > MOST_PIXELS:
        raise UnreadableImage(
            path, f"{width:,} x {height:,} pixels, more than the {MOST_PIXELS:,} a radiograph may have"
        )
