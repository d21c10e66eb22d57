"""The gallery of each finding of an audit: cards of radiographs, or a table of files, or a chart."""

from html import escape

import pandas as pd
import streamlit as st

from core.audit.audit import QUALITY_CHECKS, Audit
from core.data.index import Dataset
from core.data.spreadsheet import csv_for_spreadsheets
from dashboard.audit.charts import shortcut_areas
from dashboard.audit.loader import measured
from dashboard.shared import address, loaders, widgets

PER_PAGE = 24
# The number of radiographs drawn on one card.
_MOST = 4
_UNITS = {"films": "films", "noise": "noise", "contrast": "grey levels", "short side": "px", "elongation": "to 1"}
_SHARES = ("metal", "border")


def draw_gallery(dataset: Dataset, audit: Audit, key: str) -> None:
    """Draw the gallery of the finding with this key."""
    if key == "shortcut":
        draw_shortcut(audit)
    elif key in ("unreadable", "stray", "conflicts", "converted"):
        draw_files(getattr(audit, key))
    else:
        draw_cards(dataset, audit, key)


def draw_cards(dataset: Dataset, audit: Audit, key: str) -> None:
    """Draw one page of cards."""
    makers = {"overlap": _patients, "across": _copies, "within": _copies, "labels": _conflicts}
    entries = entries_of(audit, key)
    pages = -(-len(entries) // PER_PAGE)
    if st.session_state.get("audit_page_of", key) != key:
        st.session_state["audit_page"] = 1
    st.session_state["audit_page_of"] = key
    page = min(st.session_state.get("audit_page", 1), pages)
    part = entries[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = measured(dataset)
    widgets.gallery(makers.get(key, _quality)(dataset, rows, part, key), "17rem" if key in makers else "13rem")
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            address.bound(st.pagination, pages, key="audit_page")


def entries_of(audit: Audit, key: str) -> list:
    """The entries of a finding, one for each card."""
    if key.startswith("quality:"):
        return audit.quality.get(key.removeprefix("quality:"), [])
    return {
        "overlap": audit.patient_overlap,
        "across": audit.duplicates_across,
        "within": audit.duplicates_within,
        "labels": audit.label_conflicts,
    }[key]


def draw_files(entries: list[dict]) -> None:
    """Draw a table of all files with their reasons."""
    table = pd.DataFrame(entries, columns=["path", "reason"])
    widgets.draw_table(table, height=min(36 * len(table) + 40, 560))
    st.download_button("Download CSV", csv_for_spreadsheets(table), "files.csv", "text/csv", on_click="ignore")


def draw_shortcut(audit: Audit) -> None:
    """Draw the AUROC of the label predicted from each group of measures."""
    widgets.show_figure(shortcut_areas(audit.shortcut, audit.shortcut_by), "shortcut")
    widgets.note(
        "Gradient-boosted trees predict the label from these measures alone, with five folds that keep patients "
        "together; a study's score is the mean over its radiographs. A network can reach this AUROC without using the "
        "anatomy, so compare its AUROC with this one, not with 0.5."
    )


def _patients(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
    by_patient = rows[rows["patient_id"].isin([entry["patient"] for entry in part])].groupby("patient_id")
    cards = []
    for entry in part:
        mine = by_patient.get_group(entry["patient"])
        # The splits take turns, so that both are among the first radiographs.
        shown = mine.assign(turn=mine.groupby("split").cumcount()).sort_values(["turn", "split"])
        counts = mine["split"].value_counts().sort_index()
        splits = ", ".join(f"{count} in {split}" for split, count in counts.items())
        words = f"<div><b>{escape(entry['patient'])}</b></div><small>Radiographs: {splits}</small>"
        cards.append(widgets.card(_pictures(dataset, shown), words))
    return cards


def _copies(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
    cards = []
    for members in part:
        kind = "Same file" if members[0]["copy"] == "exact" else "Near copy"
        splits = " and ".join(sorted({member["split"] for member in members}))
        labels = {member["label"] for member in members} - {None}
        differ = '<span class="mark alarm">labels differ</span>' if len(labels) > 1 else ""
        paths = "".join(
            f"<small>{escape(member['split'])}: {escape(member['path'])}</small>" for member in members[:_MOST]
        )
        more = f"<small>and {len(members) - _MOST} more</small>" if len(members) > _MOST else ""
        words = f"<div><b>{kind}, {len(members)} in {splits}</b>{differ}</div>{paths}{more}"
        mine = rows.loc[[member["path"] for member in members if member["path"] in rows.index]]
        cards.append(widgets.card(_pictures(dataset, mine), words))
    return cards


def _conflicts(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
    cards = []
    for entry in part:
        mine = rows[(rows["study_id"] == entry["path"]) | (rows["path"] == entry["path"])]
        words = f"<div><b>{escape(entry['path'])}</b></div><small>{escape(entry['reason'])}</small>"
        cards.append(widgets.card(_pictures(dataset, mine), words))
    return cards


def _quality(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
    column = QUALITY_CHECKS[key.removeprefix("quality:")].column
    cards = []
    for row in rows.loc[part].itertuples():
        value = rows.at[row.Index, column]
        shown = f"{value:.1%} of the area" if column in _SHARES else f"{value:.3g} {_UNITS.get(column, '')}"
        words = (
            f"<div><b>{escape(row.bone.capitalize())}</b><span>{shown if column != 'blank' else ''}</span></div>"
            f"<small>{escape(row.path)}</small>"
        )
        cards.append(widgets.card(_pictures(dataset, rows.loc[[row.Index]]), words))
    return cards


def _pictures(dataset: Dataset, mine: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (loaders.thumbnail_uri(dataset, row.path, row.sha1), f"{row.bone} radiograph in {row.split}")
        for row in mine.head(_MOST).itertuples()
    ]
