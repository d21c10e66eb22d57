"""The threshold: chosen under a constraint, dragged, weighed at a prevalence, locked here and verified there."""

import streamlit as st

from dashboard import selection, widgets
from dashboard.parts import scoring, threshold_bones, threshold_lock, threshold_panel, threshold_rule, threshold_work
from dashboard.selection import bone_name


def show() -> None:
    chosen = selection.current()
    dataset, source = scoring.chosen_parts(chosen)
    widgets.heading("Threshold", dataset, source.name, f"{chosen.split} studies", bone_name(chosen.bone))
    tables = scoring.tables(chosen)
    rule, choice, prevalence = threshold_rule.show(chosen, tables)
    points, _ = threshold_lock.points_of(source)
    marks = [*threshold_lock.marks(points), *threshold_rule.marks(rule, choice)]
    # The panel stands above its settings, and is drawn after them.
    panel = st.container()
    axis = threshold_panel.settings()
    with panel:
        threshold_panel.show(dataset, source, chosen, tables, prevalence, axis, marks)
    widgets.note(threshold_panel.resolution(tables))
    left, right = st.columns(2, gap="large")
    with left:
        threshold_lock.show(dataset, source, chosen, tables, rule, choice, prevalence)
    with right:
        widgets.caption("Band between two thresholds", "what lies in it, and the rate of exchange")
        threshold_work.show_band(dataset, source, chosen)
    threshold_bones.show(dataset, source, chosen, tables, rule, choice, prevalence)
    threshold_work.show_workload(tables, chosen, prevalence)


show()
