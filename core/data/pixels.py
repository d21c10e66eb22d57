"""From a file to grey bytes: reading, and fitting into a square."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.data.dicom_files import is_dicom
from core.data.grey_levels import MOST_PIXELS, UnreadableImage, check_size, eight_bits
from core.errors import OverreadError

FITS = ("pad", "crop", "stretch")
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
_ORIENTATION = 0x0112
# EXIF's orientations that lay the picture on its side.
_SIDEWAYS = {5, 6, 7, 8}
_WHITE_IS_ZERO, _PHOTOMETRIC, _BITS = 0, 262, 258


def open_image(path: Path | str, data: bytes | None = None) -> Image.Image:
    """The image with its header read, its pixels not yet. UnreadableImage where the header makes no sense."""
    try:
        with warnings.catch_warnings():
            # The bomb warning comes at a lower size than ours; the check below is the limit. What else Pillow warns of
            # it also raises, where it matters.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data) if data is not None else path)
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error
    check_size(path, *image.size)
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as `read_grey` gives them: EXIF may say that the file lies on its side."""
    return image.size[::-1] if _orientation(image) in _SIDEWAYS else image.size


def peculiarity(image: Image.Image) -> str:
    """What of a file is shown otherwise than it is stored, in words; empty where nothing is."""
    said = []
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        said.append(f"stored in {image.mode}; its brightness is read")
    elif image.mode in ("P", "PA"):
        said.append("stored with a palette; its brightness is read")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        said.append("stored with an alpha channel; black is put behind it")
    if _orientation(image) not in (None, 1):
        said.append("its EXIF orientation turns it; it is read upright")
    try:
        frames = getattr(image, "n_frames", 1)
    except _DAMAGE:  # what follows the first is damaged, and is not read
        frames = 1
    if frames > 1:
        said.append(f"it holds {frames} pictures; the first is read")
    return ", and ".join(said)


def read_grey(path: Path | str, data: bytes | None = None) -> np.ndarray:
    """A file as grey levels: uint8 [height, width].

    DICOM is read as core.data.dicom says. Colour is turned to luma, black is put behind transparency, and EXIF's
    orientation is followed. More than 8 bits, in colour as well, are mapped linearly from the image's own .5 and 99.5
    percentiles to 0..255, since such files use an unstated part of their range. UnreadableImage names file and reason.
    """
    path = Path(path)
    if data is None:
        data = _bytes_of_dicom(path)
    if data is not None and is_dicom(data):
        from core.data import dicom  # pydicom is loaded where there is one to read

        return dicom.read_grey(path, data)
    image = open_image(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = _orientation(image)
            if image.mode == "L":
                grey = np.asarray(image)
            elif image.mode in {"I", "F"} or image.mode.startswith("I;"):
                grey = eight_bits(np.asarray(image, dtype=np.float32))
                grey = 255 - grey if _white_is_zero(image) else grey
            elif _deep(image):
                image.load()  # raises on a file that is cut off, of which OpenCV returns the upper part
                grey = _deep_colour(path, data)
            else:
                grey = np.asarray(_opaque(image).convert("L"))
            return grey if turned in (None, 1) else _turned(grey, turned)
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error


def _orientation(image: Image.Image) -> int | None:
    """EXIF's orientation, 1..8; None where there is none, or none that can be read."""
    # A PNG's EXIF may stand behind its pixels: looked for only where it was met already, to keep a look cheap.
    if image.format not in ("JPEG", "TIFF", "WEBP", "MPO") and "exif" not in image.info:
        return None
    try:
        found = image.getexif().get(_ORIENTATION)
        return int(found) if found in range(1, 9) else None
    except _DAMAGE:
        return None


def _turned(grey: np.ndarray, orientation: int) -> np.ndarray:
    picture = Image.fromarray(grey)
    picture.getexif()[_ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _white_is_zero(image: Image.Image) -> bool:
    """Of a TIFF: Pillow inverts those of 8 bits itself, and deeper ones not."""
    return image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _deep(image: Image.Image) -> bool:
    """Whether colour or alpha of 16 bits would be cut down to the upper 8 by Pillow."""
    if image.format == "PNG":
        return any("16" in str(tile[3]) for tile in image.tile)
    return image.format == "TIFF" and max(image.tag_v2.get(_BITS, (8,))) > 8


def _deep_colour(path: Path, data: bytes | None) -> np.ndarray:
    import cv2

    stored = cv2.imdecode(np.frombuffer(data or path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError("its 16-bit colour could not be decoded")
    levels = stored.astype(np.float32)
    if levels.ndim == 2:
        return eight_bits(levels)
    if levels.shape[2] in (2, 4):
        levels = levels[..., :-1] * (levels[..., -1:] / 65535)
    luma = levels @ np.array([0.114, 0.587, 0.299], np.float32) if levels.shape[2] == 3 else levels[..., 0]
    return eight_bits(luma)


def _opaque(image: Image.Image) -> Image.Image:
    """What lies behind transparency is black, as the ground of a radiograph is."""
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in image.info:
        return image
    whole = image.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (0, 0, 0, 255))
    ground.alpha_composite(whole)
    return ground


def _bytes_of_dicom(path: Path) -> bytes | None:
    """The file if it is DICOM; None for any other, which Pillow opens by itself."""
    try:
        with open(path, "rb") as file:
            start = file.read(132)
            return start + file.read() if is_dicom(start) else None
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


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        found = re.search(r"\d+", said)
        return f"{int(found[0]):,} pixels, more than the {MOST_PIXELS:,} a radiograph may have" if found else said
    if "cannot identify image" in said:
        return "it is not an image that can be recognised"
    if said == "Truncated File Read":
        return "image file is truncated"
    return said
