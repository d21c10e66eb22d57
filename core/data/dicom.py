"""Pixels of DICOM radiographs, windowed for display.

Names follow DICOM PS3.3; the grey pipeline is C.11.1 (modality) and C.11.2 (values of interest).
"""

import copy
import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from core.data import jpeg
from core.data.grey_levels import to_eight_bits
from core.data.unreadable import UnreadableImage, check_size
from core.errors import reason_of

GREY = {"MONOCHROME1", "MONOCHROME2"}
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# The tags of the pixel elements, in either byte order.
_PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
# JPEG Baseline, Extended (12 bits), and lossless.
_JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
_LOSSLESS_FRAME = 0xC3
_STDERR = threading.Lock()
# pydicom and its decoders raise anything for a damaged file, also exceptions of classes of their own.
DAMAGE = Exception


def read_grey(path: Path, data: bytes) -> np.ndarray:
    """The radiograph as uint8 [height, width], dense parts bright. UnreadableImage gives the reason for a failure.

    First rescale slope and intercept, or the modality LUT; then the VOI LUT, else the first window. Without these, or
    if the window shows a single level, the 0.5 and 99.5 percentiles outside the padding. MONOCHROME1 is inverted.
    """
    dataset = _header(path, data)
    try:
        _check(path, dataset, data)
    except UnreadableImage:
        raise
    except DAMAGE as error:
        # pydicom reads a value when it is asked for it, so that any question may meet the damage.
        raise UnreadableImage(path, f"its DICOM header is damaged ({decoder_message(error)})") from error
    try:
        with warnings.catch_warnings():
            # pydicom warns about other tags with values of the wrong kind, and repairs them; they do not matter here.
            warnings.simplefilter("ignore")
            stored = _stored(dataset)
            grey = _displayed(_modality(stored, dataset), dataset, _padding(stored, dataset))
    except DAMAGE as error:
        raise UnreadableImage(path, f"its pixels cannot be decoded ({decoder_message(error)})") from error
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _header(path: Path, data: bytes):
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # force: is_dicom has recognised a file without the preamble by its first element.
            dataset = dcmread(io.BytesIO(data), force=True)
            if data[128:132] != b"DICM" and "TransferSyntaxUID" not in dataset.file_meta:
                implicit = dataset.original_encoding[0]
                dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            return dataset
    except DAMAGE as error:
        raise UnreadableImage(path, f"its DICOM header is damaged ({decoder_message(error)})") from error


def _check(path: Path, dataset, data: bytes) -> None:
    """Raise UnreadableImage unless the file has the pixels of one grey radiograph."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if not any(dataset.get(name) for name in _PIXELS):
        # pydicom drops the element within which a file ends.
        truncated = any(tag in data for tag in _PIXEL_TAGS) and not any(name in dataset for name in _PIXELS)
        raise UnreadableImage(
            path, "it is truncated within its pixels" if truncated else "it is a DICOM file without pixels"
        )
    if syntax is None:
        raise UnreadableImage(path, "it has no transfer syntax, so its pixels cannot be read")
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise UnreadableImage(path, f"its transfer syntax {syntax} is unknown")
    lacking = [name for name in ("Rows", "Columns", "PhotometricInterpretation") if dataset.get(name) is None]
    frames = int(dataset.get("NumberOfFrames") or 1)
    height, width = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    kind = str(dataset.get("PhotometricInterpretation"))
    if lacking:
        raise UnreadableImage(path, f"its DICOM header lacks {' and '.join(lacking)}")
    if frames != 1:
        raise UnreadableImage(path, f"it has {frames} frames; a radiograph has one")
    if kind not in GREY:
        raise UnreadableImage(path, f"its pixels are {kind}; expected grey (MONOCHROME1 or MONOCHROME2)")
    check_size(path, width, height)


def _stored(dataset) -> np.ndarray:
    """The stored values, int or float [height, width]."""
    from pydicom.pixels import pixel_array

    if dataset.file_meta.TransferSyntaxUID in _JPEG and "PixelData" in dataset:
        return _jpeg_samples(dataset)
    bits, high = int(dataset.get("BitsStored") or 0), int(dataset.get("HighBit") or 0)
    above = high + 1 - bits
    if above <= 0 or bits <= 0 or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return pixel_array(dataset)
    # Older files store the value in the upper bits of the word, and other data in the lower bits.
    dataset.BitsStored = high + 1
    return pixel_array(dataset) >> above


def _jpeg_samples(dataset) -> np.ndarray:
    """The stored values of a JPEG. ValueError where its data end before the last row, which decoders fill."""
    from pydicom.encaps import encapsulate, generate_frames
    from pydicom.pixels import pixel_array

    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    layout = jpeg.read_layout(frame)
    if layout is None:
        return pixel_array(dataset)
    if layout.end is None:
        # GDCM corrupts its memory after a frame that ends without this marker.
        frame += jpeg.END
    found: list[np.ndarray] = []

    def decode(content: bytes) -> np.ndarray:
        if layout.precision == 12 and layout.frame != _LOSSLESS_FRAME:
            found.append(_twelve_bits(content, dataset))
        else:
            copied = copy.copy(dataset)
            copied.PixelData = encapsulate([content])
            found.append(pixel_array(copied))
        return found[-1]

    plain = layout.precision == 8 and layout.frame != _LOSSLESS_FRAME
    if jpeg.is_truncated(frame, None if plain else decode):
        raise ValueError("truncated: its JPEG data end before the last row")
    return found[0] if found else decode(frame)


def _twelve_bits(frame: bytes, dataset) -> np.ndarray:
    """The samples of a lossy JPEG of 12 bits, by GDCM. pydicom does not pass such frames to it."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((int(dataset.Columns), int(dataset.Rows), 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation))
    )
    kind = gdcm.TransferSyntax.GetTSType(str(dataset.file_meta.TransferSyntaxUID))
    image.SetTransferSyntax(gdcm.TransferSyntax(kind))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    with _without_warnings_of_gdcm():
        content = image.GetBuffer()
    if content is None:
        raise ValueError("the 12-bit JPEG is damaged")
    # GDCM returns the bytes as text.
    samples = np.frombuffer(content.encode("utf-8", "surrogateescape"), "<u2")
    samples = samples.reshape(int(dataset.Rows), int(dataset.Columns))
    return (samples.astype(np.int16) ^ 2048) - 2048 if dataset.get("PixelRepresentation") == 1 else samples


