"""The studies that one model fixes and the other breaks, by bone, each a link into the error browser."""

from html import escape
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from dashboard.shared import clicks, loaders, scoring, theme, widgets
from dashboard.shared.case import study as study_view
from dashboard.shared.selection import Selection, bone_name

PER_PAGE = 24
LISTED = 200  # rows of a table without pictures


def show(dataset: Dataset, changed: pd.DataFrame, chosen: Selection, other: str, threshold: float) -> None:
    """Which of the two lists, how many in each, and one page of it."""
    fixed, broken = ((changed["change"] == change).sum() for change in ("fixed", "broken"))
    widgets.caption("What changes", f"from {chosen.checkpoint} to {other}: {fixed:,} fixed, {broken:,} broken")
    if changed.empty:
        widgets.note("Both call every study alike.")
        return
    change = st.segmented_control(
        "Studies", ["Fixed", "Broken"], default="Fixed", required=True, key="change", bind="query-params",
        persist_state="session",
        help=f"Fixed: {chosen.checkpoint} is wrong and {other} right. Broken: the other way round.",
    )  # fmt: skip
    rows = changed[changed["change"] == change.lower()]
    if rows.empty:
        widgets.note(f"No study is {change.lower()}.")
    elif chosen.has_images:
        show_cards(dataset, rows, chosen, other, threshold)
    else:
        show_rows(rows, chosen, other)


def show_cards(dataset: Dataset, rows: pd.DataFrame, chosen: Selection, other: str, threshold: float) -> None:
    """One page of cards under their bones."""
    clicks.on_card(lambda study: st.session_state.update(open_next=study))
    if study := st.session_state.pop("open_next", None):
        row = rows[rows["study_id"] == study].iloc[0]
        # Only what the selectors do not write themselves; they write theirs again.
        st.switch_page("errors/page.py", query_params={"study": study, "outcome": outcome_of(row, chosen)})
    pages = -(-len(rows) // PER_PAGE)
    page = min(st.session_state.get("changed_page", 1), pages)
    part = rows.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    views = scoring.scored(chosen)
    files = study_view.with_files(dataset, views[views["study_id"].isin(part["study_id"])])
    sizes = rows["bone"].value_counts()
    for bone, here in part.groupby("bone", sort=False):
        widgets.caption(bone_name(bone), f"{sizes[bone]:,} studies, furthest apart first")
        widgets.gallery(
            [
                card(dataset, row, files[files["study_id"] == row.study_id], chosen, other, threshold)
                for row in here.itertuples()
            ]
        )
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key="changed_page", bind="query-params")


def card(dataset: Dataset, study, files: pd.DataFrame, chosen: Selection, other: str, threshold: float) -> str:
    """All views, the label, and both scores with their thresholds."""
    pictures = [
        (loaders.thumbnail_uri(dataset, row.path, row.sha1), f"{study.bone}, view {place} of {len(files)}")
        for place, row in enumerate(files.itertuples(), 1)
    ]
    bars = "".join(
        f"<small>{escape(name)}</small><div>{widgets.score_bar(score, at)}</div>"
        for name, score, at in (
            (chosen.checkpoint, study.score_a, chosen.threshold), (other, study.score_b, threshold),
        )
    )  # fmt: skip
    words = (
        f"<div><b>{escape(bone_name(study.bone))}</b>{widgets.label_mark(study.label)}</div>{bars}"
        f"<small>{escape(study.study_id)}</small>"
    )
    return widgets.card(pictures, words, link(study, chosen), study.study_id)


def link(study, chosen: Selection) -> str:
    """The study, opened among the first model's errors."""
    return "errors?" + urlencode(chosen.query(outcome=outcome_of(study, chosen), study=study.study_id))


def outcome_of(study, chosen: Selection) -> str:
    """What the first model makes of it, as the error browser calls it."""
    called = study.score_a >= chosen.threshold
    outcome = ("TP" if called else "FN") if study.label == 1 else ("FP" if called else "TN")
    return theme.OUTCOMES[outcome][1]


def show_rows(rows: pd.DataFrame, chosen: Selection, other: str) -> None:
    """Scores without radiographs: the studies by name."""
    if len(rows) > LISTED:
        widgets.note(f"The first {LISTED} of {len(rows):,}; `compare --json` names all of them.")
    shown = rows.head(LISTED)
    table = pd.DataFrame(
        {
            "Study": shown["study_id"],
            "Bone": shown["bone"].map(bone_name),
            "Label": shown["label"].map({1.0: "Abnormal", 0.0: "Normal"}),
            chosen.checkpoint: shown["score_a"],
            other: shown["score_b"],
        }
    )
    scores = {name: st.column_config.NumberColumn(format="%.4f") for name in (chosen.checkpoint, other)}
    st.dataframe(table, hide_index=True, column_config=scores, key="changed")
