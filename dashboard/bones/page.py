"""Every figure per bone, per number of views, per quality of the radiograph: where the model is worse, and how sure."""

import math

import streamlit as st

from core.data.measures import MEASURES
from core.metrics.compare import p_words
from core.metrics.intervals import Estimate
from core.metrics.subgroups import Slices, slice_words
from dashboard.bones import loader
from dashboard.bones import table as bones_table
from dashboard.bones.charts import dot_and_whisker
from dashboard.shared import scoring, selection, study_tables, widgets
from dashboard.shared.selection import Selection, bone_name

KEPT = {"bind": "query-params", "persist_state": "session"}
BY = {"Bone": "bone", "Number of views": "views", "Quality": "measure"}


def show() -> None:
    chosen = selection.current()
    parts = scoring.chosen_parts(chosen)
    where = f"threshold {chosen.threshold:.4g}"
    widgets.heading("Bones", parts[0], parts[1].name, f"{chosen.split} studies", where)
    scoring.tables(chosen, every_bone=True)
    by, measure = choose_slices(parts[0])
    # Bones stand beside each other; views and quality are looked at within the bone that is chosen.
    within = "" if by == "bone" else chosen.one_bone
    if within:
        scoring.tables(chosen)
    cut = loader.cut(*parts, chosen.split, within, by, measure) if by != "measure" or measure else None
    if cut is None:
        show_unmeasured(chosen)
        return
    if not cut.parts:
        widgets.empty("No study belongs to a slice", "Choose another split, or other slices.")
        return
    names = {name: bone_name(name) if by == "bone" else words(name, by) for name in cut.parts}
    table, pooled = cut.at(chosen.threshold), cut.whole.at(chosen.threshold)
    show_verdict(cut, table, names, within)
    show_forest(table.assign(name=[names[name] for name in table[by]]), pooled)
    st.html(bones_table.main_html(table, pooled, by, names, chosen))
    show_by_patient(study_tables.areas(*parts, chosen.split, within)[1])
    show_small(table, by, names)
    widgets.caption("All other figures", f"at {where}; PPV and NPV at each slice's own share of abnormal studies")
    st.html(bones_table.more_html(table, pooled, by, names))


def choose_slices(dataset) -> tuple[str, str]:
    """What to cut by, and the measure if it is quality; both in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = BY[st.segmented_control("Slices by", list(BY), default="Bone", required=True, key="slices", **KEPT)]
        if by != "measure":
            return by, ""
        measured = loader.measured(dataset)
        there = [name for name in MEASURES if name in measured]
        if not there or measured.empty:
            return by, ""
        measure = st.selectbox("Measure", there, key="measure", width=210, **KEPT)
    widgets.note(f"{measure}: {MEASURES[measure]}. Mean over a study's radiographs, cut into thirds.")
    return by, measure


def show_unmeasured(chosen: Selection) -> None:
    """Why there is no quality to cut by, and what to do."""
    if not chosen.has_images:
        widgets.empty("There are no radiographs to measure", "These are scores only; cut them by bone or by views.")
        return
    widgets.empty(
        "These radiographs are not measured yet",
        "Open the Audit page: it measures brightness, contrast, metal, marks and more, once for each file.",
    )


def words(name: str, by: str) -> str:
    """A slice as it is shown."""
    if by == "views":
        return f"{name} view" if name == "1" else f"{name} views"
    return str(name).split(": ", 1)[1].capitalize()


def show_verdict(cut: Slices, table, names: dict, within: str) -> None:
    """Which slices rank differently from the rest beyond chance, adjusted for how many were looked at."""
    tested = table[table["gap_p_holm"].notna()]
    if len(tested) < 2:
        widgets.note("A slice is held against the rest where both have 10 abnormal and 10 normal studies.")
        return
    said = [
        f"<b>{widgets.escape(names[row[cut.by]])}</b> ranks {'worse' if row['gap'] < 0 else 'better'} than the rest: "
        f"AUROC {row['gap']:+.3f} ({row['gap_low']:+.3f} to {row['gap_high']:+.3f}), {p_words(row['gap_p_holm'])}."
        for row in tested[tested["gap_p_holm"] < 0.05].sort_values("gap").to_dict("records")
    ]
    about = f"p adjusted for {len(tested)} slices (Holm){f', {bone_name(within)} only' if within else ''}."
    what = "".join(f'<p class="answer">{line}</p>' for line in said)
    st.html(what or '<p class="answer"><b>No slice</b> ranks differently from the rest beyond chance.</p>')
    widgets.note(about)


def show_forest(table, pooled: dict) -> None:
    """AUROC, sensitivity and specificity side by side; beneath each other where it is narrow."""
    for column, measure in zip(st.columns(3, gap="medium"), ("auroc", "sensitivity", "specificity")):
        with column:
            widgets.show_figure(dot_and_whisker(table, pooled, measure), f"forest_{measure}")


def show_by_patient(area: Estimate | None) -> None:
    """That the intervals of the table are too narrow where patients have several studies, and by how much."""
    if area is None or math.isnan(area.low):
        return
    widgets.note(
        "Intervals take studies as independent, and some patients have several. By patient, the AUROC of all is "
        f"{area.value:.3f} ({area.low:.3f}-{area.high:.3f}); what a slice is less the rest is by patient as it stands."
    )


def show_small(table, by: str, names: dict) -> None:
    """What is too small to show anything, in words."""
    said = [line for row in table.to_dict("records") if (line := slice_words(row, names[row[by]]))]
    if said:
        widgets.caption("Too small to tell", f"{len(said)} of {len(table)}")
        st.html(f'<p class="note">{"<br>".join(widgets.escape(line) for line in said)}</p>')


show()
