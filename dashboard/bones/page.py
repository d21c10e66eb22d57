"""Every figure per bone, per number of views, per quality of the radiograph: where the model is worse, and how certain
that is."""

import math

import pandas as pd
import streamlit as st

from core.data.measures import MEASURES
from core.metrics.compare import p_words
from core.metrics.intervals import Estimate
from core.metrics.rates import headline_rates
from core.metrics.subgroups import Slices, slice_words
from core.plural import count_text
from core.scores.view import View
from dashboard.bones import loader, table
from dashboard.bones.charts import dot_and_whisker
from dashboard.shared import address, loaders, scoring, selection, study_tables, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.selection import bone_name

BY = {"Bone": "bone", "Number of views": "views", "Quality": "measure", "Other column": "column"}


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    where = f"threshold {view.threshold:.4g}"
    widgets.heading("Bones", view.dataset, view.source.name, f"{view.split} studies", where)
    scoring.require_tables(view.every_bone)
    by, measure = draw_choice(view)
    # Slices by bone use all bones; slices by views or quality use only the chosen one.
    within = view.every_bone if by == "bone" else view
    if within.bone:
        scoring.require_tables(within)
    if by == "column" and not measure:
        widgets.empty(
            "There is no other column to slice by",
            "Columns such as age, sex or view are kept when a manifest is indexed or scores are imported.",
        )
        return
    slices = loader.slices(within, by, measure) if by != "measure" or measure else None
    if slices is None:
        draw_unmeasured(view)
        return
    if not slices.parts:
        widgets.empty("No study belongs to a slice", "Choose another split, or other slices.")
        return
    by = slices.by
    names = {name: bone_name(name) if by == "bone" else slice_name(name, by) for name in slices.parts}
    rows, pooled = slices.at(view.threshold), slices.whole.at(view.threshold)
    draw_verdict(slices, rows, names, within.bone)
    draw_forest(rows.assign(name=[names[name] for name in rows[by]]), pooled)
    st.html(table.main_html(rows, pooled, by, names, view))
    draw_by_patient(study_tables.areas(within)[1])
    draw_small_slices(rows, by, names)
    with address.more("All other figures", icon=":material/table:"):
        widgets.note(f"At {where}; PPV and NPV at each slice's own share of abnormal studies.")
        st.html(table.more_html(rows, pooled, by, names))


def draw_choice(view: View) -> tuple[str, str]:
    """The kind of slices, and the measure for slices by quality; both are kept in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = BY[
            address.bound(
                st.segmented_control, "Slices by", list(BY), default="Bone", required=True, key="slices", **KEPT
            )
        ]
        if by == "column":
            columns = list(loaders.study_groups(view))
            chosen = address.bound(st.selectbox, "Column", columns, key="column", width=210, **KEPT) if columns else ""
            return by, chosen or ""
        if by != "measure":
            return by, ""
        measured = loader.measured(view.dataset)
        names = [name for name in MEASURES if name in measured]
        if not names or measured.empty:
            return by, ""
        measure = address.bound(st.selectbox, "Measure", names, key="measure", width=210, **KEPT)
    widgets.note(f"{measure}: {MEASURES[measure]}. Mean over a study's radiographs, cut into thirds.")
    return by, measure


def draw_unmeasured(view: View) -> None:
    """Why there is no quality to slice by, and what to do."""
    if not view.source.has_images:
        widgets.empty("There are no radiographs to measure", "These are scores only. Slice them by bone or by views.")
        return
    widgets.empty(
        "These radiographs are not measured yet",
        "Open the Audit page: it measures brightness, contrast, metal, marks and more, once for each file.",
    )


def slice_name(name: str, by: str) -> str:
    """A slice by views or quality as it is shown."""
    if by == "views":
        return f"{name} view" if name == "1" else f"{name} views"
    return str(name).split(": ", 1)[1].capitalize() if by == "measure" else f"{by} {name}"


def draw_verdict(slices: Slices, rows: pd.DataFrame, names: dict, bone: str) -> None:
    """The slices that rank differently from the other studies beyond chance, adjusted for the number of slices."""
    tested = rows[rows["gap_p_holm"].notna()]
    if len(tested) < 2:
        widgets.note("A slice is compared with the other studies where both have 10 abnormal and 10 normal studies.")
        return
    lines = [
        f"<b>{widgets.escape(names[row[slices.by]])}</b> ranks {'worse' if row['gap'] < 0 else 'better'} than the "
        f"other studies: AUROC {row['gap']:+.3f} ({row['gap_low']:+.3f} to {row['gap_high']:+.3f}), "
        f"{p_words(row['gap_p_holm'])}."
        for row in tested[tested["gap_p_holm"] < 0.05].sort_values("gap").to_dict("records")
    ]
    html = "".join(f'<p class="answer">{line}</p>' for line in lines)
    none = '<p class="answer"><b>No slice</b> differs in AUROC from the other studies beyond chance.</p>'
    st.html(html or none)
    within = f", {bone_name(bone)} only" if bone else ""
    widgets.note(f"p adjusted for {count_text(len(tested), 'slice')} (Holm){within}.")


def draw_forest(rows: pd.DataFrame, pooled: dict) -> None:
    """AUROC and the headline rates side by side; below each other on a narrow screen."""
    measures = ["auroc", *(rate.name for rate in headline_rates())]
    for column, measure in zip(st.columns(len(measures), gap="medium"), measures):
        with column:
            widgets.show_figure(dot_and_whisker(rows, pooled, measure), f"forest_{measure}")


def draw_by_patient(area: Estimate | None) -> None:
    """A warning that the table's intervals are too narrow where patients have several studies, and by how much."""
    if area is None or math.isnan(area.low):
        return
    widgets.note(
        f"The AUROC of all studies, with an interval by patient, is {area.value:.3f} ({area.low:.3f}-{area.high:.3f}).",
        why="Intervals in the table treat studies as independent, but some patients have several. Slice-versus-rest "
        "differences use patient-level intervals.",
        about="by patient",
    )


def draw_small_slices(rows: pd.DataFrame, by: str, names: dict) -> None:
    """The slices that are too small to show a difference, in words."""
    lines = [line for row in rows.to_dict("records") if (line := slice_words(row, names[row[by]]))]
    if lines:
        listed = "".join(f'<p class="note">{widgets.escape(line)}</p>' for line in lines)
        summary = f"Too small to tell: {len(lines)} of {len(rows)}"
        st.html(f'<details class="why"><summary>{summary}</summary>{listed}</details>')


draw_page()
