"""The results of the checks of maps in detail: the curves and every single check."""

import pandas as pd
import streamlit as st

from dashboard.saliency import controls
from dashboard.saliency.charts import insertion_deletion_curves
from dashboard.shared import widgets


def draw_details(reports: dict) -> None:
    """Draw the curves and the table of checks, folded away. reports: a TrustReport per method."""
    if reports:
        draw_curves(reports)
        draw_checks(reports)


def draw_curves(reports: dict) -> None:
    """Draw insertion and deletion of each map beside those of the references, once the reader opens them."""
    titles = controls.method_titles()
    opened = st.expander("Insertion and deletion", key="curves", on_change="rerun")
    if not opened.open:
        return
    with opened:
        curves = {titles[method]: report.curves for method, report in reports.items()}
        widgets.show_figure(insertion_deletion_curves(curves), key="curves_chart")
        widgets.note(
            "Insertion starts from a blurred radiograph and restores its squares, the highest of the map first; with a "
            "good map the score appears early. Deletion blurs the squares in the same order; with a good map the score "
            "disappears early (Petsiuk 2018)."
        )


def draw_checks(reports: dict) -> None:
    """Draw a table of every check of every map."""
    titles = controls.method_titles()
    with st.expander("All checks"):
        rows = [
            {
                "Method": titles[method],
                "Check": check.name,
                "Passed": {True: "yes", False: "no", None: "not checked"}[check.passed],
                "Value": check.value,
                "Reference": check.reference,
                "Result": check.words,
            }
            for method, report in reports.items()
            for check in report.checks
        ]
        number = st.column_config.NumberColumn(format="%.2f")
        widgets.draw_table(pd.DataFrame(rows), column_config={"Value": number, "Reference": number})
        widgets.note(
            "edges, random, centre: insertion minus deletion, divided by the change in logit (Petsiuk 2018), "
            "compared with "
            "maps that ignore the model. randomisation: rank correlation with the map of shuffled weights (Adebayo "
            "2018). stability: rank correlation with the map after a small shift. border, marks, outside: share of the "
            "map in that region. No method passes all published tests on radiographs (Arun 2021)."
        )
