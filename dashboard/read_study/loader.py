"""Cached data of the page: the network and its operating point. Uploads end with the visitor's session."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from core.device import scoring_precision
from core.scores.embeddings import features, neighbours_of_vectors, neighbours_sentence
from core.scores.source import Source
from core.serving.answers import StudyAnswer
from core.serving.decoding import DecodedView, Upload, decode_view
from core.serving.points import find_thresholds
from core.serving.reader import Reader, bones_of, usable_pixels
from core.serving.runtime import torch_runtime
from dashboard.shared import loaders, widgets
from dashboard.shared.case.loader import embeddings

_MAPS = "read_study_maps"


def reader_of(source: Source) -> Reader:
    """The reader of the chosen checkpoint, with its newest operating point as it is now."""
    classifier = loaders.classifier(source.checkpoint)
    thresholds = find_thresholds(source, precision=scoring_precision(classifier.device))
    runtime = torch_runtime(classifier, "The page scores as the other pages do.")
    return Reader(source.checkpoint, classifier, source, thresholds, bones_of(source.checkpoint), runtime)


def decoded(reader: Reader, uploads: Sequence[Upload], bone: str) -> list[DecodedView]:
    """The decoded views. OverreadError where the files cannot be one study."""
    return reader.admit([decode_view(upload, reader.spec, reader.limits) for upload in uploads], bone)


def answered(reader: Reader, views: Sequence[DecodedView]) -> StudyAnswer:
    """The answer for decoded views."""
    return reader.answer(views, reader.score(usable_pixels(views)))


def mapped(reader: Reader, views: Sequence[DecodedView], answer: StudyAnswer) -> StudyAnswer:
    """The answer with maps and their verdicts. The session keeps those of the files that are shown, and no other."""
    from core.serving.saliency import study_maps, with_maps

    key = (reader.checkpoint.weights_hash, reader.aggregation, tuple(view.digest for view in views))
    kept = st.session_state.get(_MAPS)
    if not kept or kept[0] != key:
        st.session_state[_MAPS] = kept = (key, study_maps(reader, views))
    return with_maps(answer, views, kept[1])


def nearest(source: Source, reader: Reader, views: Sequence[DecodedView], bone: str) -> tuple[str, list[str]] | None:
    """The most similar training studies as a sentence and cards; None without embeddings of the chosen data set."""
    found = embeddings(source) if source.dataset and source.has_images else None
    if found is None:
        return None
    pixels = usable_pixels(views)
    vectors = features(reader.classifier, pixels, np.arange(len(pixels)))
    table = neighbours_of_vectors(found, vectors, bone)
    cards = []
    for row in table.itertuples():
        words = f"<div>{widgets.label_mark(row.label)}<span>{row.similarity:.2f}</span></div>"
        picture = loaders.thumbnail_uri(source.dataset, row.path, row.sha1)
        words += f"<small>{safe(row.study_id)}</small>"
        cards.append(widgets.card([(picture, f"{row.bone}, a similar study")], words))
    return neighbours_sentence(table), cards


def safe(text: str) -> str:
    """Text of a file or an error, shown as it is."""
    return escape(str(text))
