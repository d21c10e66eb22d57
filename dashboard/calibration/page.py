"""Whether a score of 30% means 30%: before, and after a scaling fitted on another split."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.scores.halves import overlapping
from core.scores.patient_overlap import shared_sentence
from core.scores.view import View
from dashboard.calibration import loader, words
from dashboard.calibration.charts import reliability
from dashboard.shared import address, scoring, selection, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.scope import scope
from dashboard.shared.selection import bone_name
from dashboard.shared.study_tables import Tables

METHODS = {"Temperature": "temperature", "Platt": "platt"}
HELP = {
    "method": "Temperature scaling divides the score's log-odds by one number (Guo 2017). Platt scaling also shifts "
    "them (Platt 1999). Neither changes the ranking.",
    "fit_split": "The scaling is fitted on all bones of this split and evaluated on the split at the top of the page.",
}


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    widgets.heading("Calibration", view.dataset, view.source.name, f"{view.split} studies", bone_name(view.bone))
    tables = scoring.require_tables(view)
    if view.source.kind == "imported" and view.source.imported.scale == "raw":
        widgets.empty(
            "These scores are not probabilities",
            "They were imported with --raw, so only their order is known. Import them as probabilities, or with "
            "--logit.",
        )
        return
    if tables.studies["label"].notna().sum() == 0:
        widgets.empty("No study has a known label", "Choose another split or bone.")
        return
    fit_split, method, bins = draw_choice(view)
    before = loader.before(view, bins)
    found = fit_or_explain(view, fit_split, method, bins)
    for line in words.verdict(before, found, fit_split, view.split):
        st.html(f'<p class="answer">{line}</p>')
    draw_figures(before, found.after if found else None, view.split)
    if found:
        draw_notes(found, tables, fit_split, view)


def draw_choice(view: View) -> tuple[str, str, int]:
    """The split to fit on ('' where there is no other), the method, and the number of bins shown."""
    scored, _ = scope(view.source)
    others = [split for split in ("tune", *scored) if split in scored and not overlapping(split, view.split)]
    others = list(dict.fromkeys(others))
    if st.session_state.get("fit_split") not in others:
        st.session_state.pop("fit_split", None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        fit_split = ""
        if others:
            fit_split = address.bound(
                st.selectbox, "Fitted on", others, key="fit_split", width=150, help=HELP["fit_split"], **KEPT
            )
        method = address.bound(
            st.segmented_control,
            "Scaling",
            list(METHODS),
            default="Temperature",
            required=True,
            key="method",
            help=HELP["method"],
            **KEPT,
        )
        bins = address.bound(st.number_input, "Bins", 2, 50, 10, 1, key="bins", width=130, **KEPT)
    return fit_split, METHODS[method], int(bins)


def fit_or_explain(view: View, fit_split: str, method: str, bins: int) -> loader.CalibrationResult | None:
    """The scaling fitted on the other split, or None with the reason on the page."""
    if not fit_split:
        widgets.empty(
            f"There is no split other than {view.split} to fit a scaling on",
            "A calibration is fitted on one split and evaluated on another. Below are the scores without scaling.",
        )
        return None
    if fit_split == "train":
        widgets.note("A network is too confident on train, so a scaling that is fitted on train is too weak.")
    try:
        return loader.calibrated(replace(view.every_bone, split=fit_split), method, view, bins)
    except OverreadError as error:
        widgets.empty(f"No scaling can be fitted on {fit_split}", str(error))
        return None


def draw_figures(before: dict, after: dict | None, split: str) -> None:
    """The figures, and beside them both reliability curves; below each other on a narrow screen."""
    figures, *columns = st.columns([1.1, 1, 1], gap="medium")
    with figures:
        st.html(words.figures_html(before, after))
    for column, name, facts in zip(columns, ("Before", "After"), (before, after)):
        if facts is None:
            continue
        with column:
            drawn = reliability(pd.DataFrame(facts["reliability"]), f"{name}, on {split}")
            widgets.show_figure(drawn, f"reliability_{name.lower()}")


def draw_notes(found: loader.CalibrationResult, tables: Tables, fit_split: str, view: View) -> None:
    """The threshold after scaling, and the patients who are in both splits."""
    moved = float(found.fitted.apply([view.threshold])[0])
    widgets.note(
        f"Ranking and AUROC do not change. The threshold {view.threshold:.4g} becomes {moved:.4g} and calls the same "
        "studies abnormal."
    )
    total = tables.studies["group_id"].nunique()
    if overlap := shared_sentence(found.shared, total, fit_split, view.split):
        widgets.note(f"{overlap[0].upper()}{overlap[1:]}.")


draw_page()
