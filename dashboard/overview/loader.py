"""The totals of a data set, counted once: a million rows take seconds."""

import numpy as np
import pandas as pd

from core.ordered import codes_of
from core.paths import home
from core.scores.source import Source, source_of
from core.workflows.workspace import Share, shares
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_data, stamp


def workspace_shares() -> list[Share]:
    """Files and bytes of the workspace by kind, counted at most once a minute."""
    return _shares(str(home()))


@cached_data(ttl=60, max_entries=2)
def _shares(workspace: str) -> list[Share]:
    return shares()


def set_facts(source: Source) -> dict:
    """radiographs, bones, studies, labelled, abnormal (share of the labelled), patients, unnamed (radiographs without
    a patient), splits (groups in each, by name), crossing (groups in two splits)."""
    if source.dataset.kind == "scores":
        return _facts(source, ())
    return _facts(source_of(None, source.dataset), (stamp(loaders.index_file(source.dataset)),))


@cached_data(max_entries=16, show_spinner="Counting")
def _facts(source: Source, files: tuple[FileStamp, ...]) -> dict:
    return facts_of(loaders.predictions(source) if source.model else loaders.index(source.dataset))


def facts_of(rows: pd.DataFrame) -> dict:
    """`set_facts` of the rows of an INDEX or of PREDICTIONS."""
    studies = rows["label"].groupby(codes_of(rows["study_id"])).max()
    groups, (splits, names) = codes_of(rows["group_id"]), pd.factorize(rows["split"], sort=True)
    # A number for each group in each split. Counting a million takes a hundredth of the time of `np.unique`.
    pairs = np.flatnonzero(np.bincount(groups * len(names) + splits))
    group, split = np.divmod(pairs, len(names))
    return {
        "radiographs": len(rows),
        "bones": rows["bone"].nunique(),
        "studies": len(studies),
        "labelled": int(studies.notna().sum()),
        "abnormal": float(studies.mean()),
        "patients": rows["patient_id"].nunique(),
        "unnamed": int(rows["patient_id"].isna().sum()),
        "splits": dict(zip(map(str, names), np.bincount(split, minlength=len(names)).tolist())),
        "crossing": int((np.bincount(group) > 1).sum()),
    }
