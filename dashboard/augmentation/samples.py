"""One radiograph and its augmented samples, each with its draws, grey levels and score."""

from html import escape
from urllib.parse import quote

import numpy as np
import streamlit as st
from scipy.special import expit

from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.augmentation.sampling import Sampling, input_spec, network_of
from dashboard.shared import loaders, theme, widgets

# The text of each draw, and the value that changes nothing.
DRAW_TEXTS = {
    "rotation": ("{:+.0f} deg", 0), "translation_x": ("x {:+.1%}", 0), "translation_y": ("y {:+.1%}", 0),
    "scale": ("scale {:.2f}", 1), "shear": ("shear {:+.1f} deg", 0), "blur": ("blur {:.2%}", 0),
    "sharpness": ("sharpness {:.2f}", 1), "clahe": ("CLAHE {:.1f}", 0), "brightness": ("brightness {:+.0%}", 0),
    "contrast": ("contrast {:.2f}", 1), "gamma": ("gamma {:.2f}", 1), "noise": ("noise {:.1%}", 0),
}  # fmt: skip
FLAG_TEXTS = {"horizontal_flip": "flipped left-right", "vertical_flip": "flipped top-bottom",
              "inversion": "inverted", "equalisation": "equalised"}  # fmt: skip
_THIN = 'stroke-width="1" vector-effect="non-scaling-stroke"'


def draw_samples(view: View, sampling: Sampling) -> None:
    """Draw the original and the samples of the first epochs of training, then add the scores."""
    checkpoint, row, augmentation = network_of(view.source), sampling.row, sampling.augmentation
    draws = loader.Draws(augmentation, row["image_id"], sampling.seed)
    original, samples, drawn = loader.samples(view.source, input_spec(view.source), draws, sampling.count)
    grey = np.clip(samples * 255 + 0.5, 0, 255).astype(np.uint8)
    pictures, before = [original, *grey], grey_levels(original)
    texts = ["the network's input", *(draws_text(one) for one in drawn.to_dict("records"))]
    histograms = [histogram_html(before), *(histogram_html(grey_levels(one), before) for one in grey)]
    place = st.empty()

    def draw_cards(logits: np.ndarray | None) -> None:
        cards = []
        for number, picture in enumerate(pictures):
            title = f"Epoch {number}" if number else "Original"
            alt = f"augmented sample {number}" if number else "original radiograph"
            words = (
                f"<div><b>{title}</b>{score_html(logits, number, view.threshold)}</div>{histograms[number]}"
                f"<small>{escape(texts[number])}</small>"
            )
            cards.append(widgets.card([(loaders.picture_uri(picture), alt)], words))
        with place.container():
            widgets.gallery(cards, "10.5rem", "10.5rem")
            widgets.note(
                f"{row['image_id']}; augmentation {augmentation.hash()}",
                why=f"Seed {sampling.seed}. Histograms: grey levels of the sample, with the original as an outline; "
                "square-root heights, without black.",
                about="the samples",
            )

    draw_cards(None)
    if checkpoint is not None:
        # A large network takes a while, and the samples are on the page before.
        draw_cards(loader.scores(checkpoint, original, samples))


def score_html(logits: np.ndarray | None, place: int, threshold: float) -> str:
    """The score of one picture, marked where it is on the other side of the threshold than the original."""
    if logits is None:
        return "<span></span>"
    score, original = expit(logits[place]), expit(logits[0])
    flips = (score >= threshold) != (original >= threshold)
    return f'<span class="{"mark alarm" if flips else ""}">{score:.3f}{" flips" if flips else ""}</span>'


def grey_levels(grey: np.ndarray) -> np.ndarray:
    """The shares of 32 bins of grey. Black is left out, since it is mostly the border and would hide the others."""
    counts = np.bincount(grey.ravel() >> 3, minlength=32).astype(float)
    counts[0] -= np.count_nonzero(grey == 0)
    return counts / max(counts.sum(), 1)


def histogram_html(after: np.ndarray, before: np.ndarray | None = None) -> str:
    """Grey levels as bars, and those of the original as a line.

    Heights are square roots, since the background of a radiograph has one level and would hide the bone.
    """
    top = max(after.max(), 0 if before is None else before.max(), 1e-9)

    def path(values: np.ndarray) -> str:
        return "".join(
            f"L{place} {24 - 24 * (value / top) ** 0.5:.1f}H{place + 1}" for place, value in enumerate(values)
        )

    line = "" if before is None else f'<path d="M0 24{path(before)}" fill="none" stroke="{theme.THRESHOLD}" {_THIN}/>'
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 24" preserveAspectRatio="none">'
        f'<path d="M0 24{path(after)}V24Z" fill="#8A93A0"/>{line}</svg>'
    )
    return f'<img class="levels" alt="grey levels" src="data:image/svg+xml,{quote(drawing)}">'


def draws_text(draws: dict) -> str:
    """The draws of one sample that change something, such as `flipped left-right, +12 deg`."""
    texts = [text for name, text in FLAG_TEXTS.items() if draws[name]]
    texts += [
        form.format(draws[name]) for name, (form, neutral) in DRAW_TEXTS.items() if abs(draws[name] - neutral) > 1e-9
    ]
    if any(draws[f"corner_{number}"] for number in range(8)):
        texts.append(f"corners in by up to {max(abs(draws[f'corner_{number}']) for number in range(8)):.0%}")
    if draws["crop_width"] * draws["crop_height"] < 1:
        texts.append(f"cropped to {draws['crop_width']:.0%} x {draws['crop_height']:.0%}")
    if draws["erasing_side"] > 0:
        texts.append(f"erased {draws['erasing_side']:.0%} of the side")
    if draws.get("partner"):
        texts.append(f"{1 - draws['share']:.0%} of {draws['partner']} {'pasted in' if draws['cut'] else 'mixed in'}")
    return ", ".join(texts) or "unchanged"
