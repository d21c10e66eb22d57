"""The audit that is kept of a data set, and the measures behind it."""

import pandas as pd
import streamlit as st

from core.audit.audit import Audit, audit_file, measured_rows, read_audit
from core.data.index import Dataset
from dashboard.shared.cache import stamp


def audit(dataset: Dataset) -> Audit | None:
    """The audit of this index, if one was kept. Shared, never copied: a reader must not change it."""
    return _audit(dataset.index_hash, stamp(audit_file(dataset)), dataset)


def measured(dataset: Dataset) -> pd.DataFrame:
    """INDEX with MEASURES, by path. Shared, never copied."""
    return _measured(dataset.index_hash, stamp(dataset.folder / "index.parquet"), dataset)


@st.cache_resource(max_entries=8, show_spinner=False)
def _audit(index_hash: str, stamp, _dataset: Dataset) -> Audit | None:
    return read_audit(_dataset)


@st.cache_resource(max_entries=4, show_spinner="Reading the measures")
def _measured(index_hash: str, stamp, _dataset: Dataset) -> pd.DataFrame:
    return measured_rows(_dataset).drop(columns="sketch").set_index("path", drop=False)
