"""The Dataset page: its radiographs as a grid; counts by bone, split and label; image sizes; detail at input sizes."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.attribution import read_attribution
from core.data.index import Dataset
from core.data.label_levels import RULE_WORDS
from core.data.pixels import UnreadableImage
from core.paths import home
from core.schema import bone_order, split_order
from dashboard.dataset import charts
from dashboard.dataset.film_grid import draw_radiographs
from dashboard.shared import address, loaders, selection, widgets
from dashboard.shared import dataset_tables as tables
from dashboard.shared.address_kinds import Choice, Number, Switch
from dashboard.shared.join_report import draw_folded_join_report

# The chart of detail takes this many radiographs.
MEASURED = 48


def draw_page() -> None:
    view = selection.current()
    dataset = view.dataset
    widgets.heading("Dataset", dataset, dataset.name, tables.totals(dataset), folder_of(dataset))
    if draw_radiographs(view):
        return
    draw_balance(dataset)
    sizes = tables.file_sizes(dataset, view.bone)
    if sizes.empty:
        return
    left, right = st.columns([2, 3])
    with left:
        widgets.show_figure(charts.views_per_study(tables.views(dataset, view.bone)), "views")
    with right:
        widgets.show_figure(charts.image_sizes(sizes, sizes.attrs["total"]), "sizes")
    draw_input_sizes(dataset, view.bone)
    draw_about(dataset)


def draw_about(dataset: Dataset) -> None:
    """Draw what indexing found: files left out, joined tables, what the labels are about, published counts."""
    draw_attribution(dataset)
    draw_problems(dataset)
    draw_folded_join_report(dataset.joins(), dataset.notes())
    draw_label_level(dataset)
    draw_published(tables.published(dataset))


def draw_attribution(dataset: Dataset) -> None:
    """Draw the authors, licence and link of the radiographs, where they are stored."""
    known = read_attribution(dataset.name)
    if known:
        widgets.note(f"{known.title} by {known.authors}. {known.licence}, {known.licence_link}. {known.link}")
        if known.citation:
            widgets.note(f"Cite: {known.citation}")


def folder_of(dataset: Dataset) -> str:
    """The folder of the radiographs, relative to the workspace if it is inside."""
    root = Path(dataset.root)
    return str(root.relative_to(home()) if root.is_relative_to(home()) else root)


def draw_problems(dataset: Dataset) -> None:
    """Draw the files that indexing left out or marked as doubtful, folded away."""
    problems = dataset.problems()
    total = sum(map(len, problems.values()))
    if not total:
        return
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in problems.items() if rows)
    with st.expander(f"Left out or doubtful in the index: {counts}", icon=":material/report:"):
        rows = [{"problem": name, **row} for name, files in problems.items() for row in files]
        widgets.draw_table(pd.DataFrame(rows), height=min(36 * len(rows) + 40, 320))


def draw_label_level(dataset: Dataset) -> None:
    """Say whether the labels are those of studies or of radiographs, where the index stores it."""
    if dataset.label_level == "study":
        widgets.note("Labels are those of studies.")
    elif dataset.label_level == "image":
        widgets.note(f"Labels are those of single radiographs; {RULE_WORDS[dataset.study_rule or 'any']}.")


def draw_published(table: pd.DataFrame | None) -> None:
    """Draw the difference of MURA v1.1 from its published counts."""
    if table is None:
        return
    differing = table[table["published"] != table["found"]]
    if differing.empty:
        widgets.note(f"All {len(table)} counts of studies and radiographs equal those published for MURA v1.1.")
        return
    title = f"{len(differing)} of {len(table)} counts differ from those published for MURA v1.1"
    with st.expander(title, icon=":material/rule:"):
        shown = differing.assign(label=differing["label"].map({0.0: "normal", 1.0: "abnormal"}))
        shown["difference"] = shown["found"] - shown["published"]
        widgets.draw_table(shown, height=min(36 * len(shown) + 40, 320))


def draw_balance(dataset: Dataset) -> None:
    """Draw one chart for each split with the same rows, then the share of abnormal radiographs in training."""
    level = address.bound(
        st.segmented_control,
        "Count",
        list(charts.UNITS),
        default="study",
        required=True,
        key=address.key("level", Choice(charts.UNITS)),
        format_func=lambda level: charts.UNITS[level].capitalize(),
    )
    counts = tables.counts(dataset, level)
    bones = bone_order(counts["bone"].unique())
    splits = split_order(counts["split"])[::-1]
    with st.grid(len(splits), min_column_width=300):
        largest = int(counts.groupby(["split", "bone"])["n"].sum().max())
        for split in splits:
            figure = charts.label_balance(counts[counts["split"] == split], level, split, bones, largest)
            widgets.show_figure(figure, f"balance_{split}")
    if level == "patient":
        widgets.note("A patient counts once for each bone examined, and is abnormal if any study of that bone is.")
        if dataset.patients_known == 0:
            widgets.note("The source names no patients, so each group of exact copies counts as one patient.")
    priors = tables.priors(dataset)
    if len(priors):
        parts = [f"{row.prior:.1%} with {row.balance}" for row in priors.itertuples()]
        meant = [f"{row.balance}: {tables.BALANCES[row.balance]}" for row in priors.itertuples()]
        widgets.note(
            f"Share of abnormal radiographs in training, for each setting of balance: {', '.join(parts)}.",
            why=f"{'; '.join(meant)}.",
            about="balance",
        )


def draw_input_sizes(dataset: Dataset, bone: str) -> None:
    """Draw one radiograph at each input size and at its full resolution, with the share of detail left."""
    widgets.caption("One radiograph at each input size", "letterboxed, as a network of that size receives it")
    rows = loaders.index(dataset)
    rows = rows[rows["bone"] == bone] if bone else rows
    place = 1
    if len(rows) > 1:
        key = address.key("radiograph", Number(1, len(rows), whole=True))
        place = address.bound(st.number_input, "Radiograph", 1, len(rows), 1, key=key, width=200)
    row = rows.iloc[place - 1]
    try:
        pictures, table = tables.at_sizes(dataset, row)
    except UnreadableImage as error:
        widgets.note(str(error))
        return
    cards = []
    for picture, left in zip(pictures, table.itertuples()):
        words = (
            f"<div><b>{left.size} px</b><span>{left.edges:.0%} of edges left</span></div>"
            f"<small>SSIM {left.ssim:.2f}; one pixel covers {left.finest:.1f} x {left.finest:.1f} of the file</small>"
        )
        cards.append(widgets.card([(picture, f"{row['bone']} at {left.size} pixels")], words))
    words = f"<div><b>Full size</b></div><small>{row['width']} x {row['height']} px in the file</small>"
    cards.append(widgets.card([(pictures[-1], f"{row['bone']} at full size")], words))
    widgets.gallery(cards, "19rem", "16rem", crisp=True)
    widgets.note(str(row["image_id"]))
    if address.bound(st.toggle, f"Measure {MEASURED} radiographs", key=address.key("measure_sizes", Switch())):
        widgets.show_figure(charts.detail_left(tables.size_losses(dataset, bone, MEASURED)), "losses")
        widgets.note(
            "Edges: the energy of the gradient after the radiograph was reduced and enlarged again. A fine fracture "
            "line is an edge of one or two pixels; a network cannot see what is lost here."
        )


draw_page()
