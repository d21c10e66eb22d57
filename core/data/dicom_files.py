"""Which files of a folder are DICOM, and the table of labels that may lie beside them. Needs no pydicom."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.manifest import read_table
from core.errors import OverreadError


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
            if start[128:] == b"DICM":
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
