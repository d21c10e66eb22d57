"""The cost of a threshold to a clinic: workload at a prevalence, net benefit, and studies between two thresholds."""

from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from core.metrics.decision import net_benefit_table
from core.metrics.intervals import Estimate
from core.metrics.rates import RATES, rates_at
from core.scores.view import View
from dashboard.shared import address, study_tables, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.case.cards import count_link
from dashboard.shared.selection import bone_name
from dashboard.shared.study_tables import Tables
from dashboard.threshold import charts, live_panel

OF = 1000  # the workload is given per so many studies


def draw_workload(view: View, tables: Tables, prevalence: float | None) -> None:
    """The outcomes in OF studies, more exact figures, and the decision curve."""
    where = "at the prevalence of these studies" if prevalence is None else f"at a prevalence of {prevalence:.1%}"
    widgets.caption("Workload", f"at threshold {view.threshold:.4g}, {where}")
    rates = rates_at(tables.counts, view.threshold, prevalence)
    st.html(f'<p class="answer">{workload(rates, prevalence)}</p>')
    further = [rate for rate in RATES.values() if rate.name not in live_panel.RATES_SHOWN]
    widgets.facts(*[(rate.title, *widgets.estimate_text(rates[rate.name], rate.format)) for rate in further])
    table = net_benefit_table(tables.counts, prevalence=prevalence)
    if table["net_benefit"].isna().all():
        widgets.empty("The decision curve is not estimable", "It needs abnormal and normal studies.")
        return
    widgets.show_figure(charts.net_benefit(table, view.threshold), "net_benefit")
    widgets.note(net_benefit_sentence(tables, view.threshold, prevalence))


def net_benefit_sentence(tables: Tables, threshold: float, prevalence: float | None) -> str:
    """The net benefit at the threshold, and its definition."""
    about = (
        "Net benefit is true positives minus weighted false alarms, per 100 studies. The weight is the odds of the "
        "threshold (Vickers and Elkin 2006). Scores must be probabilities, so check the calibration first."
    )
    if not 0 < threshold < 1:
        return about
    row = net_benefit_table(tables.counts, [threshold], prevalence).iloc[0]
    model, everyone = 100 * row["net_benefit"], 100 * row["treat_all"]
    here = (
        f"Net benefit at {threshold:.4g}: the model {model:+.1f}, every study called abnormal {everyone:+.1f}, none 0."
    )
    return f"{here} {about}"


def workload(rates: dict[str, Estimate], prevalence: float | None) -> str:
    """The four outcomes in OF studies at the stated prevalence, as HTML; without one, a request to state it."""
    if prevalence is None:
        return "Enter the prevalence of the clinic at the top of the page. It rarely equals that of these studies."
    sensitivity, specificity = rates["sensitivity"].value, rates["specificity"].value
    if np.isnan(sensitivity + specificity):
        return "The workload is not estimable: it needs abnormal and normal studies."
    abnormal, normal = OF * prevalence, OF * (1 - prevalence)
    found, alarms = abnormal * sensitivity, normal * (1 - specificity)
    per_find = f", {(found + alarms) / found:.1f} for each that is found" if found else ""
    return (
        f"<b>Of {OF:,} studies</b> {abnormal:,.0f} are abnormal: {found:,.1f} are found and "
        f"{abnormal - found:,.1f} missed. "
        f"{found + alarms:,.0f} are called abnormal{per_find}; {alarms:,.0f} of them are false alarms."
    )


def draw_band(view: View) -> None:
    """Two thresholds, and what changes between them per bone: abnormal studies found, false alarms made."""
    widgets.caption("Band between two thresholds", "studies in it, and the trade-off of misses for false alarms")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        low, high = (
            address.bound(
                st.number_input,
                label,
                0.0,
                1.0,
                value=value,
                step=0.01,
                format="%.4f",
                key=key,
                width=170,
                **KEPT,
            )
            for label, key, value in (("From", "band_low", 0.4), ("Up to", "band_high", 0.5))
        )
    if low > high:
        widgets.empty(
            "The band is empty", f"The band goes from {low:g} up to {high:g}. The first must be the smaller one."
        )
        return
    table = study_tables.band(view, low, high)
    st.html(band_html(table, view, low, high))
    widgets.note(
        f"Lowering the threshold from {high:g} to {low:g} finds the abnormal studies of the band and turns its "
        f"normal studies into false alarms. Each number opens the studies missed or cleared at {high:g}; those of "
        f"the band come "
        "last."
    )


def band_html(table: pd.DataFrame, view: View, low: float, high: float) -> str:
    """One row per bone, 'all' first; counts link to the error browser at the upper threshold."""
    names = (f"Missed at {high:g}", f"False alarms at {low:g}", "False alarms per find")
    head = "<th></th>" + "".join(f'<th class="number">{name}</th>' for name in names)
    rows = []
    for row in table.itertuples():
        here = replace(view if row.group == "all" else replace(view, bone=row.group), threshold=float(high))
        name = "All" if row.group == "all" else bone_name(row.group)
        cells = [
            f'<span class="mark missed">{count_link(row.abnormal, here, "Missed")}</span>',
            f'<span class="mark alarm">{count_link(row.normal, here, "Cleared")}</span>',
            trade_off(row),
        ]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f"<tr><td><b>{escape(name)}</b></td>{numbers}</tr>")
    body = "".join(rows)
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def trade_off(row) -> str:
    """`2.3 (1.2-4.8)`, or why there is none."""
    if np.isnan(row.alarms_per_find):
        return f"<small>{escape(_short(row.why))}</small>"
    if np.isnan(row.alarms_per_find_low):
        return f"{row.alarms_per_find:.1f} <small>{escape(_short(row.why))}</small>"
    return f"{row.alarms_per_find:.1f} ({row.alarms_per_find_low:.1f}-{row.alarms_per_find_high:.1f})"


def _short(why: str) -> str:
    # A narrow cell has room for the first words only; the command line prints the whole sentence.
    return why.split(",")[0] if why.startswith("no interval") else "none found" if "abnormal" in why else "empty band"
