"""The radiographs of a data set that the rows of a table of scores name: by id, by MURA's path, or by DICOM's UIDs."""

import re
from collections.abc import Callable, Hashable, Iterable

import numpy as np
import pandas as pd

from core.data import mura_paths

_UID = re.compile(r"[0-2](\.(0|[1-9]\d*)){3,}")


def are_studies(ids: pd.Series) -> bool:
    """Whether every id is the path of a study in MURA's layout, not of a radiograph."""
    places = mura_paths.parse_all(ids)
    return bool(places) and all(place.image is None for place in places or ())


def match_radiographs(frame: pd.DataFrame, index: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows that name a radiograph, and of that radiograph in the index."""
    ids = frame["image_id"].tolist()
    found = _first_match(
        len(ids),
        [
            (ids, index["image_id"].tolist()),
            ([_plain(text) for text in ids], [_plain(text) for text in index["image_id"]]),
            *_mura_keys(ids, index["image_id"], lambda place: place.image_key if place.image else None),
            *_uid_keys(ids, index, "instance_uid", "i"),
        ],
    )
    rows = np.flatnonzero([len(places) == 1 for places in found])
    return rows, np.array([found[row][0] for row in rows], dtype=int)


def match_studies(frame: pd.DataFrame, index: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows that name a study, once for each of its radiographs, and of these in the index."""
    ids = frame["study_id"].tolist()
    found = _first_match(
        len(ids),
        [
            (ids, index["study_id"].tolist()),
            ([_plain(text) for text in ids], [_plain(text) for text in index["study_id"]]),
            *_mura_keys(ids, index["image_id"], lambda place: place.study_key),
            *_uid_keys(ids, index, "study_uid", "s"),
            # The index puts patient and bone before the study's own name.
            (ids, [text.rpartition("/")[2] for text in index["study_id"]]),
        ],
        studies=index["study_id"].tolist(),
    )
    rows = np.repeat(np.arange(len(ids)), [len(places) for places in found])
    return rows, np.array([place for places in found for place in places], dtype=int)


def _first_match(count: int, keys: list[tuple[list, list]], studies: list[str] | None = None) -> list[list[int]]:
    """For each row the positions of the items with its key, by the first kind of key that finds an item.

    A key of several items names none, unless all are radiographs of one study and `studies` is given.
    """
    found: list[list[int]] = [[] for _ in range(count)]
    for of_rows, of_items in keys:
        where: dict[Hashable, list[int]] = {}
        for place, key in enumerate(of_items):
            if key is not None:
                where.setdefault(key, []).append(place)
        for row, key in enumerate(of_rows):
            places = where.get(key, []) if key is not None and not found[row] else []
            if len(places) == 1 or (studies and len({studies[place] for place in places}) == 1):
                found[row] = places
    return found


def _plain(text: str) -> str:
    """A path with forward slashes and without './'."""
    text = text.replace("\\", "/")
    return text.removeprefix("./")


def _mura_keys(ids: list[str], known: Iterable[str], key: Callable) -> list[tuple[list, list]]:
    """Keys with and without the split: some lists leave it out."""
    items = [mura_paths.parse(text) for text in known]
    if not any(items):
        return []
    # A study id such as valid/wrist/patient1/study1, to which MURA's paths were shortened, is read back.
    rows = [mura_paths.parse(text) or mura_paths.parse_study_id(text) for text in ids]
    full = [
        [(place.split, key(place)) if place and place.split and key(place) else None for place in places]
        for places in (rows, items)
    ]
    short = [
        [key(place) if place and not place.split else None for place in rows],
        [key(place) if place else None for place in items],
    ]
    return [(full[0], full[1]), (short[0], short[1])]


def _uid_keys(ids: list[str], index: pd.DataFrame, column: str, kind: str) -> list[tuple[list, list]]:
    """Keys of DICOM's UIDs, which the index has only as pseudonyms."""
    if column not in index or not any(_UID.fullmatch(text.rpartition("/")[2]) for text in ids):
        return []
    from core.data.dicom_rows import pseudonym, read_salt

    salt = read_salt()
    rows = [pseudonym(text.rpartition("/")[2], kind, salt) for text in ids]
    return [(rows, [text if isinstance(text, str) and text else None for text in index[column]])]
