"""The threshold: chosen under a constraint, dragged, weighed at a prevalence, locked here and verified there."""

import streamlit as st

from dashboard.shared import scoring, selection, widgets
from dashboard.shared.selection import bone_name
from dashboard.threshold import bones, lock, work
from dashboard.threshold import panel as threshold_panel
from dashboard.threshold import rule as threshold_rule


def show() -> None:
    chosen = selection.current()
    dataset, source = scoring.chosen_parts(chosen)
    widgets.heading("Threshold", dataset, source.name, f"{chosen.split} studies", bone_name(chosen.bone))
    tables = scoring.tables(chosen)
    rule, choice, prevalence = threshold_rule.show(chosen, tables)
    points, _ = lock.points_of(source)
    marks = [*lock.marks(points), *threshold_rule.marks(rule, choice)]
    # The panel stands above its settings, and is drawn after them.
    panel = st.container()
    axis = threshold_panel.settings()
    with panel:
        threshold_panel.show(dataset, source, chosen, tables, prevalence, axis, marks)
    widgets.note(threshold_panel.resolution(tables))
    left, right = st.columns(2, gap="large")
    with left:
        lock.show(dataset, source, chosen, tables, rule, choice, prevalence)
    with right:
        widgets.caption("Band between two thresholds", "what lies in it, and the rate of exchange")
        work.show_band(dataset, source, chosen)
    bones.show(dataset, source, chosen, tables, rule, choice, prevalence)
    work.show_workload(tables, chosen, prevalence)


show()
