"""Labels that may be wrong, the most suspicious first; and labels after review, beside the given ones."""

import pandas as pd
import streamlit as st

from core.review.label_issues import ORDERS, noise_rates, precision_at
from core.scores.view import View
from dashboard.labels import revisions
from dashboard.shared import clicks, loaders, scoring, selection, widgets
from dashboard.shared.case import loader, verdicts
from dashboard.shared.case import reader as reviewer
from dashboard.shared.case import room as case_view
from dashboard.shared.case import study as study_view
from dashboard.shared.case.room import Room

PER_PAGE = 24
SCORES = ("what the model has not learned from", "frozen features, by folds")
WORDS = {
    "noise_rate": "by label, as often as it is wrong",
    "self_confidence": "score of the given label",
    "margin": "that score, less the label's usual",
}
GIVEN = {"both": None, "abnormal": 1.0, "normal": 0.0}


def show() -> None:
    view = selection.current()
    scoring.require_model(view)
    cases = loader.all_studies(view)
    widgets.heading("Labels", view.dataset, view.source.name)
    with st.container(key="silent"):
        clicks.on_card(study_view.open_study)
        reviewer.recall()
    reader = reviewer.draw()
    ranked = narrowed(view)
    read(Room(view, cases, reader, False), ranked)


@st.fragment
def read(room: Room, ranked: pd.DataFrame | None) -> None:
    """The open case, else the suspects. A step to the next case runs this again and nothing else of the page."""
    with widgets.guarded():
        listed = ranked["study_id"].tolist() if ranked is not None else []
        study = study_view.choose_study(room.cases, False, listed)
        study_view.say_gone()
        if study:
            say_why(ranked, study)
            case_view.show(room, study, listed, opened=study_view.open_study)
            return
        if ranked is None:
            scoring.offer_scoring(room.view.source)
        else:
            show_suspects(room.view, room.cases, ranked)
        revisions.show(room.view, room.reader)


def narrowed(view: View) -> pd.DataFrame | None:
    """The ranked studies that the widgets leave; None where there are no scores."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox("Judged by", SCORES, key="by", bind="query-params", width=290)
        order = st.selectbox(
            "Order", ORDERS[:3], format_func=WORDS.get, key="order", width=300, persist_state="session"
        )
        given = st.segmented_control(
            "Given label", list(GIVEN), default="both", required=True, key="given", bind="query-params"
        )
        only = st.toggle(
            "Suspects only",
            key="only",
            bind="query-params",
            help="Studies that the confident joint (Northcutt 2021) counts under the other label.",
        )
    ranked = loader.suspects(view.source, which == SCORES[1], order)
    if ranked is None:
        return None
    rates = noise_rates(ranked["score"].to_numpy(), ranked["label"].to_numpy())
    widgets.note(
        f"{len(ranked):,} labelled studies; by the confident joint {int(ranked['suspect'].sum()):,} are suspect and "
        f"about {rates['number']:.0f} labels are estimated to be wrong (the weaker the model, the more)."
    )
    if view.bone:
        ranked = ranked[ranked["bone"] == view.bone]
    if GIVEN[given] is not None:
        ranked = ranked[ranked["label"] == GIVEN[given]]
    return ranked[ranked["suspect"]] if only else ranked


def say_why(ranked: pd.DataFrame | None, study: str) -> None:
    """Why this study is where it is."""
    row = None if ranked is None else next(ranked[ranked["study_id"] == study].itertuples(), None)
    if row is not None:
        word = "abnormal" if row.label == 1 else "normal"
        widgets.note(
            f"Number {row.rank}: labelled {word}, and a network that has not seen the patient gives {word} "
            f"{row.self_confidence:.3f}{'; suspect by the confident joint' if row.suspect else ''}."
        )


def show_suspects(view: View, cases: loader.Cases, ranked: pd.DataFrame) -> None:
    """A page of cards; on phantoms, how many of the first k were flipped on purpose."""
    show_precision(view.dataset, ranked)
    widgets.caption("Suspicious labels", f"{len(ranked):,} studies, the most suspicious first")
    pages = max(1, -(-len(ranked) // PER_PAGE))
    page = min(st.session_state.get("page", 1), pages)
    shown = ranked["study_id"].iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    said = verdicts.spoken(view.dataset, shown.tolist())
    cards = []
    for study in shown:
        if study in cases.table.index:
            row, files = cases.table.loc[study], cases.views_of(study)
            cards.append(study_view.label_card(view, row, files, said.get(study, "")))
    if cards:
        widgets.gallery(cards)
    else:
        widgets.empty("No study is left", "Widen the filters.")
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key="page", bind="query-params")


def show_precision(dataset, ranked: pd.DataFrame) -> None:
    """Precision at k against a random order, where the truth is known."""
    known = loaders.truth(dataset)
    if known is None or ranked.empty:
        return
    index = loaders.index(dataset)
    flipped = set(index.loc[index["image_id"].isin(known.index[known["label_flipped"]]), "study_id"])
    table = precision_at(ranked["study_id"].isin(flipped).to_numpy())
    if table["found"].sum():
        widgets.facts(
            *[
                (
                    f"Flipped among the first {row.k}",
                    f"{row.found} of {row.k}",
                    f"{widgets.estimate_text(row.precision)[1]}; {100 * row.random:.1f}% at random",
                )
                for row in table.itertuples()
            ]
        )


show()
