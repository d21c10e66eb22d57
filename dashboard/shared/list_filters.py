"""The filters that lists of studies and of radiographs share: bones with their numbers, and groups of a column."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import streamlit as st

from core.schema import bone_order
from core.scores.view import ALL_BONES, View
from dashboard.shared import address, selection
from dashboard.shared.address import KEPT
from dashboard.shared.address_kinds import Choice
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name


def draw_bones(view: View, bones: pd.Series, passes: np.ndarray, changed: Callable[[], None]) -> None:
    """Draw one chip per bone, with the number of rows that pass the other filters.

    bones: of every row; passes: bool [rows]. changed: runs when another bone is chosen.
    """
    found = bones[passes]
    counts = {**found.value_counts(), ALL_BONES: len(found)}
    st.session_state["bone_chip"] = view.bone or ALL_BONES
    st.pills(
        "Bone",
        [ALL_BONES, *bone_order([*bones.unique(), *([view.bone] if view.bone else [])])],
        required=True,
        key="bone_chip",
        label_visibility="collapsed",
        wrap=True,
        on_change=_choose_bone,
        args=(changed,),
        format_func=lambda bone: f"{plain(bone_name(bone))} {counts.get(bone, 0):,}",
    )


def draw_column_filter(
    groups: Mapping[str, list[str]], changed: Callable[[], None], disabled: bool = False, help: str | None = None
) -> tuple[str, str]:
    """Draw a further column of the data set and one of its groups; ('', '') for any. groups: their names by column."""
    if not groups:
        return "", ""
    options = {"on_change": changed, "disabled": disabled, **KEPT}
    columns = list(groups)
    column = address.bound(
        st.selectbox, "Column", columns, key=address.key("column", Choice(columns, "column")), help=help, **options
    )
    names = ["any", *groups[column]]
    group = address.bound(
        st.selectbox, f"Only {plain(column)}", names, key=address.key("group", Choice(names, "group")), **options
    )
    return ("", "") if disabled or group in (None, "any") else (column, group)


def _choose_bone(changed: Callable[[], None]) -> None:
    changed()
    selection.choose(bone=st.session_state["bone_chip"] or ALL_BONES)
