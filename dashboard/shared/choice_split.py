"""The page Threshold opens on the split for choosing; other pages keep the split they had."""

import streamlit as st

from core.errors import OverreadError
from core.scores.halves import split_for_choosing
from core.scores.source import Source
from dashboard.shared import address, loaders
from dashboard.shared.cache import cached_data

PAGE = "threshold"


def choice_split(source: Source) -> str:
    """The split on which a threshold of these scores is chosen; '' without scores."""
    try:
        return _choice_split(source) if source.model else ""
    except OverreadError:
        return ""  # the page itself reports damaged scores


def is_asked(split: str) -> bool:
    """Whether the address that the visit began with names this split."""
    return bool(split) and st.session_state.get("split_asked") == split


def open_split(page: str, source: Source) -> None:
    """Set the shared split where a visitor comes to the page Threshold, or leaves it. Call before the split is drawn.

    The split of the address that the visit began with is kept.
    """
    state = st.session_state
    asked = state.setdefault("split_asked", address.written("split"))
    before, now = state.get("split_seen"), (page, source.data, source.name)
    state["split_seen"] = now
    if before == now:
        return
    if page != PAGE:
        wanted, kept = state.pop("split_elsewhere", ("", None))
        if kept and state.get("split") == wanted:
            state["split"] = kept
        return
    wanted = choice_split(source)
    if not wanted or (asked and address.written("split") == asked):
        return
    stayed = before is not None and before[0] == PAGE
    state["split_elsewhere"] = wanted, state.get("split_elsewhere", ("", None))[1] if stayed else state.get("split")
    state["split"] = wanted


@cached_data(max_entries=64)
def _choice_split(source: Source) -> str:
    rows = loaders.predictions(source, columns=("study_id", "label", "split"))
    return "" if rows is None else split_for_choosing(rows)
