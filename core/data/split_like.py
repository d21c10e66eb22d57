"""The split of another data set, taken over for the same radiographs in other files, such as smaller copies.

Without patient ids, a split that is made here depends on the bytes of the files, so a copy would be dealt anew, and
figures on both copies could not be compared.
"""

from dataclasses import dataclass

import pandas as pd

from core.data.datasets import read_dataset, read_index
from core.data.joins import Joined, JoinReport, Key, join
from core.data.notes import Note
from core.data.references import name_in
from core.errors import OverreadError
from core.plural import count_clause, count_text, share_clause

# The split follows another data set where `splits_from` begins so. Stored in data sets: do not reword.
TAKEN = "as in "
# What may differ between the paths of one radiograph in two data sets, from the strictest.
_IGNORED = ((), ("extension",), ("extension", "folder"))


@dataclass(frozen=True)
class TakenSplit:
    """rows: the `split` and `fold` of each radiograph in another data set, None where it is not in it. splits_from: as
    stored in the description of the new data set. report: of the match."""

    rows: pd.DataFrame
    splits_from: str
    report: JoinReport

    @property
    def name(self) -> str:
        """The name of the other data set."""
        return name_in(self.splits_from.removeprefix(TAKEN))

    def note(self, split: pd.Series) -> Note:
        """How many radiographs are in the split of the other data set, and why others are not. split: as it is now."""
        old = self.rows["split"]
        same, known = int((old == split).sum()), int(old.notna().sum())
        parts = [f"{share_clause(same, len(split), 'radiograph', 'are')} in the same split as in {self.name}"]
        if dealt := len(split) - known:
            parts.append(f"{count_clause(dealt, 'radiograph', 'are')} not in {self.name} and were dealt here")
        if moved := known - same:
            parts.append(f"{count_clause(moved, 'radiograph', 'are')} in another split, since copies stay together")
        return Note("; ".join(parts), "split-taken")


def take_split(name: str, paths: pd.Series) -> TakenSplit:
    """Match radiographs to those of a data set by path: exact, without extension, or by file name without extension.

    The way that matches most is used. OverreadError where none matches any.
    """
    dataset, other = read_dataset(name), read_index(name)
    tried = [found for ignored in _IGNORED if (found := _matched(name, paths, other, ignored))]
    best = max(tried, key=lambda found: found.report.matched, default=None)
    if best is None or not best.report.matched:
        raise OverreadError(
            f"{name} has none of the {count_text(len(paths), 'radiograph')}: no file name is the same, also without "
            f"folder and extension (first here: {paths.iloc[0]!r}; there: {other['path'].iloc[0]!r}). Name the data "
            "set of the same radiographs.",
            code="split-matches-nothing",
        )
    rows = best.values.astype({"fold": float}).set_index(paths.index)
    return TakenSplit(rows, f"{TAKEN}{dataset.reference}", best.report)


def _matched(name: str, paths: pd.Series, other: pd.DataFrame, ignored: tuple[str, ...]) -> Joined | None:
    """The join of both by path; None where two radiographs would have the same name."""
    values = other[["split", "fold"]].astype(object)
    key = Key("path", paths.tolist(), other["path"].tolist(), paths=True)
    what = f"radiographs of {name} by {'file name' if 'folder' in ignored else 'path'}"
    try:
        return join(paths.tolist(), values, [key], what, ignored)
    except OverreadError as error:
        if error.code != "match-ambiguous":
            raise
        return None
