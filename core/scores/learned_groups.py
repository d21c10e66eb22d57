"""The patients of a data set that a checkpoint learned from, and the splits that follow for it. No torch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.scores.halves import halves_of, whole_of


@dataclass(frozen=True)
class LearnedGroups:
    """The part that each learned patient has in a checkpoint's training.

    parts: 'train' or 'tune' by group_id. members: the member of an ensemble that did not learn from a patient, by
    group_id. Both name only patients of whom the checkpoint learned at least one file.
    """

    parts: dict[str, str]
    members: dict[str, int]

    def splits(self, index: pd.DataFrame) -> pd.Series:
        """The split of each row for this checkpoint, which may differ from that of the index.

        'train' and 'tune' for the files it was trained on or chose its epoch on, and for every other file of those
        patients, even if the files were indexed again or under another name. Other rows keep the split of the index.
        """
        part = index["group_id"].map(self.parts)
        return index["split"].where(part.isna(), part).astype("str")

    def unlearned_by(self, index: pd.DataFrame) -> np.ndarray:
        """The member of an ensemble that was not trained on each row's patient, int [n]; -1 if no member was."""
        return index["group_id"].map(self.members).fillna(-1).to_numpy(int)


def learned_groups(parts: Iterable[pd.DataFrame], checkpoint: Checkpoint) -> LearnedGroups:
    """The learned patients of an index. parts: its rows with `sha1` and `group_id`, in one frame or several."""
    learned, unlearned = checkpoint.learned(), checkpoint.unlearned_by()
    found: dict[str, str] = {}
    members: dict[str, int] = {}
    for rows in parts:
        part = rows["sha1"].map(learned)
        for group, one in zip(rows["group_id"][part.notna()], part[part.notna()]):
            found[group] = "train" if "train" in (one, found.get(group)) else "tune"
        member = rows["sha1"].map(unlearned)
        for group, one in zip(rows["group_id"][member.notna()], member[member.notna()]):
            members[group] = max(int(one), members.get(group, -1))
    return LearnedGroups(found, members)


def splits_to_score(known: set[str], asked: list[str] | None, learned: bool, names: tuple[str, str]) -> list[str]:
    """The splits to score, in the order of their names. OverreadError for a split that is not known.

    known: the splits of the index for this checkpoint. learned: whether it learned from any of these patients; 'train'
    is then not scored unless asked for. names: of the data set and of the checkpoint.
    """
    asked = asked or sorted(known - {"train"} if learned else known)
    halves = {half for split in known for half in halves_of(split)}
    if absent := [split for split in asked if split not in known | halves]:
        raise OverreadError(
            f"Data set {names[0]} has no radiograph in the split {', '.join(absent)} for {names[1]}; it has "
            f"{', '.join(sorted(known))}.",
            code="split-unknown",
        )
    # A half is scored with the whole of its split, so that the stored scores of a split are never half of it.
    return sorted(set(map(whole_of, asked)))
