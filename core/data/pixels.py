"""Read an image file as 8-bit grey, and fit it into a square."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.data import jpeg, png
from core.data.dicom_files import is_dicom
from core.data.grey_levels import to_eight_bits
from core.data.unreadable import MOST_PIXELS, UnreadableImage, check_size
from core.errors import OverreadError, reason_of

FITS = ("pad", "crop", "stretch")
# Errors of Pillow's decoders for damaged files; UnidentifiedImageError is an OSError.
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
# EXIF orientations that swap width and height.
_SIDEWAYS = {5, 6, 7, 8}
_WHITE_IS_ZERO, _PHOTOMETRIC, _BITS = 0, 262, 258


def open_image(path: Path | str, data: bytes | None = None) -> Image.Image:
    """The image with its header read but not its pixels. UnreadableImage if the header is invalid.

    An ancillary chunk of a PNG that fails its checksum, such as a text, is left out; a critical one is damage.
    """
    try:
        if data is None:
            with open(path, "rb") as file:
                start = file.read(8)
                data = start + file.read() if start == png.SIGNATURE else None
        if data and data[:8] == png.SIGNATURE:
            data, _, damaged = png.without_damaged(data)
            if damaged:
                raise UnreadableImage(path, f"its PNG chunk {damaged[0]} fails its checksum")
        with warnings.catch_warnings():
            # Pillow warns of large images below our limit, which check_size applies. Its other warnings are raised as
            # errors where they matter.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data) if data is not None else path)
    except UnreadableImage:
        raise
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error
    check_size(path, *image.size)
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of the result of `read_grey`, after the EXIF orientation."""
    return image.size[::-1] if _orientation(image) in _SIDEWAYS else image.size


def describe_conversion(image: Image.Image, data: bytes = b"") -> str:
    """The conversion of the image when it is read, in words; empty if it does not. data: its file."""
    found = []
    if dropped := ", ".join(png.without_damaged(data)[1]):
        found.append(f"its PNG chunk {dropped} fails its checksum and is left out")
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        found.append(f"stored in {image.mode}; its brightness is read")
    elif image.mode in ("P", "PA"):
        found.append("stored with a palette; its brightness is read")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        found.append("stored with an alpha channel; shown on black")
    if _orientation(image) not in (None, 1):
        found.append("rotated by its EXIF orientation; read upright")
    try:
        frames = getattr(image, "n_frames", 1)
    except _DAMAGE:  # damage after the first frame, which is all that is read
        frames = 1
    if frames > 1:
        found.append(f"it contains {frames} images; the first is read")
    return ", and ".join(found)


