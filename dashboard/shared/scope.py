"""Which splits and bones there are to choose from, read once: every page asks on every run."""

import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.schema import bone_order
from core.scores.imports import Imported
from dashboard.shared import loaders


def scope(dataset: Dataset, source: Checkpoint | Imported | None) -> tuple[frozenset[str], list[str]]:
    """The splits that are scored (else those of the index) and the bones, in their order."""
    reference = source.reference if source else ""
    stamps = loaders._score_stamps(dataset, source) if source else ()
    try:
        return _scope(dataset.name, dataset.index_hash, reference, stamps, dataset, source)
    except OverreadError:
        # Damaged scores: the pages that need them say so.
        return _scope(dataset.name, dataset.index_hash, "", (), dataset, None)


@st.cache_data(max_entries=64, show_spinner=False)
def _scope(name, index_hash, reference, stamps, _dataset, _source) -> tuple[frozenset[str], list[str]]:
    scored = loaders.predictions(_dataset, _source) if _source else None
    rows = scored if _dataset.kind == "scores" else loaders.index(_dataset.name)
    return frozenset((rows if scored is None else scored)["split"].unique()), list(bone_order(rows["bone"].unique()))
