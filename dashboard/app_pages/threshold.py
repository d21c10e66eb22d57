"""The threshold: dragged, chosen under a constraint, weighed at a prevalence, locked here and verified there."""

import streamlit as st

from dashboard import scoring, selection, threshold_lock, threshold_panel, threshold_rule, threshold_work, widgets
from dashboard.selection import bone_name


def show() -> None:
    chosen = selection.current()
    dataset, source = scoring.chosen_parts(chosen)
    widgets.heading("Threshold", dataset, source.name, f"{chosen.split} studies", bone_name(chosen.bone))
    tables = scoring.tables(chosen)
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


show()
