"""A study at a time: every view's map for the study's score, on one scale, so that the view that drove it is seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.metrics.studies import aggregations_of
from core.scores.view import View
from dashboard.saliency import film as saliency_film
from dashboard.saliency import look as saliency_look
from dashboard.shared import loaders, theme, widgets
from dashboard.shared import maps as saliency
from dashboard.shared.overlay import full_strength

MOST = 300
# Each view is judged by the whole study's score, so a study of many views is judged in its highest ones.
MOST_JUDGED = 4


def show(view: View, views: pd.DataFrame) -> None:
    """All radiographs of one study."""
    dataset, checkpoint = view.dataset, view.source.model
    study = choose_study(view)
    rows = views[views["study_id"] == study.name].sort_values("logit", ascending=False)
    left, right = st.columns(2)
    with left:
        (name,) = saliency_look.choose_methods(most=1)
    aggregation = right.selectbox(
        "Study score", aggregations_of(views), key="pooling", bind="query-params", help="How views become one score."
    )
    look = saliency_look.choose_look()
    pixels = np.stack([checkpoint.input_spec.pixels(f"{dataset.root}/{path}") for path in rows["path"]])
    hashes = tuple(saliency_film.file_hash(dataset, image) for image in rows["image_id"])
    try:
        maps = saliency.study_attribution(checkpoint, pixels, name, aggregation)
    except OverreadError as error:
        widgets.empty("This map is refused", str(error))
        return
    # One scale for all views: what is pale moved the study's score little.
    top = full_strength(np.stack([one.map for one in maps]))
    parts = np.array([np.abs(one.map).sum() for one in maps])
    parts = parts / max(parts.sum(), 1e-12)
    spec, findings = checkpoint.input_spec, saliency.findings(dataset)
    truths = [findings.mask(image, spec) for image in rows["image_id"]]
    films = [
        pixels[place] if look.as_given else saliency.sharp(dataset.root, path, hashes[place], spec.fit, spec.size)
        for place, path in enumerate(rows["path"])
    ]
    outcome = theme.OUTCOMES.get(study["outcome"], ("", "label unknown"))[1].lower()
    widgets.caption(
        f"{saliency_look.registry()[name].title} for the study's score {expit(maps[0].value):.3f}",
        f"{outcome}; {aggregation} over {len(maps)} radiograph{'s' * (len(maps) != 1)}; {maps[0].note}",
    )
    judged: dict = {}
    place_of_films = st.empty()

    def draw() -> None:
        figures = []
        for place, row in enumerate(rows.itertuples()):
            inside = saliency_look.picture(films[place]) + saliency_look.over(maps[place], look, top)
            inside += saliency_look.outline(truths[place], films[place].shape[0])
            small = f"{Path(row.image_id).name}; holds {parts[place]:.0%} of the study's map"
            below, above = "", ""
            if place < MOST_JUDGED:
                below, above = saliency_film.trust_line(judged.get(place)), saliency_film.verdict(judged.get(place))
            fact = f"score {expit(row.logit):.3f}"
            figures.append(saliency_look.film(f"View {place + 1}", inside, fact, small, below, above))
        place_of_films.html(saliency_look.block(figures, look))

    draw()
    widgets.note("The maps of a study share one scale: a view that is pale moved its score little.")
    known = saliency_film.known_auroc(view)
    for place in range(min(len(maps), MOST_JUDGED)):
        try:
            judged[place] = saliency.view_trust(checkpoint, pixels, place, name, aggregation, known, truths[place])
        except OverreadError as error:
            judged[place] = str(error)
        draw()


def choose_study(view: View) -> pd.Series:
    """One study, the most confident misses first. It lives in the URL."""
    studies = outcome_table(loaders.studies(view.every_bone), view.threshold)
    rows = studies[studies["bone"] == view.bone] if view.bone else studies
    rows = studies if rows.empty else rows
    rank = rows["outcome"].map({"FN": 0, "FP": 1, "TP": 2}).fillna(3)
    rows = rows.assign(rank=rank).sort_values(["rank", "score", "study_id"]).head(MOST)
    options, wanted = rows["study_id"].tolist(), st.session_state.get("study") or st.query_params.get("study")
    if wanted not in options:
        options = [wanted, *options] if wanted in set(studies["study_id"]) else options
    if wanted not in options:
        st.session_state["study"] = options[0]
    name = st.selectbox("Study", options, index=None, key="study", bind="query-params", help="Missed studies first.")
    return studies.set_index("study_id").loc[name or options[0]]
