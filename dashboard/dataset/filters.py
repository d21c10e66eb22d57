"""The filters of the Dataset page's grid, which are in its address, and the radiographs that pass them in order."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from core.data.faults import FAULTS
from core.data.index import Dataset
from core.data.measures import MEASURES
from core.review.cases import neutral_name
from core.schema import bone_order
from core.scores.view import ALL_BONES, View
from dashboard.dataset import loader
from dashboard.shared import address, selection, theme
from dashboard.shared.address_kinds import Choice
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name

LABELS = {name: value for value, (name, _) in theme.LABELS.items()} | {theme.UNKNOWN[0]: None}
IN_ADDRESS = {"persist_state": "session"}
INDEX_ORDER = "order of the index"
SHAPE = "shape share"
ORDERS = {**MEASURES, SHAPE: "share of the bone's radiographs of nearly the same shape"}


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
            **IN_ADDRESS,
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
            **IN_ADDRESS,
        )
        filters = replace(
            _draw_more_filters(view.dataset, rows, blind, measured),
            fault=(fault or "") if measured else "",
            label="" if blind or label == "Any label" else label,
            blind=blind,
        )
        _draw_bones(view, rows, filters)
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
    """The rows that pass, in their order; blind, in that of neutral names, which says nothing."""
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
        splits = [split for split in ("train", "valid", "test") if split in set(rows["split"])]
        split = address.bound(
            st.selectbox,
            "Split of the index",
            ["any", *splits],
            key=address.key("part", Choice(["any", *splits], "split")),
            on_change=close_list,
            **IN_ADDRESS,
        )
        column, group = ("", "") if blind else _draw_column_filter(dataset)
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
            **IN_ADDRESS,
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
            **IN_ADDRESS,
        )
    return GridFilters(
        split="" if split in (None, "any") else split,
        column=column,
        group=group,
        order="" if blind or order not in orders else order,
        lowest=end == "lowest",
    )


def _draw_column_filter(dataset: Dataset) -> tuple[str, str]:
    found = loader.groups(dataset)
    if not found:
        return "", ""
    column = address.bound(
        st.selectbox,
        "Column",
        list(found),
        key=address.key("column", Choice(found, "column")),
        on_change=close_list,
        **IN_ADDRESS,
    )
    names = list(found[column].cat.categories)
    group = address.bound(
        st.selectbox,
        f"Only {plain(column)}",
        ["any", *names],
        key=address.key("group", Choice(["any", *names], "group")),
        on_change=close_list,
        **IN_ADDRESS,
    )
    return ("", "") if group in (None, "any") else (column, group)


def _draw_bones(view: View, rows: pd.DataFrame, filters: GridFilters) -> None:
    bones = bone_order([*rows["bone"].unique(), *([view.bone] if view.bone else [])])
    passes = passing(view.dataset, rows, filters)
    found = rows["bone"].to_numpy()[passes]
    counts = {**pd.Series(found, dtype=object).value_counts(), ALL_BONES: len(found)}
    st.session_state["bone_chip"] = view.bone or ALL_BONES
    st.pills(
        "Bone",
        [ALL_BONES, *bones],
        required=True,
        key="bone_chip",
        label_visibility="collapsed",
        wrap=True,
        on_change=_choose_bone,
        format_func=lambda bone: f"{plain(bone_name(bone))} {counts.get(bone, 0):,}",
    )


def _choose_bone() -> None:
    close_list()
    selection.choose(bone=st.session_state["bone_chip"] or ALL_BONES)
