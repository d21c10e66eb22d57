"""The filters of the Dataset page's grid, which are in its address, and the radiographs that pass them in order."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from core.data.faults import FAULTS
from core.data.index import Dataset
from core.data.measures import MEASURES
from core.review.cases import neutral_name
from core.scores.view import View
from dashboard.dataset import loader
from dashboard.shared import address, theme
from dashboard.shared.address import KEPT
from dashboard.shared.address_kinds import Choice
from dashboard.shared.list_filters import draw_bones, draw_column_filter

LABELS = {name: value for value, (name, _) in theme.LABELS.items()} | {theme.UNKNOWN[0]: None}
INDEX_ORDER = "order of the index"
SHAPE = "shape share"
ORDERS = {**MEASURES, SHAPE: "share of the bone's radiographs that have nearly the same shape"}


@dataclass(frozen=True)
class GridFilters:
    """The filters of the grid; '' for any. order: a measure, or '' for the order of the index; lowest: which end first.

    column, group: a further column of the index and the group of it to list.
    """

    bone: str = ""
    fault: str = ""
    label: str = ""
    split: str = ""
    column: str = ""
    group: str = ""
    order: str = ""
    lowest: bool = True
    blind: bool = False

    @property
    def measure(self) -> str:
        """The measure that the list is sorted by, '' for none."""
        return self.order or (FAULTS[self.fault].order if self.fault else "")


def draw_filters(view: View, rows: pd.DataFrame, blind: bool) -> GridFilters:
    """Draw the faults, label, bones and, behind one button, the other filters and the order."""
    measured = "p50" in rows and bool(rows["p50"].notna().any())
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        fault = address.bound(
            st.pills,
            "Fault",
            list(FAULTS),
            key=address.key("fault", Choice(FAULTS, "fault")),
            label_visibility="collapsed",
            on_change=close_list,
            disabled=not measured,
            **KEPT,
        )
        label = address.bound(
            st.segmented_control,
            "Label",
            ["Any label", *LABELS],
            default="Any label",
            required=True,
            key=address.key("label", Choice(["Any label", *LABELS], "label")),
            label_visibility="collapsed",
            on_change=close_list,
            disabled=blind,
            **KEPT,
        )
        filters = replace(
            _draw_more_filters(view.dataset, rows, blind, measured),
            fault=(fault or "") if measured else "",
            label="" if blind or label == "Any label" else label,
            blind=blind,
        )
        draw_bones(view, rows["bone"], passing(view.dataset, rows, filters), close_list)
    return replace(filters, bone=view.bone)


def close_list() -> None:
    """Back to the first page, with no study open. Only in a callback."""
    st.session_state["study"] = ""
    st.session_state["page"] = 1


def passing(dataset: Dataset, rows: pd.DataFrame, filters: GridFilters) -> np.ndarray:
    """Whether each radiograph passes every filter except the bone, bool [n]."""
    passes = np.ones(len(rows), bool)
    if filters.split:
        passes &= (rows["split"] == filters.split).to_numpy()
    if filters.label:
        wanted = LABELS[filters.label]
        passes &= (rows["label"].isna() if wanted is None else rows["label"] == wanted).to_numpy()
    if filters.fault:
        passes &= FAULTS[filters.fault].passes(rows).to_numpy()
    if filters.column and filters.group:
        passes &= (loader.groups(dataset)[filters.column] == filters.group).to_numpy()
    return passes


def listed(dataset: Dataset, rows: pd.DataFrame, filters: GridFilters) -> np.ndarray:
    """The rows that pass, in their order; in a blind reading, in the order of neutral names, which reveals nothing."""
    passes = passing(dataset, rows, filters)
    if filters.bone:
        passes &= (rows["bone"] == filters.bone).to_numpy()
    places = np.flatnonzero(passes)
    if filters.blind:
        return np.array(sorted(places, key=lambda place: neutral_name(rows["image_id"].iat[place])), dtype=int)
    if not filters.measure:
        return places
    values = rows[filters.measure].to_numpy(float)[places]
    lowest = filters.lowest if filters.order else FAULTS[filters.fault].lowest
    known = places[~np.isnan(values)]
    sign = 1 if lowest else -1
    return known[np.argsort(sign * values[~np.isnan(values)], kind="stable")]


def _draw_more_filters(dataset: Dataset, rows: pd.DataFrame, blind: bool, measured: bool) -> GridFilters:
    state = st.session_state
    active = sum(bool(state.get(key)) and state.get(key) != "any" for key in ("part", "group", "order"))
    with st.popover(f"Filters and order ({active})" if active else "Filters and order", icon=":material/filter_list:"):
        known = set(rows["split"].unique())
        splits = [split for split in ("train", "valid", "test") if split in known]
        split = address.bound(
            st.selectbox,
            "Split of the index",
            ["any", *splits],
            key=address.key("part", Choice(["any", *splits], "split")),
            on_change=close_list,
            **KEPT,
        )
        found = {} if blind else {name: list(column.cat.categories) for name, column in loader.groups(dataset).items()}
        column, group = draw_column_filter(found, close_list)
        orders = ORDERS if measured else {SHAPE: ORDERS[SHAPE]}
        order = address.bound(
            st.selectbox,
            "Order by",
            list(orders),
            index=None,
            key=address.key("order", Choice(ORDERS, "measure")),
            on_change=close_list,
            placeholder=INDEX_ORDER,
            disabled=blind,
            help="A measure of the radiograph's grey levels or shape, as on the Audit page.",
            **KEPT,
        )
        if order in orders:
            st.caption(orders[order])
        end = address.bound(
            st.segmented_control,
            "First",
            ["lowest", "highest"],
            default="lowest",
            required=True,
            key=address.key("end", Choice(["lowest", "highest"])),
            on_change=close_list,
            disabled=blind or not order,
            **KEPT,
        )
    return GridFilters(
        split="" if split in (None, "any") else split,
        column=column,
        group=group,
        order="" if blind or order not in orders else order,
        lowest=end == "lowest",
    )
