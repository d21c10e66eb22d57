"""The Monitor page: the recent decisions of the service, and what changed since its operating point was chosen."""

import math
from html import escape
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.data.index import read_dataset
from core.errors import OverreadError
from core.plural import count_text
from core.schema import split_order
from core.serving.monitor import MEASURES, Reference, alarms, cusum, daily_table, shadow_table, shifts, traffic
from core.serving.traffic_scores import TrafficScores, import_traffic, traffic_sentence
from dashboard.monitor import charts, loader
from dashboard.shared import address, widgets
from dashboard.shared.address_kinds import Choice
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
    draw_measures(rows, reference)
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
        ("Radiographs per study", f"{rows['n_views'].mean():.2f}", f"median {rows['n_views'].median():.0f}"),
        ("Not usable", f"{int(rows['score'].isna().sum()):,}", "studies without a score"),
    )


def draw_alarms(rows: pd.DataFrame, reference: Reference) -> None:
    """Each alarm in one sentence, with the studies behind it."""
    found = alarms(rows, reference)
    if not found:
        widgets.note("No alarm: no change of alerts, scores or radiographs was found.")
        return
    for number, alarm in enumerate(found):
        st.warning(plain(alarm.text), icon=":material/notifications:")
        studies = loader.indexed_studies(rows[rows["number"].isin(alarm.numbers)])
        with st.expander(
            f"{count_text(len(studies), 'study')} of this alarm, of those indexed here", key=f"alarm_{number}"
        ):
            for row in studies.itertuples():
                query = urlencode({"data": row.data, "case": row.study_id})
                link = f'<a href="errors?{escape(query)}" target="_self">{escape(row.study_id)}</a>'
                st.html(f"{link}, {escape(row.bone)}")
            if studies.empty:
                widgets.note("None of them is in an indexed data set. Index the archive to open them here.")


def draw_charts(rows: pd.DataFrame, reference: Reference) -> None:
    """Studies and alerts per day, and the control chart."""
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


def draw_measures(rows: pd.DataFrame, reference: Reference) -> None:
    """The scores and measures of the last studies beside those of the reference."""
    found = shifts(rows, reference)
    if not found:
        return
    recent = count_text(max(len(one.recent) for one in found), "study")
    with st.expander(f"Scores and radiographs of the last {recent}, and before"):
        widgets.draw_table(
            pd.DataFrame(
                {
                    "Measure": MEASURES[one.measure].capitalize(),
                    "Median now": f"{pd.Series(one.recent).median():.3g}",
                    "Median before": f"{pd.Series(one.before).median():.3g}",
                    "Before is": f"{one.where}, {count_text(len(one.before), 'study')}",
                    "Largest difference": f"{one.difference:.2f}",
                    "Changed": "yes" if one.alarms else "no",
                }
                for one in found
            )
        )


def draw_shadows(log: pd.DataFrame, model: str) -> None:
    """How each shadow would have decided on the same studies, and the way to compare both."""
    table = shadow_table(log, model)
    for (name, digest), part in table.groupby(["model", "digest"]):
        widgets.caption(f"Shadow {name} {digest[:8]}", f"{count_text(len(part), 'study')} scored by both")
        counts = pd.crosstab(part["decision"].fillna("no decision"), part["decision_shadow"].fillna("no decision"))
        renamed = {call: f"Shadow: {call}" for call in counts}
        widgets.draw_table(counts.reset_index().rename(columns={"decision": "Answered", **renamed}))
        draw_comparison(log, model, digest)


def draw_comparison(log: pd.DataFrame, model: str, shadow: str) -> None:
    """Imports the scores of both models, for the studies whose labels are indexed, and links to Compare on them."""
    found = loader.comparable(model, shadow)
    if not found:
        widgets.note("None of these studies is in an indexed data set, so their labels are not known here.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = st.selectbox("Data set", list(found), key=f"compare_data_{shadow[:8]}", width=260)
        pressed = st.button(f"Import both scores of {count_text(found[data], 'study')}", key=f"compare_{shadow[:8]}")
    if pressed:
        try:
            traffic_sets = import_traffic(log, model, shadow, read_dataset(data))
        except OverreadError as error:
            st.error(plain(error))
            return
        widgets.note(traffic_sentence(traffic_sets))
        query = urlencode(compare_address(traffic_sets, log, (model, shadow), data))
        st.html(f'<a href="compare?{escape(query)}" target="_self">Compare both models</a>')


def compare_address(found: TrafficScores, log: pd.DataFrame, models: tuple[str, str], data: str) -> dict[str, str]:
    """Both imported sets in the address of Compare, each at the threshold that it decided by in the service."""
    last = log[log["threshold"].notna()].drop_duplicates("digest", keep="last").set_index("digest")
    query = {
        "data": data,
        "model": found.answered.name,
        "other": found.shadow.name,
        "split": split_order(found.answered.splits)[0],
    }
    for name, digest in zip(("threshold", "other_threshold"), models):
        if digest in last.index:
            query[name] = repr(float(last.loc[digest, "threshold"]))
    if models[0] in last.index:
        query["aggregation"] = str(last.loc[models[0], "aggregation"])
    return query


draw_page()
