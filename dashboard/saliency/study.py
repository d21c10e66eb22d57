"""The level of a study: the map of every view for the study's score, on one scale, which shows the decisive view."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.errors import OverreadError
from core.explain.overlay import full_strength
from core.metrics.studies import aggregations_of
from core.plural import count_text
from core.scores.view import View
from core.workflows.trust import network_auroc
from dashboard.saliency import check_results, controls, figures
from dashboard.shared import loaders, maps, theme, widgets

# Each check runs the network on the whole study, so only the views with the highest scores are checked.
MOST_CHECKED = 4


def draw_study(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the maps of all views of one study at once, and the result of each check as soon as it is known."""
    from core.explain.faithfulness import Evidence
    from core.explain.score_functions import StudyView

    dataset, checkpoint = view.dataset, view.source.model
    study = controls.choose_study(view)
    rows = radiographs[radiographs["study_id"] == study.name]
    left, right = st.columns(2)
    with left:
        method = controls.choose_method()
    aggregation = right.selectbox(
        "Study score",
        aggregations_of(radiographs),
        key="pooling",
        bind="query-params",
        help="The rule that combines the scores of the views into one.",
    )
    look, spec = controls.choose_look(), checkpoint.input_spec
    pixels = np.stack([spec.pixels(f"{dataset.root}/{path}") for path in rows["path"]])
    hashes = [loaders.file_hash(dataset, image) for image in rows["image_id"]]
    try:
        attributions = maps.study_attribution(checkpoint, pixels, method, aggregation)
    except OverreadError as error:
        widgets.empty("This map is refused", str(error))
        return
    findings = maps.known_findings(dataset)
    masks = [findings.mask(image, spec) for image in rows["image_id"]]
    shown = [
        pixels[place] if look.network_pixels else maps.large_pixels(dataset.root, path, sha1, spec.fit, spec.size)
        for place, (path, sha1) in enumerate(zip(rows["path"], hashes))
    ]
    outcome = theme.OUTCOMES.get(study["outcome"], ("", "label unknown"))[1].lower()
    widgets.caption(
        f"{controls.method_titles()[method]} for the study's score {expit(attributions[0].value):.3f}",
        f"{outcome}; {aggregation} over {count_text(len(rows), 'radiograph')}; {attributions[0].note}",
    )
    reports: dict[int, object] = {}
    grid = st.empty()
    grid.html(study_html(rows, shown, attributions, masks, look, reports))
    widgets.note("All views share one scale: a pale map moved the study's score little.")
    auroc = network_auroc(view.source)
    for place in sorted(checked_places(rows)):
        try:
            evidence = Evidence(masks[place], auroc)
            reports[place] = maps.check_view_map(checkpoint, StudyView(pixels, place, aggregation), method, evidence)
        except OverreadError as error:
            reports[place] = str(error)
        grid.html(study_html(rows, shown, attributions, masks, look, reports))


def checked_places(rows: pd.DataFrame) -> set[int]:
    """The places of the views whose maps are checked: those with the highest scores."""
    return set(np.argsort(-rows["logit"].to_numpy(), kind="stable")[:MOST_CHECKED].tolist())


def study_html(rows: pd.DataFrame, shown: list, attributions: list, masks: list, look, reports: dict) -> str:
    """The views of a study with their maps and the results so far. All lists and `reports` follow the order of rows."""
    top = full_strength(np.stack([one.map for one in attributions]))
    parts = np.array([np.abs(one.map).sum() for one in attributions])
    parts = parts / max(parts.sum(), 1e-12)
    views = []
    for place, row in enumerate(rows.itertuples()):
        attribution, report = attributions[place], reports.get(place)
        layers = figures.radiograph_html(shown[place]) + figures.map_html(
            attribution.map, look, attribution.signed, top
        )
        layers += figures.outline_html(masks[place], shown[place].shape[0])
        small = f"{Path(row.image_id).name}; {parts[place]:.0%} of the study's map"
        checked = place in checked_places(rows)
        views.append(
            figures.figure_html(
                f"View {place + 1}",
                layers,
                f"score {expit(row.logit):.3f}",
                small,
                check_results.reason_html(report) if checked else "",
                check_results.verdict_html(report) if checked else "",
            )
        )
    return figures.grid_html(views, look)
