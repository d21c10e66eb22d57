"""What in a radiograph moves the model's logit: maps side by side, laid over the image at any opacity."""

from html import escape

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.models.checkpoint import Checkpoint
from dashboard import loaders, scoring, selection, theme, widgets
from dashboard.charts.overlay import POLARITIES, is_blank, overlay_png
from dashboard.selection import ALL, Selection

MOST = 300
TITLES = {
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "Integrated gradients",
    "saliency": "Gradient",
    "occlusion": "Occlusion",
}


def show() -> None:
    chosen = selection.current()
    dataset, checkpoint = scoring.chosen_parts(chosen)
    widgets.heading(
        "Saliency", dataset, checkpoint.name, f"explains the logit of one radiograph at {checkpoint.input_spec.size} px"
    )
    views = scoring.scored(chosen, every_bone=True)
    row = choose_image(dataset, checkpoint, views, chosen)
    pixels = checkpoint.input_spec.pixels(f"{dataset.root}/{row['path']}")
    methods, opacity, polarity = choose_maps()
    figures = [
        film(
            "Original",
            picture(pixels),
            f"score {expit(row['logit']):.3f}, logit {row['logit']:+.2f}",
            f"study: {theme.OUTCOMES.get(row['outcome'], ('', 'label unknown'))[1].lower()}",
        )
    ]
    known = loaders.index(dataset.name).set_index("image_id")["sha1"]
    if row["image_id"] not in known.index:
        raise OverreadError(f"The scores name {row['image_id']}, which the index lacks: score {dataset.name} again.")
    sha1 = known[row["image_id"]]
    for method in methods:
        figures.append(
            map_film(
                method, loaders.attribution(checkpoint.reference, sha1, method, checkpoint, pixels), pixels, polarity
            )
        )
    # The opacity is one custom property of the whole block: moving it asks for no map again.
    st.html(f'<div class="films small" style="--opacity:{opacity / 100}">{"".join(figures)}</div>')
    widgets.note(
        "A map shows what moves the logit of this one radiograph: not where a finding is, nor why a study is called so."
    )


def choose_image(dataset: Dataset, checkpoint: Checkpoint, views: pd.DataFrame, chosen: Selection) -> pd.Series:
    """One radiograph, those of missed studies first. It lives in the URL."""
    studies = outcome_table(loaders.studies(dataset, checkpoint, chosen.split), chosen.threshold).set_index("study_id")
    views = views.assign(
        outcome=views["study_id"].map(studies["outcome"]), score=views["study_id"].map(studies["score"])
    )
    listed = views if chosen.bone == ALL else views[views["bone"] == chosen.bone]
    if listed.empty:
        listed = views
    rank = listed["outcome"].map({"FN": 0, "FP": 1, "TP": 2}).fillna(3)
    # By the study's score before the view's name, so that a study's views stay together.
    listed = listed.assign(rank=rank).sort_values(["rank", "score", "study_id", "image_id"]).head(MOST)
    options, wanted = listed["image_id"].tolist(), st.session_state.get("image") or st.query_params.get("image")
    if wanted not in options:
        options = [wanted, *options] if wanted in set(views["image_id"]) else options
    if wanted not in options:
        st.session_state["image"] = options[0]
    rows = views.set_index("image_id", drop=False)
    # Without a default of its own, since Streamlit leaves a default out of the address, and the first one may change.
    name = st.selectbox(
        "Radiograph",
        options,
        index=None,
        key="image",
        bind="query-params",
        help="Missed studies first, then false alarms.",
    )
    name = name or options[0]
    return rows.loc[name]


def choose_maps() -> tuple[list[str], int, str]:
    """Which methods, how strongly they are drawn, and which side of them."""
    from core.explain.attribution import METHODS

    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    methods = left.pills(
        "Methods",
        list(METHODS),
        selection_mode="multi",
        default=["grad_cam", "integrated_gradients"],
        key="methods",
        format_func=lambda name: TITLES.get(name, name),
        bind="query-params",
        wrap=True,
    )
    polarity = middle.selectbox("Shows", list(POLARITIES), key="polarity", bind="query-params")
    opacity = right.slider("Opacity", 0, 100, 60, 5, key="opacity", format="%d%%", bind="query-params")
    return methods, opacity, polarity


def map_film(method: str, found, pixels: np.ndarray, polarity: str) -> str:
    """One map over its radiograph, with what it explains and the note that decides whether to read it."""
    layer = loaders.overlay_uri(overlay_png(found.map, polarity))
    over = f'<img class="over" src="{layer}" alt="" style="opacity:var(--opacity)">'
    # A clear picture looks like a fault unless it says that it is the answer.
    note = f"Nothing here speaks {polarity}. {found.note}" if is_blank(found.map, polarity) else found.note
    return film(TITLES.get(method, method), picture(pixels) + over, f"explains logit {found.value:+.2f}", note)


def picture(pixels: np.ndarray) -> str:
    """The radiograph as the network is given it."""
    return f'<img src="{loaders.picture_uri(pixels)}" alt="radiograph as the network is given it">'


def film(title: str, inside: str, fact: str, small: str, warning: str = "") -> str:
    """One picture with its words."""
    return widgets.film(inside, f"<b>{escape(title)}</b>{warning}<span>{escape(fact)}</span>", small)


show()
