"""How much an augmentation moves the model's score: one radiograph over many draws, and a sample of a split."""

import pandas as pd
import streamlit as st

from core.among import among
from core.errors import OverreadError
from core.plural import count_text
from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.augmentation.sampling import Sampling
from dashboard.shared import loaders, widgets
from dashboard.shared.selection import bone_name

STEP = 8


def draw_stability(view: View, sampling: Sampling) -> None:
    """Draw the figures of one radiograph, then those of the sample."""
    from core.scores.augmentation_stability import DRAWS, score_stability

    checkpoint, augmentation = view.source.checkpoint, sampling.augmentation
    mixing = "; without MixUp and CutMix" if augmentation.mixes else ""
    widgets.caption(
        "Stability of the score", f"{DRAWS} draws of this radiograph, threshold {view.threshold:.3f}{mixing}"
    )
    place = st.empty()
    original = loader.square(loader.film_of(view.dataset, sampling.row), checkpoint.input_spec)
    logits: list[float] = []
    base = float(loaders.classifier(checkpoint).logits(original[None])[0])
    draws = loader.Draws(augmentation.without_mixing, sampling.row["image_id"], sampling.seed)
    # In steps, so that a slider moved meanwhile does not wait for a large network.
    for first in range(0, DRAWS, STEP):
        logits.extend(loader.draw_logits(checkpoint, original, draws, first, first + STEP))
        with place.container():
            draw_figures(score_stability(base, logits, view.threshold))
    draw_split(view, sampling)


def draw_figures(figures: dict) -> None:
    """Draw the figures of `score_stability`."""
    flips = figures["flips"]
    widgets.facts(
        ("Original score", f"{figures['original']:.3f}", "without augmentation"),
        ("Mean score", f"{figures['mean']:.3f}", f"n = {count_text(figures['draws'], 'draw')}"),
        ("Spread", f"{figures['spread']:.3f}", f"95% of draws: {figures['low']:.3f}-{figures['high']:.3f}"),
        ("Decision flips", f"{100 * flips:.0f}%", "of draws, at the threshold", *(["missed"] if flips else [])),
    )


def draw_split(view: View, sampling: Sampling) -> None:
    """Draw the bones of a split, the least stable first, and the controls that score a sample of it."""
    from core.scores.augmentation_stability import DRAWS, StabilitySample, stability_rows, stability_table

    source, augmentation, seed = view.source, sampling.augmentation, sampling.seed
    rows = loader.stored_draws(source, augmentation, seed)
    here = rows[among(rows["image_id"], loader.split_ids(source, view.split))]
    count = f"{count_text(len(here), 'radiograph')}, {DRAWS} draws each, least stable first"
    widgets.caption(f"By bone, split {view.split}", count if len(here) else "nothing scored yet")
    if len(here):
        widgets.draw_table(shown_table(stability_table(here, view.threshold)), height="content")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.slider("Radiographs", 10, 500, 70, 10, key="stability_count", width=220,
                          help="The same number for each bone.")  # fmt: skip
        started = st.button("Score a sample", key="stability", icon=":material/play_arrow:")
        if started:
            st.button("Stop", key="stop_drawing", help="Radiographs scored so far are kept.")
    if started:
        advance = widgets.progress("Loading the network")
        classifier = loaders.classifier(source.checkpoint)
        try:
            stability_rows(
                source, augmentation, StabilitySample(view.split, count, seed=seed),
                lambda done, total, what: advance(done / max(total, 1), f"{what}, {done} of {total}"),
                classifier=classifier,
            )  # fmt: skip
        except OverreadError as error:
            widgets.empty("The sample cannot be scored", str(error))
        else:
            st.rerun()


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """The names and figures of `stability_table` as text."""
    share = [
        f"{100 * row.flips:.1f}% ({100 * row.flips_low:.1f}-{100 * row.flips_high:.1f})" for row in table.itertuples()
    ]
    return pd.DataFrame(
        {
            "Bone": table["bone"].map(bone_name),
            "Radiographs": table["radiographs"],
            "Draws that flip the decision": share,
            "Radiographs with a flip": [f"{100 * value:.0f}%" for value in table["unsteady"]],
            "Spread of the score": table["spread"].round(3),
            "Least stable": table["worst"],
        }
    )
