"""Studies beside the open one: the most similar ones in train, and other studies of the same patient."""

import shlex
from html import escape
from urllib.parse import urlencode

import streamlit as st

from core.plural import count_text
from core.review.cases import Cases
from core.scores.embeddings import neighbours_sentence
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import loaders, widgets
from dashboard.shared.case import loader
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name


def draw_similar_studies(source: Source, study: str) -> None:
    """The nearest neighbours in train with their labels; without embeddings, a button that computes them."""
    if not source.has_network:
        return
    neighbours = loader.similar_studies(source, study)
    if neighbours is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            words = (
                f"Runs {source.name} once over all radiographs. In a terminal: python -m core embed "
                f"{shlex.quote(source.name)} --data {shlex.quote(source.data)}"
            )
            if st.button("Find similar studies", key="embed", icon=":material/join_inner:", help=plain(words)):
                _compute_embeddings(source)
        return
    widgets.caption(
        neighbours_sentence(neighbours), "cosine of the features before the last layer, same bone, other patients"
    )
    cards = []
    for row in neighbours.itertuples():
        uri = loaders.thumbnail_uri(source.dataset, row.path, row.sha1)
        words = f"<div>{widgets.label_mark(row.label)}<span>{row.similarity:.2f}</span></div>"
        words += f"<small>{escape(row.study_id)}</small>"
        cards.append(widgets.card([(uri, f"{row.bone}, a similar study")], words))
    if cards:
        widgets.gallery(cards, card="8.5rem", tall="6.5rem")


def draw_patient_studies(cases: Cases, study: str, view: View) -> None:
    """The other studies of the same patient among the cases."""
    patient = cases.table.at[study, "patient_id"]
    same = cases.by_patient.get(patient, []) if isinstance(patient, str) else []
    others = [other for other in same if other != study]
    if not others:
        return
    widgets.caption("The same patient", f"{count_text(len(others), 'other study')} here")
    cards = []
    for other in others[:12]:
        row, files = cases.table.loc[other], cases.views_of(other)
        pictures = [
            (loaders.thumbnail_uri(view.dataset, film.path, film.sha1), film.bone) for film in files.itertuples()
        ]
        words = (
            f"<div><b>{escape(bone_name(row['bone']))}</b>{widgets.mark(row['outcome'])}</div>"
            f"<div>{widgets.score_bar(row['score'], view.threshold)}</div><small>{escape(other)}</small>"
        )
        cards.append(widgets.card(pictures, words, "errors?" + urlencode(view.address(study=other)), other))
    widgets.gallery(cards, card="11rem", tall="6.5rem")


def _compute_embeddings(source: Source) -> None:
    advance = widgets.progress("Loading the network")
    from core.scores.embeddings import compute_embeddings

    compute_embeddings(
        source,
        lambda done, total, message: advance(done / max(total, 1), f"{message}: {done:,} of {total:,}"),
    )
    st.rerun()
