"""The stored audit of a data set, and its measures."""

import pandas as pd

from core.audit.audit import Audit, audit_file, measured_rows, read_audit
from core.data.index import Dataset
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_resource, stamp


def audit(dataset: Dataset) -> Audit | None:
    """The stored audit of this index; None without one. Shared, so callers must not change it."""
    return _audit(dataset, stamp(audit_file(dataset)))


def measured(dataset: Dataset) -> pd.DataFrame:
    """INDEX with MEASURES, by path. Shared, so callers must not change it."""
    return _measured(dataset, stamp(loaders.index_file(dataset)))


@cached_resource(max_entries=8)
def _audit(dataset: Dataset, file: FileStamp) -> Audit | None:
    return read_audit(dataset)


@cached_resource(max_entries=4, show_spinner="Reading the measures")
def _measured(dataset: Dataset, file: FileStamp) -> pd.DataFrame:
    return measured_rows(dataset).drop(columns="sketch").set_index("path", drop=False)
