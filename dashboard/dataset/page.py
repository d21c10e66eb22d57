"""What the data set holds: counts per bone, split and label; views, sizes, and what a size leaves of a radiograph."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.data.pixels import UnreadableImage
from core.paths import home
from core.schema import bone_order
from dashboard.dataset import charts as balance
from dashboard.shared import dataset_tables as tables
from dashboard.shared import loaders, selection, widgets
from dashboard.shared.selection import SPLITS, bone_name


def show() -> None:
    view = selection.current()
    dataset = view.dataset
    widgets.heading("Dataset", dataset, dataset.name, tables.totals(dataset), bone_name(view.bone), place(dataset))
    show_problems(dataset)
    show_joins(dataset)
    show_published(tables.published(dataset))
    show_balance(dataset)
    shown = tables.file_sizes(dataset, view.bone)
    if shown.empty:
        widgets.empty(f"No radiograph of {bone_name(view.bone).lower()}", "Choose another bone in the sidebar.")
        return
    left, right = st.columns([2, 3])
    with left:
        widgets.show_figure(balance.views_per_study(tables.views(dataset, view.bone)), "views")
    with right:
        widgets.show_figure(balance.sizes(shown, shown.attrs["total"]), "sizes")
    show_sizes(dataset, view.bone)


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


def show_joins(dataset: Dataset) -> None:
    """What each join of an outside table did, and the notes of the index; opened if rows or labels were lost."""
    joins, notes = dataset.joins(), dataset.notes()
    if not joins and not notes:
        return
    doubtful = any(report.unmatched_rows or report.contradictions for report in joins)
    rows = sum(report.matched for report in joins)
    title = f"Tables joined: {rows:,} rows matched; {len(notes):,} notes" if joins else f"{len(notes):,} notes"
    with st.expander(title, icon=":material/join_inner:", expanded=doubtful):
        if joins:
            counts = [{key: value for key, value in one.to_dict().items() if key != "examples"} for one in joins]
            st.dataframe(pd.DataFrame(counts), hide_index=True, key="joins")
            examples = [{"join": one.what, **example} for one in joins for example in one.examples]
            if examples:
                st.dataframe(pd.DataFrame(examples), hide_index=True, height=min(36 * len(examples) + 40, 320))
        for note in notes:
            st.text(note)


def show_published(table: pd.DataFrame | None) -> None:
    """MURA v1.1 against its published counts."""
    if table is None:
        return
    differing = table[table["published"] != table["found"]]
    if differing.empty:
        widgets.note("All 56 counts of studies and images are those published for MURA v1.1.")
        return
    with st.expander(
        f"{len(differing)} of 56 counts differ from those published for MURA v1.1", icon=":material/rule:"
    ):
        shown = differing.assign(label=differing["label"].map({0.0: "normal", 1.0: "abnormal"}))
        shown["difference"] = shown["found"] - shown["published"]
        st.dataframe(shown, hide_index=True, height=min(36 * len(shown) + 40, 320))


def show_balance(dataset: Dataset) -> None:
    """One chart a split, their rows aligned; then what balancing makes of the prior."""
    level = st.segmented_control(
        "Count",
        list(balance.UNITS),
        default="study",
        required=True,
        key="level",
        bind="query-params",
        format_func=lambda level: balance.UNITS[level].capitalize(),
    )
    counts = tables.counts(dataset, level)
    bones = bone_order(counts["bone"].unique())
    splits = [split for split in reversed(SPLITS) if split in set(counts["split"])]
    with st.grid(len(splits), min_column_width=300):
        for split in splits:
            widgets.show_figure(
                balance.balance(counts[counts["split"] == split], level, split, bones), f"balance_{split}"
            )
    if level == "patient":
        widgets.note("A patient stands once in each bone examined, and is abnormal if any study of it is.")
        if dataset.patients_known == 0:
            widgets.note(
                "Where the source names no patient, each group of exact copies counts as one: patients may overlap."
            )
    priors = tables.priors(dataset)
    if len(priors):
        parts = [f"{row.prior:.1%} with {row.balance} ({tables.BALANCES[row.balance]})" for row in priors.itertuples()]
        widgets.note(f"The share of abnormal that training sees by its balance: {', '.join(parts)}.")


def show_sizes(dataset: Dataset, bone: str) -> None:
    """One radiograph at each input size and whole, drawn equally large, with what is left of it as a number."""
    widgets.caption("One radiograph at each size", "letterboxed, as a network of that size is given it")
    rows = loaders.index(dataset)
    rows = rows[rows["bone"] == bone] if bone else rows
    place = st.slider("Radiograph", 1, len(rows), 1, key="radiograph", bind="query-params") if len(rows) > 1 else 1
    row = rows.iloc[place - 1]
    try:
        pictures, table = tables.at_sizes(dataset, row)
    except UnreadableImage as error:
        widgets.note(str(error))
        return
    cards = []
    for picture, left in zip(pictures, table.itertuples()):
        words = (
            f"<div><b>{left.size} px</b><span>{left.edges:.0%} of the edges</span></div>"
            f"<small>SSIM {left.ssim:.2f}; one pixel covers {left.finest:.1f} x {left.finest:.1f} of the file</small>"
        )
        cards.append(widgets.card([(picture, f"{row['bone']} at {left.size} pixels")], words))
    words = f"<div><b>Whole</b></div><small>{row['width']} x {row['height']} px in the file</small>"
    cards.append(widgets.card([(pictures[-1], f"{row['bone']}, whole")], words))
    widgets.gallery(cards, "19rem", "16rem", crisp=True)
    widgets.note(str(row["image_id"]))
    if st.toggle("Measure over 48 radiographs", key="measure_sizes", bind="query-params"):
        widgets.show_figure(balance.what_is_left(tables.size_losses(dataset, bone)), "losses")
        widgets.note(
            "Edges: the energy of the picture's gradient after it was made small and enlarged again. A fine fracture "
            "line is an edge of a pixel or two: what is gone here no network can see."
        )


show()
