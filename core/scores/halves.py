"""The split that a threshold is chosen on, and the two halves of a split where none was kept for choosing. No torch.

A threshold is chosen on `tune`, which no network learned from. Where there is no `tune`, or it has too few studies, one
half of valid is for choosing (`valid:choose`) and the other for verifying (`valid:verify`). A patient is in one half
only, each bone and label is spread evenly, and a fixed seed makes the halves the same for every model of a data set.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd

from core.among import among
from core.data.index import read_dataset, read_index
from core.data.references import may_share_studies
from core.errors import OverreadError
from core.metrics.intervals import FEWEST
from core.ordered import codes_of, first_of_each
from core.paths import home

CHOOSE, VERIFY = "choose", "verify"
SEED = 2026
# The columns that the halves depend on.
_OF_HALVES = ("study_id", "group_id", "bone", "label")
# A threshold may be verified on a split further down this list than the one it was chosen on, never the reverse.
_ORDER = ("train", "tune", "valid", "test")
_HALVED = ("valid", "test", "train")  # the first that exists is halved


@dataclass(frozen=True)
class DataSplit:
    """A split of one version of a data set. dataset: `name@hash8`. split: its name, or that of a half."""

    dataset: str
    split: str

    def overlaps(self, other: "DataSplit") -> bool:
        """Whether both may have studies in common: versions of one data set, and splits that are equal or nested."""
        return may_share_studies(self.dataset, other.dataset) and overlapping(self.split, other.split)


def whole_of(split: str) -> str:
    """The split that this one is a half of; itself where it is whole."""
    return split.partition(":")[0]


def halves_of(split: str) -> tuple[str, str]:
    """The names of the two halves of a split: for choosing, and for verifying."""
    return f"{split}:{CHOOSE}", f"{split}:{VERIFY}"


def overlapping(one: str, other: str) -> bool:
    """Whether two splits of the same scores share studies: equal, or one is a half of the other."""
    return one == other or (whole_of(one) == whole_of(other) and whole_of(one) in (one, other))


def known_splits(rows: pd.DataFrame) -> set[str]:
    """Every name that `in_split` understands for these rows: the splits and their halves."""
    return {name for split in rows["split"].unique() for name in (split, *halves_of(split))}


def in_split(rows: pd.DataFrame, split: str) -> np.ndarray:
    """Whether each row is in a split or a half of one, bool [n].

    rows: PREDICTIONS or INDEX. The halves of scores follow the index of their data set where it still exists, so that
    models which scored different radiographs have the same halves.
    """
    whole, _, half = split.partition(":")
    inside = (rows["split"] == whole).to_numpy(copy=True)
    if not half or not inside.any():
        return inside
    part = rows.loc[inside, [name for name in (*_OF_HALVES, "dataset") if name in rows]]
    known = _halves_of_index(part, whole)
    own = part[~among(part["group_id"], known.index)]
    halves = pd.concat([known, _half_by_group(_Rows.of(own))]) if len(own) else known
    inside[inside] = (part["group_id"].map(halves) == half).to_numpy()
    return inside


def half_by_group(rows: pd.DataFrame) -> pd.Series:
    """The half of each patient (group) by group_id. rows: study_id, group_id, bone, label; their order has no effect.

    Studies of each bone and label differ by at most one between the halves where each patient has one study.
    """
    # Numbers in the order of the names, since the largest of a study is taken and texts are slow to compare.
    (group, groups), (bone, bones) = (pd.factorize(rows[name], sort=True) for name in ("group_id", "bone"))
    numbers = pd.DataFrame({"group": group, "bone": bone, "label": rows["label"].to_numpy(np.float64)})
    studies = numbers.groupby(codes_of(rows["study_id"]), sort=False).max()
    names, kinds = groups.tolist(), bones.tolist()
    cells_of: dict[str, list[tuple[str, float]]] = {}
    for group, bone, label in zip(studies["group"].tolist(), studies["bone"].tolist(), studies["label"].fillna(-1)):
        cells_of.setdefault(names[group], []).append((kinds[bone], label))
    keys = {group: hashlib.blake2b(f"{SEED}/{group}".encode(), digest_size=8).hexdigest() for group in cells_of}

    # The patients with most studies first, since they are the hardest to place; then one bone and label after another.
    def order(group: str) -> tuple:
        cells = cells_of[group]
        return -len(cells), cells[0] if len(cells) == 1 else ("", 0), keys[group], group

    halves: dict[str, str] = {}
    # Studies for choosing minus studies for verifying.
    in_cell: Counter[tuple[str, float]] = Counter()
    in_bone: Counter[str] = Counter()
    in_all = 0
    for group in sorted(cells_of, key=order):
        size = len(cells_of[group])
        if size == 1:
            # As below, written out: most patients have one study, and there may be a million of them.
            (cell,) = cells_of[group]
            lean = in_cell[cell] or in_bone[cell[0]] or in_all or (-1 if int(keys[group][-1], 16) % 2 else 1)
            halves[group], sign = (VERIFY, -1) if lean > 0 else (CHOOSE, 1)
            in_cell[cell] += sign
            in_bone[cell[0]] += sign
            in_all += sign
            continue
        cells = Counter(cells_of[group])
        bones = Counter(bone for bone, _ in cells_of[group])
        # Whether the half for choosing has too many already: in these cells, else in these bones, else in all.
        lean = _lean(in_cell, cells) or _lean(in_bone, bones) or in_all or (-1 if int(keys[group][-1], 16) % 2 else 1)
        halves[group], sign = (VERIFY, -1) if lean > 0 else (CHOOSE, 1)
        for cell, count in cells.items():
            in_cell[cell] += sign * count
        for bone, count in bones.items():
            in_bone[bone] += sign * count
        in_all += sign * size
    return pd.Series(halves, dtype="str", name="half").rename_axis("group_id")


def split_for_choosing(rows: pd.DataFrame) -> str:
    """The split on which a threshold is chosen: tune, or half of valid where tune lacks studies of either class.

    Where half of no split has FEWEST studies of each class, a whole split is left: tune, else valid, test or train.
    rows: PREDICTIONS, or INDEX with the splits that hold for a checkpoint. '' where there is no row.
    """
    labelled = rows.loc[rows["label"].notna(), ["study_id", "split", "label"]]
    known = labelled[first_of_each(labelled["study_id"])]
    sizes = known.groupby(["split", "label"]).size().unstack(fill_value=0).reindex(columns=[0.0, 1.0], fill_value=0)
    fewest = sizes.min(axis=1)
    if fewest.get("tune", 0) >= FEWEST:
        return "tune"
    if halved := next((split for split in _HALVED if fewest.get(split, 0) >= 2 * FEWEST), ""):
        return halves_of(halved)[0]
    splits = set(rows["split"].unique())
    return next((split for split in ("tune", *_HALVED) if split in splits), "")


def splits_for_verifying(chosen: str, known: Iterable[str]) -> list[str]:
    """The splits that a threshold chosen on one split may be verified on, the best first.

    After choosing on a half, the other half; then the splits that are further from the training. known: the splits of
    the scores.
    """
    whole = whole_of(chosen)
    other = [halves_of(whole)[1]] if chosen == halves_of(whole)[0] else []
    later = _ORDER[_ORDER.index(whole) + 1 :] if whole in _ORDER else ()
    # A network has learned nothing from valid and test, so they come before tune.
    return other + [split for split in sorted(later, key=("valid", "test", "tune").index) if split in set(known)]


def splits_offered(rows: pd.DataFrame) -> list[str]:
    """The splits of a list to choose from: those of the rows, and the two halves where thresholds are chosen on one."""
    chosen = split_for_choosing(rows)
    halves = halves_of(whole_of(chosen)) if ":" in chosen else ()
    return [*dict.fromkeys([*rows["split"].unique(), *halves])]


@dataclass(frozen=True)
class _Rows:
    """Rows that compare by what the halves depend on."""

    digest: str
    rows: pd.DataFrame = field(compare=False, repr=False)

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "_Rows":
        hashes = pd.util.hash_pandas_object(rows[list(_OF_HALVES)], index=False).to_numpy()
        return cls(hashlib.sha256(np.sort(hashes).tobytes()).hexdigest(), rows)


@lru_cache(maxsize=16)
def _half_by_group(rows: _Rows) -> pd.Series:
    # Pages ask at each run, and ten thousand patients take a third of a second.
    return half_by_group(rows.rows)


def _lean(balance: Counter, counts: Counter) -> int:
    """Above 0 where these studies would leave the balance more uneven in the half for choosing than in the other."""
    return sum(abs(balance[one] + count) - abs(balance[one] - count) for one, count in counts.items())


def _halves_of_index(rows: pd.DataFrame, split: str) -> pd.Series:
    """The halves of a split of the index that scores belong to; empty for other rows, or where it no longer exists."""
    found = rows["dataset"].unique() if "dataset" in rows else []
    if len(found) != 1:
        return pd.Series(dtype="str")
    try:
        return _read_halves(str(home()), str(found[0]), split)
    except OverreadError:
        return pd.Series(dtype="str")


@lru_cache(maxsize=16)
def _read_halves(workspace: str, reference: str, split: str) -> pd.Series:
    name, _, short = reference.rpartition("@")
    dataset = read_dataset(name)
    if not dataset.index_hash.startswith(short):
        raise OverreadError(f"{name} was indexed again since {reference}; score it again.", code="index-changed")
    index = read_index(name, [*_OF_HALVES, "split"])
    return half_by_group(index[index["split"] == split])
