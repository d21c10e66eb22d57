"""The studies that one model gets right and the other wrong, by bone, each a link into the error browser."""

from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.among import among
from core.plural import count_text
from core.scores.view import View
from dashboard.shared import address, clicks, loaders, scoring, theme, widgets
from dashboard.shared.case.cards import files_of_studies
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name

PER_PAGE = 24
LISTED = 200  # rows of a table without pictures


@dataclass(frozen=True)
class Second:
    """The second model's name and its threshold."""

    name: str
    threshold: float


def draw_changes(view: View, changed: pd.DataFrame, second: Second) -> None:
    """The choice between fixed and broken studies, their numbers, and one page of them."""
    first = view.source.name
    fixed, broken = ((changed["change"] == change).sum() for change in ("fixed", "broken"))
    counts = f"{fixed:,} fixed, {broken:,} broken"
    widgets.caption("Changes", f"from {first} to {second.name}: {counts}; largest difference in score first")
    if changed.empty:
        widgets.note("Both models make the same call for every study.")
        return
    change = address.bound(st.segmented_control,
        "Studies", ["Fixed", "Broken"], default="Fixed", required=True, key="change",
        persist_state="session",
        help=f"Fixed: {plain(first)} is wrong and {plain(second.name)} right. Broken: the reverse.",
    )  # fmt: skip
    rows = changed[changed["change"] == change.lower()]
    if rows.empty:
        widgets.note(f"No study is {change.lower()}.")
    elif view.source.has_images:
        draw_cards(view, rows, second)
    else:
        draw_table(view, rows, second)


def draw_cards(view: View, rows: pd.DataFrame, second: Second) -> None:
    """One page of cards under their bones."""
    clicks.on_card(lambda study: st.session_state.update(open_next=study))
    if study := st.session_state.pop("open_next", None):
        row = rows[rows["study_id"] == study].iloc[0]
        # The selectors write their own parameters again, so only the others are given here.
        st.switch_page("errors/page.py", query_params={"study": study, "outcome": outcome_of(row, view)})
    pages = -(-len(rows) // PER_PAGE)
    page = min(st.session_state.get("changed_page", 1), pages)
    part = rows.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    views = scoring.require_scores(view)
    files_of = files_of_studies(view.dataset, views[among(views["study_id"], part["study_id"])])
    sizes = rows["bone"].value_counts()
    for bone, here in part.groupby("bone", sort=False):
        widgets.caption(bone_name(bone), count_text(int(sizes[bone]), "study"))
        widgets.gallery([card_html(view, row, files_of(row.study_id), second) for row in here.itertuples()])
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            address.bound(st.pagination, pages, key="changed_page")


def card_html(view: View, study, files: pd.DataFrame, second: Second) -> str:
    """All radiographs, the label, and both scores with their thresholds."""
    pictures = [
        (loaders.thumbnail_uri(view.dataset, row.path, row.sha1), f"{study.bone}, view {place} of {len(files)}")
        for place, row in enumerate(files.itertuples(), 1)
    ]
    bars = "".join(
        f"<small>{escape(name)}</small><div>{widgets.score_bar(score, at)}</div>"
        for name, score, at in (
            (view.source.name, study.score_a, view.threshold), (second.name, study.score_b, second.threshold),
        )
    )  # fmt: skip
    words = (
        f"<div><b>{escape(bone_name(study.bone))}</b>{widgets.label_mark(study.label)}</div>{bars}"
        f"<small>{escape(study.study_id)}</small>"
    )
    return widgets.card(pictures, words, link(study, view), study.study_id)


def link(study, view: View) -> str:
    """The study, opened among the first model's errors."""
    return "errors?" + urlencode(view.address(outcome=outcome_of(study, view), study=study.study_id))


def outcome_of(study, view: View) -> str:
    """The first model's outcome, by its name in the error browser."""
    called = study.score_a >= view.threshold
    outcome = ("TP" if called else "FN") if study.label == 1 else ("FP" if called else "TN")
    return theme.OUTCOMES[outcome][1]


def draw_table(view: View, rows: pd.DataFrame, second: Second) -> None:
    """The studies as a table of names, for scores without radiographs."""
    if len(rows) > LISTED:
        widgets.note(f"These are the first {LISTED} of {len(rows):,}. `compare --json` lists all of them.")
    shown, first = rows.head(LISTED), view.source.name
    table = pd.DataFrame(
        {
            "Study": shown["study_id"],
            "Bone": shown["bone"].map(bone_name),
            "Label": shown["label"].map({1.0: "Abnormal", 0.0: "Normal"}),
            first: shown["score_a"],
            second.name: shown["score_b"],
        }
    )
    scores = {name: st.column_config.NumberColumn(format="%.4f") for name in (first, second.name)}
    widgets.draw_table(table, column_config=scores, key="changed")
