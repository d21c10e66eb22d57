"""The totals of a data set, counted once: a million rows take seconds."""

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
    rows = loaders.predictions(source) if source.model else loaders.index(source.dataset)
    studies = rows["label"].groupby(codes_of(rows["study_id"])).max()
    pairs = rows[["group_id", "split"]].drop_duplicates()
    splits = pairs["split"].value_counts().sort_index()
    return {
        "radiographs": len(rows),
        "bones": rows["bone"].nunique(),
        "studies": len(studies),
        "labelled": int(studies.notna().sum()),
        "abnormal": float(studies.mean()),
        "patients": rows["patient_id"].nunique(),
        "unnamed": int(rows["patient_id"].isna().sum()),
        "splits": {str(split): int(count) for split, count in splits.items()},
        "crossing": int((pairs["group_id"].value_counts() > 1).sum()),
    }
