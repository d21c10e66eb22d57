"""The DICOM files of a folder, and the table of their labels. Imports no pydicom."""

import os
from dataclasses import dataclass
from pathlib import Path

from core.data.tables import Table, read_table
from core.errors import OverreadError

# Group numbers of the first element of files without a preamble: file meta information, or the data set itself.
_GROUPS = (b"\x02\x00", b"\x08\x00")
# Value representations that the first element of either group can have.
_KINDS = (b"UL", b"UI", b"CS", b"OB", b"DA", b"TM", b"LO", b"SH")


def is_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes (or more) are those of a DICOM file.

    Either a preamble and DICM, or, as in old archives, a first element without them.
    """
    if start[128:132] == b"DICM":
        return True
    if len(start) < 16 or start[:2] not in _GROUPS or start[3:4] != b"\x00":
        return False
    # Explicit encoding has two letters here, implicit encoding the length of a short text or number.
    return start[4:6] in _KINDS or (
        start[2:4] in (b"\x00\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00")
        and 0 < int.from_bytes(start[4:8], "little") <= 64
    )


@dataclass(frozen=True)
class DicomFolder:
    """Paths of the DICOM files below a folder, and {path, reason} of every other file."""

    files: list[str]
    stray: list[dict]


def list_dicom_files(root: Path) -> DicomFolder:
    """Every DICOM file below `root`, recognised by content, not by name. Linked folders are not followed."""
    files, stray = [], []

    def report_folder(error: OSError) -> None:
        path = Path(error.filename or root).relative_to(root).as_posix()
        problem = (error.strerror or str(error)).lower()
        reason = f"the folder cannot be read ({problem}); permit reading it and index again"
        stray.append({"path": path, "reason": reason})

    for folder, folders, names in os.walk(root, onerror=report_folder):
        folders.sort()
        for name in sorted(names):
            place = os.path.join(folder, name)
            path = Path(place).relative_to(root).as_posix()
            try:
                path.encode()
                if not os.path.isfile(place):
                    raise OSError(0, "it is not a file")
                with open(place, "rb") as opened:
                    start = opened.read(132)
            except UnicodeEncodeError:
                shown = path.encode("utf-8", "backslashreplace").decode()
                stray.append(
                    {"path": shown, "reason": "its name, or that of one of its folders, is not UTF-8; rename it"}
                )
                continue
            except OSError as error:
                stray.append({"path": path, "reason": (error.strerror or str(error)).lower()})
                continue
            if is_dicom(start):
                if name.upper() != "DICOMDIR":
                    files.append(path)
            elif path != "labels.csv":
                stray.append({"path": path, "reason": "it is not a DICOM file"})
    return DicomFolder(files, stray)


def read_labels(file: Path | None) -> Table | None:
    """The table of labels; None without a file. OverreadError if it cannot be read."""
    if file is None:
        return None
    if not Path(file).is_file():
        raise OverreadError(f"The table of labels {file} does not exist. Check the path.", code="labels-missing")
    return read_table(file)
