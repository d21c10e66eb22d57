"""What a threshold costs a clinic: workload at a prevalence, net benefit, and the studies between two thresholds."""

from html import escape
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.metrics.decision import net_benefit_table
from core.metrics.intervals import Estimate
from core.metrics.rates import RATES, rates_at
from dashboard.shared import study_tables, widgets
from dashboard.shared.selection import Selection, bone_name
from dashboard.shared.study_tables import Tables
from dashboard.threshold import charts as decision
from dashboard.threshold import live_panel

KEPT = {"bind": "query-params", "persist_state": "session"}
OF = 1000  # studies that a workload is told in


def show_workload(tables: Tables, chosen: Selection, prevalence: float | None) -> None:
    """What the threshold means in so many studies, the rest of the exact figures, and the decision curve."""
    where = "as in these studies" if prevalence is None else f"at a prevalence of {prevalence:.1%}"
    widgets.caption("Workload", f"at threshold {chosen.threshold:.4g}, {where}")
    rates = rates_at(tables.counts, chosen.threshold, prevalence)
    st.html(f'<p class="answer">{workload(rates, prevalence)}</p>')
    further = [rate for rate in RATES.values() if rate.name not in live_panel.RATES_SHOWN]
    widgets.facts(*[(rate.title, *widgets.estimate_text(rates[rate.name], rate.format)) for rate in further])
    table = net_benefit_table(tables.counts, prevalence=prevalence)
    if table["net_benefit"].isna().all():
        widgets.empty("The decision curve is not estimable", "It needs abnormal and normal studies.")
        return
    widgets.show_figure(decision.net_benefit(table, chosen.threshold), "net_benefit")
    widgets.note(worth(tables, chosen.threshold, prevalence))


def worth(tables: Tables, threshold: float, prevalence: float | None) -> str:
    """What net benefit is, and how much the chosen threshold is worth."""
    about = (
        "Net benefit counts true positives per 100 studies, less false alarms at the rate of exchange that the "
        "threshold stands for (Vickers and Elkin 2006). It reads the score as a probability: see its calibration first."
    )
    if not 0 < threshold < 1:
        return about
    here = net_benefit_table(tables.counts, [threshold], prevalence).iloc[0]
    model, everyone = 100 * here["net_benefit"], 100 * here["treat_all"]
    said = f"At {threshold:.4g} the model is worth {model:+.1f}, calling every study abnormal {everyone:+.1f}, none 0."
    return f"{said} {about}"


def workload(rates: dict[str, Estimate], prevalence: float | None) -> str:
    """The four outcomes among a thousand studies at the prevalence stated, as HTML; without one, to state it."""
    if prevalence is None:
        return "State the prevalence where it will be used, at the top: that of these studies is rarely a clinic's."
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


def show_band(dataset: Dataset, source, chosen: Selection) -> None:
    """Two thresholds, and what changes between them: abnormal studies found, false alarms made, per bone."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        low, high = (
            st.number_input(label, 0.0, 1.0, value=value, step=0.01, format="%.4f", key=key, width=170, **KEPT)
            for label, key, value in (("From", "band_low", 0.4), ("Up to", "band_high", 0.5))
        )
    if low > high:
        widgets.empty("The band is empty", f"It goes from {low:g} up to {high:g}; the first must be the smaller one.")
        return
    table = study_tables.band(dataset, source, chosen.split, chosen.one_bone, low, high)
    st.html(band_html(table, chosen, low, high))
    widgets.note(
        f"Going down from {high:g} to {low:g} finds the abnormal studies of the band and makes false alarms of its "
        f"normal ones. The numbers open the studies missed and cleared at {high:g}, where those of the band come last."
    )


def band_html(table: pd.DataFrame, chosen: Selection, low: float, high: float) -> str:
    """One row a bone, 'all' first; counts link to the error browser at the upper threshold."""
    names = (f"Missed at {high:g}", f"False alarms at {low:g}", "False alarms per find")
    head = "<th></th>" + "".join(f'<th class="number">{name}</th>' for name in names)
    rows = []
    for row in table.itertuples():
        bone = chosen.bone if row.group == "all" else row.group
        name = "All" if row.group == "all" else bone_name(row.group)
        cells = [
            f'<span class="mark missed">{_link(row.abnormal, chosen, bone, high, "Missed")}</span>',
            f'<span class="mark alarm">{_link(row.normal, chosen, bone, high, "Cleared")}</span>',
            exchange(row),
        ]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f"<tr><td><b>{escape(name)}</b></td>{numbers}</tr>")
    body = "".join(rows)
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def exchange(row) -> str:
    """`2.3 (1.2-4.8)`, or why there is none."""
    if np.isnan(row.alarms_per_find):
        return f"<small>{escape(_short(row.why))}</small>"
    if np.isnan(row.alarms_per_find_low):
        return f"{row.alarms_per_find:.1f} <small>{escape(_short(row.why))}</small>"
    return f"{row.alarms_per_find:.1f} ({row.alarms_per_find_low:.1f}-{row.alarms_per_find_high:.1f})"


def _short(why: str) -> str:
    # What a narrow cell can hold; the sentence is on the command line.
    return why.split(",")[0] if why.startswith("no interval") else "none found" if "abnormal" in why else "empty band"


def _link(count: int, chosen: Selection, bone: str, high: float, outcome: str) -> str:
    if not count or not chosen.has_images:
        return f"{count:,}"
    query = chosen.query(bone=bone, threshold=repr(float(high)), outcome=outcome)
    return f'<a href="errors?{escape(urlencode(query))}" target="_self">{count:,}</a>'
