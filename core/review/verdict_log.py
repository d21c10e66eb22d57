"""The verdicts of one data set, read once and then only continued: a page asks for them on every run."""

import threading

import pandas as pd

from core.review.in_force import with_in_force
from core.review.store import Store, entries_table, latest_sequence


class VerdictLog:
    """All entries on a data set up to a sequence number. One log may be shared between threads."""

    def __init__(self, dataset: str):
        self.dataset, self.lock, self.upto = dataset, threading.Lock(), 0
        self.entries = self.current = None

    def in_force(self, store: Store) -> pd.DataFrame:
        """The verdicts in force now. Reads only the entries that are newer than the last call."""
        with self.lock:
            newest = latest_sequence(store)
            if self.current is None or newest != self.upto:
                known = self.upto if self.entries is not None and newest > self.upto else 0
                more = entries_table(store, self.dataset, after=known, upto=newest)
                self.entries = pd.concat([self.entries, more], ignore_index=True) if known else more
                table = with_in_force(self.entries)
                self.current, self.upto = table[table["in_force"]].reset_index(drop=True), newest
            return self.current
