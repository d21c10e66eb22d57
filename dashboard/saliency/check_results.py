"""The results of the checks of a map: a verdict, its reason, the curves and every single check."""

from html import escape

import pandas as pd
import streamlit as st

from dashboard.saliency import controls
from dashboard.saliency.charts import insertion_deletion_curves
from dashboard.shared import widgets

# Word, sign and colour: each is enough by itself.
MARKS = {
    "holds up": ("holds", "\u2713", "This map holds up"),
    "do not trust": ("fails", "\u2715", "Do not trust this map"),
}
_BETTER = {True: "yes", False: "no", None: "cannot be checked"}


def verdict_html(report) -> str:
    """A band below a picture. report: a TrustReport, the reason why there is none, or None while it is checked."""
    if report is None:
        return '<p class="verdict waits">Checking this map ...</p>'
    if isinstance(report, str):
        return '<p class="verdict waits">Not checked: do not trust this map</p>'
    kind, sign, words = MARKS[report.verdict]
    return f'<p class="verdict {kind}"><span aria-hidden="true">{sign}</span> {words}</p>'


def reason_html(report) -> str:
    """Whether the map is better than an edge detector, and the reason of the verdict; see `verdict_html`."""
    if report is None:
        return ""
    if isinstance(report, str):
        return f'<p class="trust"><span>{escape(report)}</span></p>'
    failed = len(report.failed)
    count = f"{failed} of {len(report.checks)} checks failed: " if failed else ""
    why = report.why if failed else report.why[:1].upper() + report.why[1:]
    better = f"Better than an edge detector on this image: <b>{_BETTER[report.better_than_edges]}</b>."
    return f'<p class="trust"><span>{better}</span> <span>{count}{escape(why)}.</span></p>'


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
            "edges, random, centre: insertion minus deletion, over the change in logit (Petsiuk 2018), compared with "
            "maps that ignore the model. randomisation: rank correlation with the map of shuffled weights (Adebayo "
            "2018). stability: rank correlation with the map after a small shift. border, marks, outside: share of the "
            "map in that region. No method passes all published tests on radiographs (Arun 2021)."
        )