def read_grey(path: Path | str, data: bytes | None = None) -> np.ndarray:
    """A file as grey levels: uint8 [height, width]. UnreadableImage names the file and the reason.

    DICOM is read by core.data.dicom. Colour becomes luma, transparent parts become black, and the EXIF orientation is
    applied. Images of more than 8 bits, grey or colour, are mapped linearly from their own 0.5 and 99.5 percentiles to
    0..255, since such files use an unknown part of their range.
    """
    path = Path(path)
    if data is None:
        data = _bytes_of_dicom(path)
    if data is not None and is_dicom(data):
        from core.data import dicom  # loads pydicom, so only when there is DICOM to read

        return dicom.read_grey(path, data)
    image = open_image(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = _orientation(image)
            if image.format in ("JPEG", "MPO") and jpeg.is_truncated(data or path.read_bytes()):
                raise UnreadableImage(path, jpeg.TRUNCATED)
            if image.mode == "L":
                grey = np.asarray(image)
            elif image.mode in {"I", "F"} or image.mode.startswith("I;"):
                grey = to_eight_bits(np.asarray(image, dtype=np.float32))
                grey = 255 - grey if _white_is_zero(image) else grey
            elif _deep(image):
                image.load()  # raises for a truncated file, of which OpenCV would return the upper part
                grey = _deep_colour(path, data)
            else:
                grey = np.asarray(_opaque(image).convert("L"))
            return grey if orientation in (None, 1) else _upright(grey, orientation)
    except UnreadableImage:
        raise
    except _DAMAGE as error:
        raise UnreadableImage(path, _reason(error)) from error


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1..8; None if it is missing or cannot be read."""
    # A PNG's EXIF can follow its pixels; it is used only if Pillow has already met it, to avoid reading the file.
    if image.format not in ("JPEG", "TIFF", "WEBP", "MPO") and "exif" not in image.info:
        return None
    try:
        found = image.getexif().get(_ORIENTATION)
        return int(found) if found in range(1, 9) else None
    except _DAMAGE:
        return None


def _upright(grey: np.ndarray, orientation: int) -> np.ndarray:
    picture = Image.fromarray(grey)
    picture.getexif()[_ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF stores white as 0 and has to be inverted here. Pillow inverts only those of 8 bits."""
    return image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _deep(image: Image.Image) -> bool:
    """Whether the image has 16-bit colour or alpha, which Pillow would reduce to the upper 8 bits."""
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
        return to_eight_bits(levels)
    if levels.shape[2] in (2, 4):
        levels = levels[..., :-1] * (levels[..., -1:] / 65535)
    luma = levels @ np.array([0.114, 0.587, 0.299], np.float32) if levels.shape[2] == 3 else levels[..., 0]
    return to_eight_bits(luma)


def _opaque(image: Image.Image) -> Image.Image:
    """The image on black, which is the background of a radiograph."""
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa") and "transparency" not in image.info:
        return image
    whole = image.convert("RGBA")
    background = Image.new("RGBA", whole.size, (0, 0, 0, 255))
    background.alpha_composite(whole)
    return background


def _bytes_of_dicom(path: Path) -> bytes | None:
    """The bytes of a DICOM file; None for any other file, which Pillow opens itself."""
    try:
        with open(path, "rb") as file:
            start = file.read(132)
            return start + file.read() if is_dicom(start) else None
    except (OSError, ValueError):
        return None  # open_image reports the problem


def to_square(grey: np.ndarray, size: int, fit: str = "pad") -> np.ndarray:
    """Grey levels fitted into uint8 [size, size], with antialiasing.

    fit: 'pad' keeps the aspect ratio and adds black, 'crop' keeps it and cuts the longer side, 'stretch' distorts.
    """
    if fit not in FITS:
        raise OverreadError(f"The fit is {fit!r}; expected one of {', '.join(FITS)}.", code="fit-unknown")
    image, (height, width) = Image.fromarray(grey), grey.shape
    if fit == "stretch":
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.asarray(
            image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        )
    left, top, inner_width, inner_height = padded_box(width, height, size)
    square = np.zeros((size, size), np.uint8)
    square[top : top + inner_height, left : left + inner_width] = image.resize(
        (inner_width, inner_height), Image.Resampling.BILINEAR
    )
    return square


def from_square(values: np.ndarray, width: int, height: int, fit: str) -> np.ndarray:
    """The inverse of `to_square` for a map float [s, s]: float [h, w] in the aspect of an image of width x height.

    The longer side has s pixels. With fit 'crop' the map is 0 where the image was cut off.
    """
    left, top, inner_width, inner_height = padded_box(width, height, len(values))
    if fit == "pad":
        return values[top : top + inner_height, left : left + inner_width]
    image = Image.fromarray(values.astype(np.float32))
    if fit == "stretch":
        return np.asarray(image.resize((inner_width, inner_height)))
    side = min(inner_width, inner_height)
    whole = np.zeros((inner_height, inner_width), np.float32)
    top, left = (inner_height - side) // 2, (inner_width - side) // 2
    whole[top : top + side, left : left + side] = np.asarray(image.resize((side, side)))
    return whole


def padded_box(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Place of an image in its square with fit 'pad': left, top, width, height in pixels of the square."""
    scale = size / max(width, height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    return (size - inner_width) // 2, (size - inner_height) // 2, inner_width, inner_height


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    message = reason_of(error)
    if isinstance(error, Image.DecompressionBombError):
        found = re.search(r"\d+", message)
        return f"{int(found[0]):,} pixels, more than the {MOST_PIXELS:,} a radiograph may have" if found else message
    if "cannot identify image" in message:
        return "its image format is not recognised"
    if message == "Truncated File Read":
        return "image file is truncated"
    return message
