"""From the bytes of one uploaded file to the network's grey square, or the reason why the file cannot be used.

Imports no torch, so that a pool of decoding processes starts quickly and stays small.
"""

import hashlib
import io
import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.data.dicom_files import is_dicom
from core.data.input_spec import InputSpec
from core.data.pixels import open_image, read_grey, to_square
from core.data.unreadable import UnreadableImage
from core.errors import OverreadError
from core.serving.limits import Limits

_DEFLATED = b"1.2.840.10008.1.2.1.99"  # Deflated Explicit VR Little Endian


@dataclass(frozen=True)
class Upload:
    """A file as it was sent. name: as its sender calls it; it is returned to the sender and never logged."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class DicomIdentity:
    """The patient and the study in the header of a DICOM file. Kept in memory only, to find a study of several
    patients."""

    patient: str = ""
    study: str = ""


@dataclass(frozen=True)
class DecodedView:
    """One radiograph of a study. pixels: uint8 [size, size], None where it cannot be used; `why` and `code` say why.

    bone, view: from the DICOM header, '' where it has none. side: the longer side of the file in pixels. digest:
    SHA-256 of the file; sha1: by which an index and a map know it.
    """

    file: str
    digest: str
    sha1: str = field(default="", repr=False, compare=False)
    pixels: np.ndarray | None = field(default=None, repr=False, compare=False)
    why: str = ""
    code: str = ""
    bone: str = ""
    view: str = ""
    side: int | None = None
    identity: DicomIdentity = field(default=DicomIdentity(), repr=False)

    @property
    def usable(self) -> bool:
        """Whether the radiograph can be scored."""
        return self.pixels is not None

    def refused(self, why: str, code: str) -> "DecodedView":
        """This radiograph, not usable for this reason."""
        return replace(self, pixels=None, why=why, code=code)


def warm_up() -> int:
    """Import what decoding needs, before the first file comes. Returns the number of the process."""
    import core.data.dicom
    import core.data.dicom_rows  # noqa: F401

    return os.getpid()


def decode_view(upload: Upload, spec: InputSpec, limits: Limits = Limits()) -> DecodedView:
    """Decode one file. Never raises for a bad file: the view says why it cannot be used."""
    digest, sha1 = hashlib.sha256(upload.data).hexdigest(), hashlib.sha1(upload.data).hexdigest()
    view = DecodedView(upload.name, digest, sha1)
    if not upload.data:
        return view.refused("the file is empty", "file-empty")
    if len(upload.data) > limits.file_bytes:
        size, most = len(upload.data) / 1e6, limits.file_bytes / 1e6
        return view.refused(f"the file has {size:,.0f} MB; at most {most:,.0f} MB are read", "file-too-large")
    try:
        if is_dicom(upload.data[:132]):
            if _inflates_beyond(upload.data, limits.file_bytes):
                most = limits.file_bytes / 1e6
                return view.refused(f"it unpacks to more than {most:,.0f} MB, the most that is read", "file-too-large")
            view = _with_header(view, upload.data)
        width, height = _size(upload)
        if width * height > limits.pixels:
            return view.refused(
                f"it has {width:,} x {height:,} pixels; at most {limits.pixels:,} are read", "image-too-large"
            )
        grey = read_grey(Path("upload"), upload.data)
    except UnreadableImage as error:
        return view.refused(error.reason, "image-unreadable")
    except OverreadError as error:
        return view.refused(str(error), error.code)
    return replace(view, pixels=to_square(grey, spec.size, spec.fit), side=max(width, height))


def _size(upload: Upload) -> tuple[int, int]:
    """Width and height by the header alone, so that a small file cannot fill the memory."""
    if is_dicom(upload.data[:132]):
        from pydicom import dcmread

        from core.data.dicom import DAMAGE

        try:
            header = dcmread(
                io.BytesIO(upload.data), stop_before_pixels=True, force=True, specific_tags=["Rows", "Columns"]
            )
            return int(header.get("Columns") or 0), int(header.get("Rows") or 0)
        except DAMAGE as error:
            raise UnreadableImage("upload", "its DICOM header is damaged") from error
    return open_image(Path("upload"), upload.data).size


def _inflates_beyond(data: bytes, most: int) -> bool:
    """Whether a deflated DICOM file unpacks to more than `most` bytes; pydicom would unpack all of it."""
    if _DEFLATED not in data[:1000] or data[128:132] != b"DICM":
        return False
    # The first element of the file meta information, 12 bytes long, has the length of the rest of it.
    start = 144 + int.from_bytes(data[140:144], "little")
    try:
        return len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], most + 1)) > most
    except zlib.error:
        return False  # the file is damaged; reading it gives the error


def _with_header(view: DecodedView, data: bytes) -> DecodedView:
    from core.data.dicom_rows import read_header

    header = read_header(io.BytesIO(data))
    issuer = f" ({header['issuer']})" if header["issuer"] else ""
    identity = DicomIdentity(header["patient"] and header["patient"] + issuer, header["study"])
    bone = "" if header["bone"] == "unknown" else header["bone"]
    return replace(view, bone=bone, view=header["view"] or "", identity=identity)
