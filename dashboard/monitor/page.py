"""The Monitor page: what the service decided lately, and what changed since its operating point was chosen."""

import math
from html import escape
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.plural import count_text
from core.serving.monitor import Reference, alarms, cusum, daily_table, shadow_table, traffic
from dashboard.monitor import charts, loader
from dashboard.shared import address, widgets
from dashboard.shared.address import Choice
from dashboard.shared.plain import plain


def draw_page() -> None:
    widgets.heading("Monitor", None, "decisions of the service, from its log")
    file = loader.log_stamp()
    if not file.modified:
        widgets.empty(
            "No decision is logged yet",
            "Start the service with --log; each decision then appears here. docs/serving.md has the steps.",
            "python -m core serve CHECKPOINT --log",
        )
        return
    try:
        log, report = loader.log_of(file)
    except OverreadError as error:
        widgets.empty("The log cannot be read", str(error))
        return
    if report.problem:
        st.error(f"The log was altered: {plain(report.problem)}. Figures below may be wrong.", icon=":material/error:")
    live = log[~log["shadow"]] if len(log) else log
    if live.empty:
        widgets.empty("No decision can be shown", "The log has no readable decision of a served model.")
        return
    names = {
        f"{row.model} {row.digest[:8]}": row.digest for row in live.drop_duplicates("digest", keep="last").itertuples()
    }
    newest = list(names)[-1]
    key = address.key("served", Choice(names, "model"))
    chosen = address.bound(st.selectbox, "Model", list(names), index=len(names) - 1, key=key) or newest
    rows = traffic(log, names[chosen])
    reference = loader.reference_of(rows)
    draw_facts(rows, reference)
    draw_alarms(rows, reference)
    draw_charts(rows, reference)
    draw_shadows(log, names[chosen])


def draw_facts(rows: pd.DataFrame, reference: Reference) -> None:
    """Volume, alerts and views at one look."""
    decided = rows["alert"].count()
    expected = "no reference" if math.isnan(reference.alert_rate) else f"expected {reference.alert_rate:.1%}"
    rate = "none" if not decided else f"{rows['alert'].mean():.1%}"
    times = rows["time"]
    widgets.facts(
        ("Studies", f"{len(rows):,}", f"{times.iloc[0]:%Y-%m-%d} to {times.iloc[-1]:%Y-%m-%d}"),
        ("Alerts", rate, f"{count_text(int(decided), 'decision')}, {expected}"),
        ("Radiographs a study", f"{rows['n_views'].mean():.2f}", f"median {rows['n_views'].median():.0f}"),
        ("Not usable", f"{int(rows['score'].isna().sum()):,}", "studies without a score"),
    )


def draw_alarms(rows: pd.DataFrame, reference: Reference) -> None:
    """Each alarm in one sentence, with the studies behind it."""
    found = alarms(rows, reference)
    if not found:
        widgets.note("No alarm: alerts, scores and radiographs are as before.")
        return
    for number, alarm in enumerate(found):
        st.warning(plain(alarm.text), icon=":material/notifications:")
        studies = loader.indexed_studies(rows[rows["number"].isin(alarm.numbers)])
        with st.expander(f"{count_text(len(studies), 'study')} behind it that are indexed here", key=f"alarm_{number}"):
            for row in studies.itertuples():
                query = urlencode({"data": row.data, "case": row.study_id})
                link = f'<a href="errors?{escape(query)}" target="_self">{escape(row.study_id)}</a>'
                st.html(f"{link}, {escape(row.bone)}")
            if studies.empty:
                widgets.note("None of them is in an indexed data set. Index the archive to open them here.")


def draw_charts(rows: pd.DataFrame, reference: Reference) -> None:
    """Studies and alerts a day, and the control chart."""
    table = daily_table(rows)
    left, right = st.columns(2)
    with left:
        widgets.show_figure(charts.studies_a_day(table), "monitor_days")
    decided = rows[rows["alert"].notna()]
    if decided.empty:
        return
    with right:
        widgets.show_figure(charts.alert_rate(table, reference.alert_rate), "monitor_rate")
    if not math.isnan(reference.alert_rate):
        paths = cusum(decided["alert"].to_numpy(), reference.alert_rate)
        widgets.show_figure(charts.cusum_chart(decided["time"], paths), "monitor_cusum")


def draw_shadows(log: pd.DataFrame, model: str) -> None:
    """How each shadow would have decided on the same studies."""
    table = shadow_table(log, model)
    for (name, digest), part in table.groupby(["model", "digest"]):
        widgets.caption(f"Shadow {plain(name)} {digest[:8]}", f"{count_text(len(part), 'study')} scored by both")
        counts = pd.crosstab(part["decision"].fillna("none"), part["decision_shadow"].fillna("none"))
        widgets.draw_table(counts.reset_index().rename(columns={"decision": "served, below; shadow, right"}))


draw_page()
