"""The threshold: dragged, chosen under a constraint, weighed at a prevalence, locked here and verified there."""

import streamlit as st

from core.errors import OverreadError
from dashboard import scoring, selection, threshold_lock, threshold_panel, threshold_rule, threshold_work, widgets
from dashboard.loaders import thresholds
from dashboard.selection import Selection, bone_name


def show() -> None:
    chosen = selection.current()
    dataset, source = scoring.chosen_parts(chosen)
    widgets.heading("Threshold", dataset, source.name, f"{chosen.split} studies", bone_name(chosen.bone))
    tables = read(chosen)
    points, _ = threshold_lock.points_of(source)
    prevalence, axis = threshold_panel.settings(tables)
    threshold_panel.show(dataset, source, chosen, tables, prevalence, axis, threshold_lock.marks(points))
    threshold_work.show_bones(tables, chosen)
    left, right = st.columns(2, gap="large")
    with left:
        rule, choice = threshold_rule.show(chosen, tables, prevalence)
        threshold_lock.show(dataset, source, chosen, tables, rule, choice, prevalence)
    with right:
        widgets.caption("Band between two thresholds", "what lies in it, and the rate of exchange")
        threshold_work.show_band(dataset, source, chosen)
    threshold_work.show_workload(tables, chosen, prevalence)


def read(chosen: Selection) -> thresholds.Tables:
    """The tables of what is chosen. Without scores the page ends with the way to make them."""
    try:
        found = thresholds.tables(*scoring.chosen_parts(chosen), chosen.split, chosen.one_bone)
    except OverreadError:
        found = None
    if found is None:
        # Says what is wrong or missing, offers what can be done, and ends the page.
        scoring.scored(chosen)
    return found


show()
