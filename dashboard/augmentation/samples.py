"""One radiograph and what training would make of it: the samples, what each was given, its levels, its score."""

from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import numpy as np
import pandas as pd
import streamlit as st

from core.data.augment import Augmentation
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.models.checkpoint import Checkpoint
from core.scores.source import Source
from core.scores.view import View
from dashboard.augmentation import controls, loader
from dashboard.shared import loaders, theme, widgets

MOST = 300
ANY = "Any"
OUTCOMES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}
# How each draw is written, and the value at which it changes nothing.
SHOWN = {
    "rotation": ("{:+.0f} deg", 0), "translation_x": ("x {:+.1%}", 0), "translation_y": ("y {:+.1%}", 0),
    "scale": ("scale {:.2f}", 1), "shear": ("shear {:+.1f} deg", 0), "blur": ("blur {:.2%}", 0),
    "sharpness": ("sharpness {:.2f}", 1), "clahe": ("CLAHE {:.1f}", 0), "brightness": ("brightness {:+.0%}", 0),
    "contrast": ("contrast {:.2f}", 1), "gamma": ("gamma {:.2f}", 1), "noise": ("noise {:.1%}", 0),
}  # fmt: skip
FLAGS = {"horizontal_flip": "flipped left-right", "vertical_flip": "flipped top-bottom", "inversion": "inverted",
         "equalisation": "equalised"}  # fmt: skip
_THIN = 'stroke-width="1" vector-effect="non-scaling-stroke"'


@dataclass(frozen=True)
class Sampling:
    """One radiograph (a row of the Index), the augmentation, the number of samples and the seed."""

    row: pd.Series
    augmentation: Augmentation
    count: int
    seed: int


def network_of(source: Source) -> Checkpoint | None:
    """The checkpoint of a source; None for imported scores and for a data set without a model."""
    return source.model if source.has_network else None


def input_spec(source: Source) -> InputSpec:
    """The input size of the network, else 128 pixels."""
    return source.model.input_spec if source.has_network else InputSpec(128)


def choose(view: View, augmentation: Augmentation) -> Sampling:
    """Which radiograph, how many samples, which seed; all of it in the address."""
    outcomes = outcomes_of(view)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = ANY
        if outcomes is not None:
            kind = st.segmented_control(
                "Original from", [ANY, *OUTCOMES], default=ANY, required=True, key="original", bind="query-params"
            )
        row = choose_image(view, outcomes, OUTCOMES.get(kind, ""))
        count = st.slider("Samples", 4, 24, 12, 4, key="count", width=150, bind="query-params")
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            0,
            key="seed",
            width=130,
            bind="query-params",
            help="Pinned until it is rolled: the same seed gives the same samples, here and in training.",
        )
        st.button("Roll", key="roll", icon=":material/casino:", on_click=_roll, help="Another seed.")
    return Sampling(row, augmentation, count, int(seed))


def choose_image(view: View, outcomes: pd.Series | None, wanted: str) -> pd.Series:
    """One radiograph of the bone and of the outcome; one that is named in the address stays."""
    index = loader.radiographs(view.dataset)
    rows = index[index["bone"] == view.bone] if view.bone else index
    rows = rows if len(rows) else index
    if outcomes is not None:
        found = rows["study_id"].map(outcomes)
        rows = rows[found.eq(wanted) if wanted else found.notna()] if found.notna().any() else rows
    if rows.empty:
        widgets.note("No such radiograph among these; any other is shown.")
        rows = index
    options = rows["image_id"].head(MOST).tolist()
    name = st.session_state.get("image") or st.query_params.get("image")
    if name not in options and wanted == "" and (index["image_id"] == name).any():
        options = [name, *options]
    if name not in options:
        name = first_to_show(view, rows)
        controls.begin_with("image", name)
    picked = st.selectbox(
        "Radiograph", options, index=None, key="image", bind="query-params", width=300,
        help=f"Up to {MOST} of the bone and the kind that are chosen; any other by its id in the address.",
    )  # fmt: skip
    return index[index["image_id"] == (picked or name)].iloc[0]


def first_to_show(view: View, rows: pd.DataFrame) -> str:
    """The first radiograph on which something is to be seen, of the first few: archives hold blank frames."""
    for row in rows.head(8).itertuples():
        try:
            grey = loader.square(loader.Film(view.dataset.root, row.path, row.sha1), input_spec(view.source))
        except OverreadError:
            continue
        if (seen := grey[grey > 0]).size and seen.std() > 20:
            return row.image_id
    return rows["image_id"].iloc[0]


def outcomes_of(view: View) -> pd.Series | None:
    """The outcome of each study of the split at the threshold; None where the model has not scored it."""
    try:
        if not view.source.has_network or loaders.predictions(view.source) is None:
            return None
        studies = loaders.studies(view.every_bone)
    except OverreadError:
        return None
    return outcome_table(studies, view.threshold).set_index("study_id")["outcome"] if len(studies) else None


