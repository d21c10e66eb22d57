"""The threshold: chosen under a constraint, dragged, read at a prevalence, locked on one split, verified on another."""

import streamlit as st

from dashboard.shared import address, scoring, selection, widgets
from dashboard.shared.selection import bone_name
from dashboard.threshold import bones, lock, meeting, panel, points, rule, work


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    widgets.heading("Threshold", view.dataset, view.source.name, f"{view.split} studies", bone_name(view.bone))
    tables = scoring.require_tables(view)
    answer = rule.draw_rule(view, tables)
    locked, refused = points.points_of(view.source)
    marks = [*points.marks(locked), *rule.marks(answer)]
    # The panel is above its settings on the page, and is drawn after them.
    place = st.container()
    axis = panel.draw_settings()
    with place:
        meeting.draw_panel(view, tables, answer.prevalence, axis, marks)
        meeting.draw_meeting(view, answer.prevalence)
    widgets.note("", why=panel.resolution(tables), ask="Which thresholds?")
    if refused:
        widgets.empty("The operating points cannot be used", refused)
    else:
        lock.draw_lock(view, tables, answer)
    if locked:
        names, opened = ("point", "verify_point", "verify_on"), points.is_to_be_seen(locked)
        with address.more(points.summary(locked), *names, icon=":material/lock:", opened=opened):
            points.draw_points(view.source, locked)
    with address.more("Workload and net benefit", icon=":material/medical_services:"):
        work.draw_workload(view, tables, answer.prevalence)
    with address.more("Band between two thresholds", "band_low", "band_high", icon=":material/width:"):
        work.draw_band(view)
    bones.draw_bones(view, tables, answer)


draw_page()
