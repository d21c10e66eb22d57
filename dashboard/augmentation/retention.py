"""How much of the known findings an augmentation keeps, and warnings about sides and markers."""

from html import escape

import streamlit as st

from core.data.lesion_retention import augmentation_warnings, retention_sentence
from core.errors import OverreadError
from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.augmentation.sampling import Sampling, input_spec

# The sentence takes the colour of a missed study above this share of draws without the finding, or of lost area.
MOST_LOST, MOST_AREA_GONE = 0.02, 0.2


def draw_retention(view: View, sampling: Sampling) -> None:
    """Draw the sentence on known findings, then the warnings."""
    dataset, augmentation, harmful = view.dataset, sampling.augmentation, False
    try:
        facts = loader.retention(dataset, input_spec(view.source), augmentation, sampling.seed)
    except OverreadError as error:
        sentence = f"The loss of findings cannot be counted: {error}".removesuffix(".")
    else:
        sentence = retention_sentence(facts, "known findings" if dataset.phantom else "known abnormalities")
        harmful = bool(facts["radiographs"]) and (facts["lost"] > MOST_LOST or facts["kept"] < 1 - MOST_AREA_GONE)
    words = [f'<b class="{"mark missed" if harmful else ""}">{escape(sentence[:1].upper() + sentence[1:])}.</b>']
    words += [escape(text) for text in augmentation_warnings(augmentation)]
    st.html(f'<p class="answer guard">{" ".join(words)}</p>')
