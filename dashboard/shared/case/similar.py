"""What is like a study: the most similar ones the network learned from, and the patient's others."""

import shlex
from html import escape
from urllib.parse import urlencode

import streamlit as st

from core.scores.embeddings import neighbours_sentence
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import loaders, widgets
from dashboard.shared.case import loader
from dashboard.shared.case.loader import Cases
from dashboard.shared.selection import bone_name


def show_alike(source: Source, study: str) -> None:
    """Nearest neighbours of the training split with their labels; where there are no vectors yet, the way to them."""
    if not source.has_network:
        return
    found = loader.similar_studies(source, study)
    if found is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Find similar studies", key="embed", icon=":material/join_inner:"):
                _compute(source)
            widgets.note(
                f"Runs {source.name} once over all radiographs, or in a terminal: python -m core embed "
                f"{shlex.quote(source.name)} --data {shlex.quote(source.data)}"
            )
        return
    widgets.caption(
        neighbours_sentence(found), "cosine of the features before the last layer, same bone, other patients"
    )
    cards = []
    for row in found.itertuples():
        uri = loaders.thumbnail_uri(source.dataset, row.path, row.sha1)
        words = f"<div>{widgets.label_mark(row.label)}<span>{row.similarity:.2f}</span></div>"
        words += f"<small>{escape(row.study_id)}</small>"
        cards.append(widgets.card([(uri, f"{row.bone}, a similar study")], words))
    if cards:
        widgets.gallery(cards, card="8.5rem", tall="6.5rem")


def show_patient(cases: Cases, study: str, view: View) -> None:
    """The other scored studies of the same patient in this split."""
    patient = cases.table.at[study, "patient_id"]
    others = (
        [other for other in cases.by_patient.get(patient, []) if other != study] if isinstance(patient, str) else []
    )
    if not others:
        return
    widgets.caption("The same patient", f"{len(others)} other {'study' if len(others) == 1 else 'studies'} here")
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


def _compute(source: Source) -> None:
    tell = widgets.progress("Loading the network")
    from core.scores.embeddings import compute_embeddings

    compute_embeddings(
        source.model,
        source.dataset,
        lambda done, total, what: tell(done / max(total, 1), f"{what}: {done:,} of {total:,}"),
    )
    st.rerun()
