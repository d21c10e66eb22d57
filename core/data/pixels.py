"""From a file to grey bytes: reading, and fitting into a square."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import OverreadError

FITS = ("pad", "crop", "stretch")
# Larger than any radiograph (a 43 x 43 cm detector at 100 um has 18 million), smaller than what exhausts memory.
MOST_PIXELS = 120_000_000
# What Pillow's decoders raise on damaged files, besides OSError (of which UnidentifiedImageError is one).
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    MemoryError,
    IndexError,
    TypeError,
    KeyError,
    OverflowError,
    Image.DecompressionBombError,
)


class UnreadableImage(OverreadError):
    """A radiograph that cannot be decoded. `reason` says why without naming the file."""

    def __init__(self, path: Path | str, reason: str):
        self.path, self.reason = str(path), reason
        super().__init__(f"{path} cannot be read: {reason}. Replace the file or take it out of the set.")


def open_image(path: Path, data: bytes | None = None) -> Image.Image:
    """The image with its header read, its pixels not yet. UnreadableImage where the header makes no sense."""
    try:
        with warnings.catch_warnings():
            # The bomb warning comes at a lower size than ours; the check below is the limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data) if data is not None else path)
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise UnreadableImage(path, f"{width} x {height} pixels, more than the {MOST_PIXELS:,} a radiograph may have")
    return image


def read_grey(path: Path | str, data: bytes | None = None) -> np.ndarray:
    """A file as grey levels: uint8 [height, width].

    DICOM is read as core.data.dicom says. Colour is turned to luma. More than 8 bits are mapped linearly from the
    image's own .5 and 99.5 percentiles to 0..255, since such files use an unstated part of their range.
    UnreadableImage names file and reason.
    """
    path = Path(path)
    if data is None:
        data = _bytes_of_dicom(path)
    if data is not None and data[128:132] == b"DICM":
        from core.data import dicom  # pydicom is loaded where there is one to read

        return dicom.read_grey(path, data)
    image = open_image(path, data)
    try:
        if image.mode in {"I", "F"} or image.mode.startswith("I;"):
            return eight_bits(np.asarray(image, dtype=np.float32))
        return np.asarray(image if image.mode == "L" else image.convert("L"))
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error


def _bytes_of_dicom(path: Path) -> bytes | None:
    """The file if it is DICOM; None for any other, which Pillow opens by itself."""
    try:
        with open(path, "rb") as file:
            start = file.read(132)
            return start + file.read() if start[128:] == b"DICM" else None
    except (OSError, ValueError):
        return None  # Pillow says what is wrong with it


def to_square(grey: np.ndarray, size: int, fit: str = "pad") -> np.ndarray:
    """Grey levels fitted into uint8 [size, size], with antialiasing.

    fit: 'pad' keeps the shape and fills with black, 'crop' keeps the shape and cuts the longer side, 'stretch' does
    neither and distorts.
    """
    if fit not in FITS:
        raise OverreadError(f"The fit {fit!r} is not known; choose one of {', '.join(FITS)}.")
    image, (height, width) = Image.fromarray(grey), grey.shape
    if fit == "stretch":
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.asarray(
            image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        )
    left, top, inner_width, inner_height = placed(width, height, size)
    square = np.zeros((size, size), np.uint8)
    square[top : top + inner_height, left : left + inner_width] = image.resize(
        (inner_width, inner_height), Image.Resampling.BILINEAR
    )
    return square


def placed(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Where 'pad' puts an image in its square: left, top, width, height in pixels of the square."""
    scale = size / max(width, height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    return (size - inner_width) // 2, (size - inner_height) // 2, inner_width, inner_height


def eight_bits(levels: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Levels of any range to uint8, linearly from the .5 to the 99.5 percentile of `counted` (default: of all)."""
    if levels.ndim != 2 or not np.isfinite(levels).all():
        raise ValueError("grey levels that are not finite")
    low, high = np.percentile(levels if counted is None else counted, (0.5, 99.5))
    if high <= low:
        low, high = float(levels.min()), max(float(levels.max()), float(levels.min()) + 1)
    return np.clip((levels - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    if "cannot identify image" in str(error):
        return "it is not an image that can be recognised"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
