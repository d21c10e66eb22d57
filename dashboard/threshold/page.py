"""The threshold: chosen under a constraint, dragged, read at a prevalence, locked on one split, verified on another."""

import streamlit as st

from dashboard.shared import scoring, selection, widgets
from dashboard.shared.selection import bone_name
from dashboard.threshold import bones, lock, panel, rule, work


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    widgets.heading("Threshold", view.dataset, view.source.name, f"{view.split} studies", bone_name(view.bone))
    tables = scoring.require_tables(view)
    answer = rule.draw_rule(view, tables)
    points, _ = lock.points_of(view.source)
    marks = [*lock.marks(points), *rule.marks(answer)]
    # The panel is above its settings on the page, and is drawn after them.
    place = st.container()
    axis = panel.draw_settings()
    with place:
        panel.draw_panel(view, tables, answer.prevalence, axis, marks)
    widgets.note(panel.resolution(tables))
    left, right = st.columns(2, gap="large")
    with left:
        lock.draw_lock(view, tables, answer)
    with right:
        work.draw_band(view)
    bones.draw_bones(view, tables, answer)
    work.draw_workload(view, tables, answer.prevalence)


draw_page()
