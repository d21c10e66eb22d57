"""What the data set holds: counts per bone, split and label; views, sizes, and what a size leaves of a radiograph."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.data.pixels import read_grey, to_square
from core.paths import home
from core.schema import bone_order
from dashboard import loaders, selection, widgets
from dashboard.charts import balance
from dashboard.selection import ALL, SPLITS, bone_name

SIZES = (32, 64, 96, 128, 224, 320)


def show() -> None:
    chosen = selection.current()
    dataset = loaders.datasets()[chosen.dataset]
    index = loaders.index(dataset.name)
    widgets.heading("Dataset", dataset, dataset.name, bone_name(chosen.bone), place(dataset))
    show_problems(dataset)
    show_balance(index)
    bone = index if chosen.bone == ALL else index[index["bone"] == chosen.bone]
    if bone.empty:
        widgets.empty(f"No radiograph of {bone_name(chosen.bone).lower()}", "Choose another bone in the sidebar.")
        return
    left, right = st.columns([2, 3])
    with left:
        widgets.show_figure(balance.views_per_study(bone), "views")
    with right:
        widgets.show_figure(balance.sizes(bone), "sizes")
    show_sizes(dataset, bone)


def place(dataset: Dataset) -> str:
    """Where the radiographs lie; below the workspace, from there."""
    root = Path(dataset.root)
    return str(root.relative_to(home()) if root.is_relative_to(home()) else root)


def show_problems(dataset: Dataset) -> None:
    """What indexing left out or doubts, folded away."""
    problems = dataset.problems()
    total = sum(map(len, problems.values()))
    if not total:
        return
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in problems.items() if rows)
    with st.expander(f"Left out or in doubt when indexed: {counts}", icon=":material/report:"):
        rows = [{"what": name, **row} for name, found in problems.items() for row in found]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=min(36 * len(rows) + 40, 320))


def show_balance(index: pd.DataFrame) -> None:
    """One chart a split, their rows aligned."""
    level = st.segmented_control(
        "Count",
        list(balance.UNITS),
        default="study",
        required=True,
        key="level",
        bind="query-params",
        format_func=lambda level: balance.UNITS[level].capitalize(),
    )
    units = balance.units_at(index, level)
    splits = [split for split in reversed(SPLITS) if split in set(units["split"])]
    with st.grid(len(splits), min_column_width=300):
        for split in splits:
            widgets.show_figure(
                balance.balance(units[units["split"] == split], level, split, bone_order(index["bone"])),
                f"balance_{split}",
            )
    if level == "patient":
        widgets.note("A patient stands once in each bone examined, and is abnormal if any study of it is.")
        if index["patient_id"].isna().any():
            widgets.note(
                "Where the source names no patient, each group of exact copies counts as one: patients may overlap."
            )


def show_sizes(dataset: Dataset, index: pd.DataFrame) -> None:
    """One radiograph at six input sizes, each drawn equally large: what a network of that size is given."""
    widgets.caption("One radiograph at six sizes", "pixels, letterboxed, as a network is given it")
    place = st.slider("Radiograph", 1, len(index), 1, key="radiograph") if len(index) > 1 else 1
    row = index.iloc[place - 1]
    grey = read_grey(f"{dataset.root}/{row['path']}")
    cards = []
    for size in SIZES:
        words = f"<div><b>{size} px</b></div>"
        cards.append(
            widgets.card([(loaders.picture_uri(to_square(grey, size)), f"{row['bone']} at {size} pixels")], words)
        )
    widgets.gallery(cards, "19rem", "16rem", crisp=True)
    widgets.note(f"{row['image_id']}: {row['width']} x {row['height']} pixels in the file.")


show()
