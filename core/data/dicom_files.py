"""Which files of a folder are DICOM, and the table of labels that may lie beside them. Needs no pydicom."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.manifest import read_table
from core.errors import OverreadError

# First elements of files without a preamble: of the file's meta information, or of the data set itself.
_GROUPS = (b"\x02\x00", b"\x08\x00")
# What the first elements of either group may hold.
_KINDS = (b"UL", b"UI", b"CS", b"OB", b"DA", b"TM", b"LO", b"SH")


def is_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes (or more) are those of DICOM: a preamble and DICM, or, as old archives have them, a
    first element without either."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 16 or start[:2] not in _GROUPS or start[3:4] != b"\x00":
        return False
    # Explicit: two letters of a kind. Implicit: the length of a short text or number.
    return start[4:6] in _KINDS or (
        start[2:4] in (b"\x00\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00")
        and 0 < int.from_bytes(start[4:8], "little") <= 64
    )


@dataclass(frozen=True)
class Found:
    """Paths of DICOM files below the folder, and {path, reason} of everything else that lies there."""

    files: list[str]
    stray: list[dict]


def walk(root: Path) -> Found:
    """Every file below `root`, by its content and not by its name. Linked folders are not followed."""
    files, stray = [], []

    def refused(error: OSError) -> None:
        place = Path(error.filename or root).relative_to(root).as_posix()
        said = (error.strerror or str(error)).lower()
        stray.append(
            {"path": place, "reason": f"the folder cannot be read ({said}); permit reading it and index again"}
        )

    for folder, names, here in os.walk(root, onerror=refused):
        names.sort()
        for name in sorted(here):
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
                    {"path": shown, "reason": "its name, or that of a folder it lies in, is not UTF-8; rename it"}
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
    return Found(files, stray)


def read_labels(file: Path | None) -> pd.DataFrame | None:
    """The table of labels as text; None where none was given. OverreadError where it cannot be read."""
    if file is None:
        return None
    if not Path(file).is_file():
        raise OverreadError(f"There is no table of labels {file}; check the path.")
    return read_table(Path(file))
