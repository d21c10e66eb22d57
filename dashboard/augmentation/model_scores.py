"""What the model makes of an augmentation: one radiograph over many draws, and a sample of a split, bone by bone."""

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.augmentation.samples import Sampling
from dashboard.shared import loaders, widgets
from dashboard.shared.selection import bone_name

STEP = 8


def show(view: View, sampling: Sampling) -> None:
    """One radiograph over many draws, then the sample."""
    from core.scores.augmentation_stability import DRAWS, score_stability

    checkpoint, augmentation = view.source.model, sampling.augmentation
    mixing = "; MixUp and CutMix left out" if augmentation.mixes else ""
    widgets.caption(
        "How steady the model is", f"{DRAWS} draws of this radiograph, threshold {view.threshold:.3f}{mixing}"
    )
    place = st.empty()
    original = loader.square(loader.film_of(view.dataset, sampling.row), checkpoint.input_spec)
    logits: list[float] = []
    base = float(loaders.classifier(checkpoint).logits(original[None])[0])
    draws = loader.Draws(augmentation.without_mixing, sampling.row["image_id"], sampling.seed)
    # In steps, so that a slider moved meanwhile is not kept waiting by a large network.
    for first in range(0, DRAWS, STEP):
        logits.extend(loader.draw_logits(checkpoint, original, draws, first, first + STEP))
        with place.container():
            tell(score_stability(base, logits, view.threshold))
    show_split(view, sampling)


def tell(found: dict) -> None:
    """The figures of one radiograph."""
    flips = found["flips"]
    widgets.facts(
        ("Score as it is", f"{found['original']:.3f}", "without augmentation"),
        ("Mean over draws", f"{found['mean']:.3f}", f"n = {found['draws']} draws"),
        ("Spread", f"{found['spread']:.3f}", f"95% of draws {found['low']:.3f}-{found['high']:.3f}"),
        ("Decision flips", f"{100 * flips:.0f}%", "of draws, at the threshold", *(["missed"] if flips else [])),
    )


def show_split(view: View, sampling: Sampling) -> None:
    """The bones of a split, the least steady first, and the job that draws them."""
    from core.scores.augmentation_stability import DRAWS, stability_table

    dataset, checkpoint, augmentation, seed = view.dataset, view.source.model, sampling.augmentation, sampling.seed
    rows = loader.judged(checkpoint, dataset, augmentation, seed)
    here = rows[rows["image_id"].isin(loader.split_ids(dataset, checkpoint, view.split))]
    widgets.caption(
        f"Per bone, {view.split}",
        f"{len(here)} radiographs, {DRAWS} draws each, least steady first" if len(here) else "nothing drawn yet",
    )
    if len(here):
        st.dataframe(shown_table(stability_table(here, view.threshold)), hide_index=True, height="content")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.slider("Radiographs", 10, 500, 70, 10, key="stability_count", width=220,
                          help="As many of each bone as of any other.")  # fmt: skip
        started = st.button("Draw them", key="stability", icon=":material/play_arrow:")
        if started:
            st.button("Stop", key="stop_drawing", help="What is drawn already is kept.")
    if started:
        from core.scores.augmentation_stability import StabilitySample, stability_rows

        moved = widgets.progress("Loading the network")
        classifier = loaders.classifier(checkpoint)
        try:
            stability_rows(
                checkpoint, dataset, augmentation, StabilitySample(view.split, count, seed=seed),
                lambda done, total, what: moved(done / max(total, 1), f"{what}, {done} of {total}"),
                classifier=classifier,
            )  # fmt: skip
        except OverreadError as error:
            widgets.empty("Not drawn", str(error))
        else:
            st.rerun()


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """Names and figures as they are read."""
    share = [
        f"{100 * row.flips:.1f}% ({100 * row.flips_low:.1f}-{100 * row.flips_high:.1f})" for row in table.itertuples()
    ]
    return pd.DataFrame(
        {
            "Bone": table["bone"].map(bone_name),
            "Radiographs": table["radiographs"],
            "Decisions that flip": share,
            "Radiographs that flip at all": [f"{100 * value:.0f}%" for value in table["unsteady"]],
            "Spread of the score": table["spread"].round(3),
            "Least steady": table["worst"],
        }
    )
