"""A walkthrough as it is shown: in its own view, with its cases as they were when it was made or as they are now."""

from dataclasses import dataclass

import streamlit as st

from core.errors import OverreadError
from core.review.cases import Cases
from core.review.snapshots import read_snapshot
from core.review.walkthroughs import Walkthrough
from core.scores.source import Source
from core.scores.view import View
from core.workflows.walkthroughs import changes_since_made, own_view
from dashboard.shared import address, loaders, widgets
from dashboard.shared.case import loader
from dashboard.shared.case.case_view import ReadingSession

THEN, NOW = "As it was made", "As it is now"


@dataclass(frozen=True)
class Opened:
    """A walkthrough with the view and the cases that the page shows.

    reference: the model of these scores, as stored with a verdict. as_then: they are the stored ones, so a map of the
    present network would not belong to them.
    """

    walkthrough: Walkthrough
    view: View
    cases: Cases
    reference: str
    as_then: bool = False

    def session(self, reader: str, blind: bool) -> ReadingSession:
        """A reader in front of its cases."""
        return ReadingSession(
            self.view, self.cases, reader, blind, reference=self.reference, present_network=not self.as_then
        )


def open_walkthrough(walkthrough: Walkthrough, selected: View) -> Opened:
    """The walkthrough in its own view. The page names later changes and offers both versions.

    selected: used for walkthroughs of early releases, which stored no view.
    """
    view = own_view(walkthrough, find_source)
    if view is None:
        widgets.note("An early release made this walkthrough without scores, so the page shows the selected ones.")
        return Opened(walkthrough, selected, loader.all_studies(selected), selected.source.reference)
    now = loader.all_studies(view)
    then = read_snapshot(loader.store(), walkthrough.id, view.threshold)
    changes = changes_since_made(walkthrough, view, then, now)
    if not changes:
        return Opened(walkthrough, view, now, view.source.reference)
    with st.container(horizontal=True, vertical_alignment="center"):
        widgets.note(" ".join(changes))
        if then is None:
            return Opened(walkthrough, view, now, view.source.reference)
        shown = address.bound(
            st.segmented_control, "Shown", (THEN, NOW), default=THEN, required=True, key="when",
            label_visibility="collapsed",
        )  # fmt: skip
    if shown == NOW:
        return Opened(walkthrough, view, now, view.source.reference)
    made = walkthrough.record["view"]["source"]
    reference = f"{made['name']}@{made['digest'][:8]}" if made["name"] else ""
    return Opened(walkthrough, view, then, reference, as_then=True)


def own_words(opened: Opened) -> list[str]:
    """Scores, split and threshold of the walkthrough, for the line below the heading."""
    view, made = opened.view, opened.walkthrough.record.get("view", {})
    name = made.get("source", {}).get("name") or view.source.name
    point = f"operating point {view.point}, " if view.point else ""
    return [f"this walkthrough: {name or 'no model'}", view.split, f"{point}threshold {view.threshold:.3f}"]


def find_source(data: str, name: str) -> Source:
    """The scores of this name on a data set. OverreadError where there are none."""
    found = loaders.sources(loaders.datasets()[data]).get(name)
    if found is None:
        raise OverreadError(f"{data} has no scores of {name!r}.", code="source-unknown")
    return found
