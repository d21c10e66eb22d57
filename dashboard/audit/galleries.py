"""The galleries of an audit: each finding as cards of its radiographs, or as a table where there is nothing to show."""

from html import escape

import pandas as pd
import streamlit as st

from core.audit.audit import QUALITY_CHECKS, Audit
from core.data.index import Dataset
from dashboard.audit import charts as shortcut
from dashboard.audit.loader import measured
from dashboard.shared import loaders, widgets

PER_PAGE = 24
# So many radiographs of one card are drawn; its words name all of them.
_MOST = 4
_UNITS = {"films": "films", "noise": "noise", "contrast": "grey levels", "short side": "px", "elongation": "to 1"}
_SHARES = ("metal", "border")


def show(dataset: Dataset, found: Audit, key: str) -> None:
    """What belongs to the verdict `key`."""
    if key == "shortcut":
        show_shortcut(found)
    elif key in ("unreadable", "stray", "conflicts", "converted"):
        show_reasons(getattr(found, key))
    else:
        show_cards(dataset, found, key)


def show_cards(dataset: Dataset, found: Audit, key: str) -> None:
    """One page of cards."""
    makers = {"overlap": _patients, "across": _copies, "within": _copies, "labels": _conflicts}
    entries = entries_of(found, key)
    pages = -(-len(entries) // PER_PAGE)
    if st.session_state.get("audit_page_of", key) != key:
        st.session_state["audit_page"] = 1
    st.session_state["audit_page_of"] = key
    page = min(st.session_state.get("audit_page", 1), pages)
    part = entries[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = measured(dataset)
    widgets.gallery(makers.get(key, _odd)(dataset, rows, part, key), "17rem" if key in makers else "13rem")
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key="audit_page", bind="query-params")


def entries_of(found: Audit, key: str) -> list:
    """What a verdict counts, one entry a card."""
    if key.startswith("quality:"):
        return found.quality.get(key.removeprefix("quality:"), [])
    return {
        "overlap": found.patient_overlap,
        "across": found.duplicates_across,
        "within": found.duplicates_within,
        "labels": found.label_conflicts,
    }[key]


def show_reasons(entries: list[dict]) -> None:
    """Files and reasons, all of them, to be sorted and searched."""
    table = pd.DataFrame(entries, columns=["path", "reason"])
    st.dataframe(table, hide_index=True, height=min(36 * len(table) + 40, 560))
    st.download_button("All of them as CSV", table.to_csv(index=False), "files.csv", "text/csv", on_click="ignore")


def show_shortcut(found: Audit) -> None:
    """How well the label is guessed from each group of measures."""
    widgets.show_figure(shortcut.shortcut(found.shortcut, found.shortcut_by), "shortcut")
    widgets.note(
        "Gradient-boosted trees over these columns alone, out of five folds that keep patients together; a study's "
        "score is the mean over its radiographs. No pixel of the anatomy is seen, so a network can reach as much "
        "without looking at it: judge its AUROC against this one, not against a half."
    )


def _patients(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
    of_patient = rows[rows["patient_id"].isin([entry["patient"] for entry in part])].groupby("patient_id")
    cards = []
    for entry in part:
        mine = of_patient.get_group(entry["patient"])
        # One of each side first, so that both can be compared.
        shown = mine.assign(turn=mine.groupby("split").cumcount()).sort_values(["turn", "split"])
        sides = ", ".join(f"{count} in {split}" for split, count in mine["split"].value_counts().sort_index().items())
        words = f"<div><b>{escape(entry['patient'])}</b></div><small>{sides} radiographs</small>"
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


def _odd(dataset: Dataset, rows: pd.DataFrame, part: list, key: str) -> list[str]:
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
