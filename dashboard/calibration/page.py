"""Whether a score of 30% means 30%: before, and after a scaling fitted on another split."""

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.scores.imports import Imported
from core.scores.patient_overlap import shared_sentence
from dashboard.calibration import loader, words
from dashboard.calibration.charts import reliability
from dashboard.shared import scoring, selection, widgets
from dashboard.shared.scope import scope
from dashboard.shared.selection import SPLITS, Selection, bone_name

KEPT = {"bind": "query-params", "persist_state": "session"}
METHODS = {"Temperature": "temperature", "Platt": "platt"}
HELP = {
    "method": "Temperature divides the score's log-odds by one number (Guo 2017); Platt scaling also shifts them "
    "(Platt 1999). Neither changes a rank.",
    "fit_split": "The scaling is fitted on all bones of this split, and judged on the one in the sidebar.",
}


def show() -> None:
    chosen = selection.current()
    parts = scoring.chosen_parts(chosen)
    widgets.heading("Calibration", parts[0], parts[1].name, f"{chosen.split} studies", bone_name(chosen.bone))
    tables = scoring.tables(chosen)
    if isinstance(parts[1], Imported) and parts[1].scale == "raw":
        widgets.empty(
            "These scores are no probabilities",
            "Imported with --raw, only their order is known. Import them as probabilities, or with --logit.",
        )
        return
    if tables.studies["label"].notna().sum() == 0:
        widgets.empty("No study has a known label", "Choose another split or bone.")
        return
    fit_split, method, bins = choose(parts, chosen)
    before = loader.before(*parts, chosen.split, chosen.one_bone, bins)
    found = fit(parts, fit_split, method, chosen, bins)
    for line in words.verdict(before, found, fit_split, chosen.split):
        st.html(f'<p class="answer">{line}</p>')
    after = found.after if found else None
    show_figures(before, after, chosen.split)
    if found:
        show_notes(found, tables, fit_split, chosen)


def choose(parts: tuple, chosen: Selection) -> tuple[str, str, int]:
    """Where it is fitted ('' where there is no other split), how, and in how many bins it is shown."""
    scored, _ = scope(*parts)
    there = [split for split in ("tune", *SPLITS) if split in scored and split != chosen.split]
    there = list(dict.fromkeys(there))
    if st.session_state.get("fit_split") not in there:
        st.session_state.pop("fit_split", None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        fit_split = ""
        if there:
            fit_split = st.selectbox("Fitted on", there, key="fit_split", width=150, help=HELP["fit_split"], **KEPT)
        method = st.segmented_control(
            "Scaling", list(METHODS), default="Temperature", required=True, key="method", help=HELP["method"], **KEPT
        )
        bins = st.number_input("Bins", 2, 50, 10, 1, key="bins", width=130, **KEPT)
    return fit_split, METHODS[method], int(bins)


def fit(parts: tuple, fit_split: str, method: str, chosen: Selection, bins: int):
    """The scaling on the other split, or None with the reason on the page."""
    if not fit_split:
        widgets.empty(
            f"There is no split but {chosen.split} to fit a scaling on",
            "A calibration is fitted on one split and judged on another; below are the scores as they are.",
        )
        return None
    if fit_split == "train":
        widgets.note("If the network learned from train it is too sure there, and a scaling fitted on it too weak.")
    try:
        return loader.calibrated(*parts, fit_split, method, chosen.split, chosen.one_bone, bins)
    except OverreadError as error:
        widgets.empty(f"No scaling can be fitted on {fit_split}", str(error))
        return None


def show_figures(before: dict, after: dict | None, split: str) -> None:
    """The figures, and beside them both reliability curves; beneath each other where it is narrow."""
    figures, *columns = st.columns([1.1, 1, 1], gap="medium")
    with figures:
        st.html(words.figures_html(before, after))
    for column, name, facts in zip(columns, ("Before", "After"), (before, after)):
        if facts is None:
            continue
        with column:
            drawn = reliability(pd.DataFrame(facts["reliability"]), f"{name}, on {split}")
            widgets.show_figure(drawn, f"reliability_{name.lower()}")


def show_notes(found: loader.Calibrated, tables, fit_split: str, chosen: Selection) -> None:
    """What becomes of the threshold, and who stands on both sides."""
    moved = float(found.fitted.apply([chosen.threshold])[0])
    widgets.note(
        f"Nothing that rests on ranks changes: the AUROC stays, and the threshold {chosen.threshold:.4g} becomes "
        f"{moved:.4g}, which calls the same studies abnormal."
    )
    total = tables.studies["group_id"].nunique()
    if said := shared_sentence(found.shared, total, fit_split, chosen.split):
        widgets.note(f"{said[0].upper()}{said[1:]}.")


show()
