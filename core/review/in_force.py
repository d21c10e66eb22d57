"""Entries in force: those that nothing in force supersedes, and of each reader's reads the latest."""

from collections.abc import Iterable

import pandas as pd

_SAME_READ = ["dataset", "study_id", "reviewer", "kind", "blind"]


def in_force(links: Iterable[tuple[str, str | None]]) -> set[str]:
    """Ids that no entry in force supersedes. links: (id, superseded id or a missing value), oldest first."""
    active: set[str] = set()
    replaced: set[str] = set()
    # Entries are only superseded by later ones, so going backwards decides each entry at once.
    for name, superseded in reversed(list(links)):
        if name in replaced:
            continue
        active.add(name)
        if isinstance(superseded, str):
            replaced.add(superseded)
    return active


def with_in_force(frame: pd.DataFrame) -> pd.DataFrame:
    """`entries_table` with `in_force`: for each reader, study and kind of read the latest that was not undone."""
    links = frame[["id", "supersedes"]].itertuples(index=False, name=None)
    active = frame["id"].isin(in_force(links)) & (frame["action"] == "verdict")
    # By time, since entries imported from another database may be older than existing ones.
    newest = frame[active].sort_values(["created", "sequence"]).drop_duplicates(_SAME_READ, keep="last")
    return frame.assign(in_force=frame.index.isin(newest.index))
