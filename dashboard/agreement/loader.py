"""The tables of the Agreement page, computed again after each write to the review database."""

from dataclasses import dataclass

import pandas as pd

from core.review.agreement import agreement_table, disagreements, latest_reads, pair_table
from core.scores.view import View
from dashboard.shared.cache import cached_resource
from dashboard.shared.case import loader


@dataclass(frozen=True)
class AgreementTables:
    """`agreement_table` and `pair_table`."""

    bones: pd.DataFrame
    pairs: pd.DataFrame


def tables(view: View, blind: bool | None) -> AgreementTables | None:
    """The tables of the reads (`latest_reads`); None where no study was read by two readers."""
    return _tables(view.cohort, blind, *_state())


def undecided(view: View) -> pd.DataFrame:
    """`disagreements` of the verdicts on the data set."""
    return _undecided(view.source.data, *_state()).copy(deep=False)


def _state() -> tuple[str, str, int]:
    """The database and its newest entry. Verdicts are read after it: they are never older than their key."""
    from core.review.store import latest_sequence

    opened = loader.store()
    return opened.place, str(opened.inode), latest_sequence(opened)


@cached_resource(max_entries=20)
def _tables(cohort: View, blind: bool | None, place: str, inode: str, sequence: int) -> AgreementTables | None:
    reads = latest_reads(loader.verdicts(cohort.source.data), blind)
    if reads["study_id"].is_unique:
        return None
    return AgreementTables(agreement_table(reads, loader.all_studies(cohort).table), pair_table(reads))


@cached_resource(max_entries=20)
def _undecided(dataset: str, place: str, inode: str, sequence: int) -> pd.DataFrame:
    return disagreements(loader.verdicts(dataset))
