"""Bone, patient, study, split and label from a path in MURA's layout, with any folders before it and either slash."""

import re
from dataclasses import dataclass

import pandas as pd

from core.data.notes import Note
from core.plural import count_text

SHOWN = 3
_PATH = re.compile(
    r"(?:^|/)(?:(?P<split>train|valid|test)/)?XR_(?P<bone>[A-Za-z]+)/(?P<patient>[^/]+)/"
    r"(?P<study>study[^_/]+)(?:_(?P<label>positive|negative))?(?:/+(?P<image>[^/]+))?/*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MuraPath:
    """The facts of a path; split, label and image are None where the path does not have them.

    relative: the path from the split on, as MURA trees are indexed.
    """

    split: str | None
    bone: str
    patient: str
    study: str
    label: float | None
    image: str | None
    relative: str

    @property
    def study_id(self) -> str:
        """The id that a study has in the index of a MURA tree."""
        return "/".join(part for part in (self.split, *self.study_key) if part)

    @property
    def study_key(self) -> tuple[str, str, str]:
        """Bone, patient and study: a study without its split, since some lists leave it out."""
        return self.bone, self.patient, self.study

    @property
    def image_key(self) -> tuple[str, str, str, str]:
        """What identifies the radiograph; the letter case of its file name does not count."""
        return *self.study_key, (self.image or "").lower()


def parse(text: str) -> MuraPath | None:
    """The facts of `.../valid/XR_WRIST/patient11185/study1_positive/image1.png`; None if it is not such a path."""
    path = str(text).strip().replace("\\", "/")
    if "XR_" not in path and "xr_" not in path.lower():
        return None
    found = _PATH.search(path)
    if not found:
        return None
    split, label = found["split"], found["label"]
    return MuraPath(
        split.lower() if split else None,
        found["bone"].lower(),
        found["patient"].lower(),
        found["study"].lower(),
        None if label is None else float(label.lower() == "positive"),
        found["image"],
        re.sub("/+", "/", path[found.start() :]).strip("/"),
    )


def parse_all(text: pd.Series) -> list[MuraPath] | None:
    """The facts of every cell; None unless each of them is a path in MURA's layout."""
    found = [parse(cell) for cell in text]
    paths = [place for place in found if place is not None]
    return paths if found and len(paths) == len(found) else None


def is_study_number(text: str) -> bool:
    """Whether this is 'study1' or 'study1_positive': a number within a patient, which names no study by itself."""
    return bool(re.fullmatch(r"study\d+(_(positive|negative))?/?", text.strip(), re.IGNORECASE))


def parse_study_id(text: str) -> MuraPath | None:
    """The facts of a study's id in an index, `valid/wrist/patient11185/study1`; None if it is not the id of a study."""
    found = re.fullmatch(r"(?:(train|valid|test)/)?([a-z]+)/([^/]+)/(study[^_/]+)", text)
    if not found:
        return None
    return MuraPath(found[1], found[2], found[3], found[4], None, None, text)


def studies_with_paths(named: pd.Series, places: list[MuraPath | None], column: str) -> tuple[pd.Series, list[Note]]:
    """Study ids where a column names studies and paths in MURA's layout do too.

    Where both divide the radiographs alike, the ids are the paths', as in the index of a MURA tree. Otherwise the
    column is used, since it was named, and a note has three examples.
    """
    pairs = pd.DataFrame({"named": named, "path": [place.study_id if place else None for place in places]})
    known = pairs.dropna().drop_duplicates()
    if known.empty:
        return named, []
    joined = known.groupby("named")["path"].agg(list)
    divided = known.groupby("path")["named"].agg(list)
    joined, divided = joined[joined.map(len) > 1], divided[divided.map(len) > 1]
    if not len(joined) and not len(divided):
        return pairs["path"].fillna(named).astype("str"), []
    first = [f"{name!r}: {', '.join(paths[:2])}" for name, paths in joined.items()]
    first += [f"{path!r}: {', '.join(names[:2])}" for path, names in divided.items()]
    text = (
        f"the column {column} and the paths divide the radiographs into different studies: it joins studies of the "
        f"paths {count_text(len(joined), 'time')} and divides {count_text(len(divided), 'study')} of theirs (first: "
        f"{'; '.join(first[:SHOWN])}); the column is used"
    )
    return named, [Note(text, "studies-contradict-paths")]
