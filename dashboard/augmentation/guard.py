"""What an augmentation takes away: abnormalities cut off or erased, sides and markers exchanged. One line."""

from html import escape

import streamlit as st

from core.data.lesion_retention import augmentation_warnings, retention_sentence
from core.errors import OverreadError
from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.augmentation.samples import Sampling, input_spec

# Above this share of draws without it, or this share of its area gone, the line is in the colour of a miss.
LOST, GONE = 0.02, 0.2


def show(view: View, sampling: Sampling) -> None:
    """The figure, then what a reader would mind."""
    dataset, augmentation = view.dataset, sampling.augmentation
    try:
        facts = loader.lesions(dataset, input_spec(view.source), augmentation, sampling.seed)
    except OverreadError as error:
        facts, said, harmful = None, f"What is lost cannot be counted: {error}", False
    if facts is not None:
        what = "known findings" if dataset.phantom else "known abnormalities"
        said = retention_sentence(facts, what)
        harmful = bool(facts["radiographs"]) and (facts["lost"] > LOST or facts["kept"] < 1 - GONE)
    words = [f'<b class="{"mark missed" if harmful else ""}">{escape(said[:1].upper() + said[1:])}.</b>']
    words += [escape(text) for text in augmentation_warnings(augmentation)]
    st.html(f'<p class="answer guard">{" ".join(words)}</p>')