@contextmanager
def _without_warnings_of_gdcm() -> Iterator[None]:
    """Discard what GDCM writes to stderr: it complains of 12 bits even where it decodes them."""
    with _STDERR, open(os.devnull, "w") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _modality(stored: np.ndarray, dataset) -> np.ndarray:
    """Modality values by the LUT, or by rescale slope and intercept: float32 [height, width]."""
    tables = dataset.get("ModalityLUTSequence")
    if tables and "LUTData" in tables[0]:
        return _looked_up(stored, tables[0], dataset)[0]
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    levels = stored.astype(np.float32)
    return levels if slope is None or intercept is None else levels * float(slope) + float(intercept)


def _padding(stored: np.ndarray, dataset) -> np.ndarray | None:
    """Padding outside the exposed area: bool in the shape of the pixels; None without padding."""
    first, last = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if first is None:
        return None
    first, last = (_as_stored(int(value), dataset) for value in (first, first if last is None else last))
    inside = (stored >= min(first, last)) & (stored <= max(first, last))
    return inside if inside.any() and not inside.all() else None


def _as_stored(value: int, dataset) -> int:
    """A value of the padding with the sign of the pixels. Files write it as US where it should be SS, or the reverse.

    A signed value may be written as the bits of a word (63536 for -2000) or only of the stored bits (2096 in 12).
    """
    bits = int(dataset.get("BitsStored") or 16)
    if dataset.get("PixelRepresentation") == 1:
        value = value - 65_536 if value > 32_767 else value
        return value - 2**bits if 2 ** (bits - 1) <= value < 2**bits else value
    value = value + 65_536 if value < 0 else value
    return value % 2**bits if value >= 2**bits and value >= 65_536 - 2 ** (bits - 1) else value


def _displayed(levels: np.ndarray, dataset, padding: np.ndarray | None) -> np.ndarray:
    """uint8 by the values of interest; padding as dark as the background."""
    counted, grey = (slice(None) if padding is None else ~padding), _of_interest(levels, dataset)
    # A window outside all values is an error in the file and would show a black square.
    if grey is None or (np.ptp(np.clip(grey[counted], 0, 255)) < 1 and np.ptp(levels[counted]) > 0):
        grey = to_eight_bits(levels, levels[counted]).astype(np.float32)
    if padding is not None:
        grey = np.where(padding, 255.0 if dataset.PhotometricInterpretation == "MONOCHROME1" else 0.0, grey)
    return np.clip(grey + 0.5, 0, 255).astype(np.uint8)


def _of_interest(levels: np.ndarray, dataset) -> np.ndarray | None:
    """0..255 by the VOI LUT, else by the first window; None without a usable one."""
    tables = dataset.get("VOILUTSequence")
    if tables and "LUTData" in tables[0]:
        found, top = _looked_up(levels, tables[0], dataset)
        return found * (255 / top)
    centre, width = _number(dataset.get("WindowCenter")), _number(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    return _window(levels, centre, width, function)


def _window(levels: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0..255."""
    if function == "SIGMOID":
        # Beyond 60 it is 0 or 255, and the exponential would overflow.
        return 255 / (1 + np.exp(np.clip(-4 * (levels - centre) / width, -60, 60)))
    if function == "LINEAR_EXACT":
        return np.clip((levels - centre) / width + 0.5, 0, 1) * 255
    # A width of 1 is a step: below the centre black, from it on white.
    return np.clip((levels - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1) * 255


def _looked_up(levels: np.ndarray, item, dataset) -> tuple[np.ndarray, float]:
    """Levels after an item's LUT, float32, and the largest value of the table.

    Levels outside the table take its first or last value (PS3.3 C.11.1.1.1).
    """
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    # Three 16-bit words that may have been read with the wrong sign; 0 means 65,536.
    count = count % 65_536 or 65_536
    first = first - 65_536 if first > 32_767 and levels.min() < 0 else first
    table = item.LUTData
    if isinstance(table, bytes):
        little = dataset.original_encoding[1] is not False
        table = np.frombuffer(table, ("<u2" if little else ">u2") if len(table) >= 2 * count else np.uint8)
    table = np.asarray(table).astype(np.float32)[:count]
    found = table[np.clip(np.rint(levels).astype(np.int64) - first, 0, len(table) - 1)]
    top, reached = float(2 ** (bits % 65_536) - 1), max(float(table.max()), 1.0)
    # The stated number of bits is often wrong: a table that uses less than half of the range would look dark.
    return found, top if top / 2 <= reached <= top else reached


def _number(value) -> float | None:
    """The value, or the first of several; None without a value."""
    if value is not None and hasattr(value, "__len__") and not isinstance(value, str):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)


def decoder_message(error: Exception) -> str:
    """A decoder's message in one line; if several decoders tried, the last message that is about the file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "plugins" in lines[0]:
        lines = [line.partition(": ")[2] for line in lines[1:] if "NoneType" not in line] or ["damaged or truncated"]
    text = lines[-1 if len(lines) > 1 else 0] if lines else type(error).__name__
    return reason_of(text)