def _roll() -> None:
    st.session_state["seed"] = int(np.random.default_rng().integers(2**31))


def show(view: View, sampling: Sampling) -> None:
    """The original, then the samples of the first epochs as training would see them."""
    checkpoint, threshold = network_of(view.source), view.threshold
    row, augmentation, seed = sampling.row, sampling.augmentation, sampling.seed
    wanted = loader.Draws(augmentation, row["image_id"], seed)
    original, samples, draws = loader.samples(view.dataset, input_spec(view.source), checkpoint, wanted, sampling.count)
    place, before = st.empty(), levels(original)
    grey = np.clip(samples * 255 + 0.5, 0, 255).astype(np.uint8)
    pictures = [loaders.picture_uri(one) for one in (original, *grey)]
    small = [histogram(before), *(histogram(levels(one), before) for one in grey)]
    words = ["as the network is given it", *(drawn_words(drawn) for drawn in draws.to_dict("records"))]

    def draw(logits: np.ndarray | None) -> None:
        with place.container():
            widgets.gallery(
                [
                    widgets.card(
                        [(pictures[number], f"augmented sample {number}" if number else "original radiograph")],
                        f"<div><b>{f'Epoch {number}' if number else 'Original'}</b>{score(logits, number, threshold)}"
                        f"</div>{small[number]}<small>{escape(words[number])}</small>",
                    )
                    for number in range(len(pictures))
                ],
                "10.5rem",
                "10.5rem",
            )
            widgets.note(
                f"{row['image_id']}. Seed {seed}, augmentation {augmentation.hash()}. Histograms: grey levels of the "
                "sample, outlined those of the original; heights by the square root, black left out."
            )

    draw(None)
    if checkpoint is not None:
        # The samples are seen before a large network has scored them.
        draw(loader.scores(checkpoint, original, samples))


def score(logits: np.ndarray | None, place: int, threshold: float) -> str:
    """The model's probability for one picture, and on which side of the threshold it falls."""
    if logits is None:
        return "<span></span>"
    value = 1 / (1 + np.exp(-logits[place]))
    flipped = (value >= threshold) != (1 / (1 + np.exp(-logits[0])) >= threshold)
    return f'<span class="{"mark alarm" if flipped else ""}">{value:.3f}{" flips" if flipped else ""}</span>'


def levels(grey: np.ndarray) -> np.ndarray:
    """Shares of 32 steps of grey, black left out: it is mostly the border, and would dwarf the rest."""
    counts = np.bincount(grey.ravel() >> 3, minlength=32).astype(float)
    counts[0] -= np.count_nonzero(grey == 0)
    return counts / max(counts.sum(), 1)


def histogram(after: np.ndarray, before: np.ndarray | None = None) -> str:
    """Bars of the levels, and the original's as a line; as a picture inside the card. Heights by the square root: the
    ground of a film is of one level and would dwarf the bone."""
    top = max(after.max(), 0 if before is None else before.max(), 1e-9)

    def path(values: np.ndarray) -> str:
        return "".join(
            f"L{place} {24 - 24 * (value / top) ** 0.5:.1f}H{place + 1}" for place, value in enumerate(values)
        )

    line = "" if before is None else f'<path d="M0 24{path(before)}" fill="none" stroke="{theme.THRESHOLD}" {_THIN}/>'
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 24" preserveAspectRatio="none">'
        f'<path d="M0 24{path(after)}V24Z" fill="#8A93A0"/>{line}</svg>'
    )
    return f'<img class="levels" alt="grey levels" src="data:image/svg+xml,{quote(drawn)}">'


def drawn_words(drawn: dict) -> str:
    """What one sample was given, leaving out what stayed as it was."""
    words = [text for name, text in FLAGS.items() if drawn[name]]
    words += [form.format(drawn[name]) for name, (form, neutral) in SHOWN.items() if abs(drawn[name] - neutral) > 1e-9]
    if any(drawn[f"corner_{number}"] for number in range(8)):
        words.append(f"corners in by up to {max(abs(drawn[f'corner_{number}']) for number in range(8)):.0%}")
    if drawn["crop_width"] * drawn["crop_height"] < 1:
        words.append(f"cropped to {drawn['crop_width']:.0%} x {drawn['crop_height']:.0%}")
    if drawn["erasing_side"] > 0:
        words.append(f"erased {drawn['erasing_side']:.0%} of the side")
    if drawn.get("partner"):
        words.append(f"{1 - drawn['share']:.0%} of {drawn['partner']} {'pasted in' if drawn['cut'] else 'mixed in'}")
    return ", ".join(words) or "unchanged"
