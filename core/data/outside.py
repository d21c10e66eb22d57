"""Paths of a data set that lead out of its folder: absolute ones, those with '..', and links to files elsewhere."""

import os
from collections.abc import Iterable
from pathlib import Path


def outside_paths(root: Path, paths: Iterable[str]) -> list[str]:
    """The paths below `root` whose files are not in it, in their order. A missing file is not outside."""
    top = os.path.realpath(root)
    inside: dict[str, bool] = {}
    found = []
    for path in paths:
        place = os.path.join(top, path)
        folder = os.path.dirname(place)
        try:
            if folder not in inside:
                # Links in the names of folders are followed once for each folder.
                inside[folder] = _is_below(os.path.realpath(folder), top)
            away = not inside[folder] or (os.path.islink(place) and not _is_below(os.path.realpath(place), top))
            if away and os.path.exists(place):
                found.append(path)
        except (OSError, ValueError):
            continue  # reported when the file is read
    return found


def _is_below(place: str, top: str) -> bool:
    return place == top or place.startswith(top.rstrip(os.sep) + os.sep)
