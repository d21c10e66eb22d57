"""Labels that may be wrong, the most suspicious first, and revisions of the labels after review."""

import pandas as pd
import streamlit as st

from core.among import among
from core.data.index import Dataset
from core.plural import count_text
from core.review.cases import Cases
from core.review.label_issues import ORDERS, noise_rates, precision_at
from core.scores.view import View
from dashboard.labels.revisions import draw_revisions
from dashboard.labels.weights import draw_weights
from dashboard.shared import address, clicks, loaders, scoring, selection, widgets
from dashboard.shared.case import cards, loader, open_study, reader_name
from dashboard.shared.case.case_view import ReadingSession, draw_case
from dashboard.shared.case.verdict_panel import verdict_summaries

PER_PAGE = 24
BY_SCORES, BY_FEATURES = "scores of studies outside training", "features, cross-validated"
ORDER_NAMES = {
    "noise_rate": "estimated noise rate",
    "self_confidence": "probability of the given label",
    "margin": "probability of the given label minus its mean",
}
GIVEN_LABELS = {"both": None, "abnormal": 1.0, "normal": 0.0}


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    cases = loader.all_studies(view)
    widgets.heading("Labels", view.dataset, view.source.name)
    with st.container(key="silent"):
        clicks.on_card(open_study.open_study)
    reader = reader_name.draw_reader_field()
    ranked = draw_filters(view)
    draw_case_or_list(ReadingSession(view, cases, reader, blind=False), ranked)


@st.fragment
def draw_case_or_list(session: ReadingSession, ranked: pd.DataFrame | None) -> None:
    """The open case, or else the list. As a fragment, so that the next case does not run the whole page again."""
    with widgets.guarded():
        listed = ranked["study_id"].tolist() if ranked is not None else []
        study = open_study.choose_study(session.cases, False, listed)
        open_study.draw_missing_study()
        if study:
            draw_reason(ranked, study)
            draw_case(session, study, listed, open_study.open_study)
            return
        if ranked is None:
            scoring.offer_scoring(session.view.source)
        else:
            draw_list(session.view, session.cases, ranked)
            draw_weights(session.view.dataset, ranked)
        draw_revisions(session.view, session.reader)


def draw_filters(view: View) -> pd.DataFrame | None:
    """Draw the filters and a summary. Returns the ranked studies that pass; None without scores or features."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        basis = address.bound(st.selectbox, "Ranked from", (BY_SCORES, BY_FEATURES), key="by", width=290)
        order = st.selectbox(
            "Order",
            ORDERS[:3],
            format_func=ORDER_NAMES.get,
            key="label_order",
            width=290,
            persist_state="session",
            help="The noise rate mixes both kinds of wrong label in proportion to their number (Northcutt 2021).",
        )
        given = address.bound(
            st.segmented_control, "Given label", list(GIVEN_LABELS), default="both", required=True, key="given"
        )
        suspects_only = address.bound(
            st.toggle,
            "Suspects only",
            key="only",
            help="The other label is as probable here as on average for studies that have it (Northcutt 2021).",
        )
    ranked = loader.suspects(view.source, basis == BY_FEATURES, order)
    if ranked is None:
        return None
    wrong = noise_rates(ranked["score"].to_numpy(), ranked["label"].to_numpy())["number"]
    widgets.note(
        f"{count_text(len(ranked), 'labelled study')}; suspect: {int(ranked['suspect'].sum()):,}; estimated to be "
        f"wrong: about {wrong:.0f}. A weaker model gives a higher estimate."
    )
    if view.bone:
        ranked = ranked[ranked["bone"] == view.bone]
    if GIVEN_LABELS[given] is not None:
        ranked = ranked[ranked["label"] == GIVEN_LABELS[given]]
    return ranked[ranked["suspect"]] if suspects_only else ranked


def draw_reason(ranked: pd.DataFrame | None, study: str) -> None:
    """The reason for the rank of this study."""
    row = None if ranked is None else next(ranked[ranked["study_id"] == study].itertuples(), None)
    if row is not None:
        label = "abnormal" if row.label == 1 else "normal"
        widgets.note(
            f"Number {row.rank}: labelled {label}. A network that was not trained on this patient gives {label} a "
            f"probability of {row.self_confidence:.3f}{'; suspect' if row.suspect else ''}."
        )


def draw_list(view: View, cases: Cases, ranked: pd.DataFrame) -> None:
    """A page of cards; on phantoms also the number of flipped labels among the first k."""
    draw_precision(view.dataset, ranked)
    widgets.caption("Suspicious labels", f"{count_text(len(ranked), 'study')}, the most suspicious first")
    pages = max(1, -(-len(ranked) // PER_PAGE))
    page = min(st.session_state.get("page", 1), pages)
    shown = ranked["study_id"].iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    verdicts = verdict_summaries(view.dataset, shown.tolist())
    html = [
        cards.label_card(view, cases.table.loc[study], cases.views_of(study), verdicts.get(study, ""))
        for study in shown
        if study in cases.table.index
    ]
    if html:
        widgets.gallery(html)
    else:
        widgets.empty("No study passes the filters", "Widen the filters.")
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            address.bound(st.pagination, pages, key="page")


def draw_precision(dataset: Dataset, ranked: pd.DataFrame) -> None:
    """Precision at k beside that of a random order, for phantoms, whose wrong labels are known."""
    truth = loaders.truth(dataset)
    if truth is None or ranked.empty:
        return
    index = loaders.index(dataset)
    flipped = set(index.loc[among(index["image_id"], truth.index[truth["label_flipped"]]), "study_id"])
    table = precision_at(among(ranked["study_id"], flipped).to_numpy())
    if table["found"].sum():
        widgets.facts(
            *[
                (
                    f"Flipped among the first {row.k}",
                    f"{row.found} of {row.k}",
                    f"{widgets.estimate_text(row.precision)[1]}; {100 * row.random:.1f}% in a random order",
                )
                for row in table.itertuples()
            ]
        )


draw_page()
