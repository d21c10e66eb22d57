"""The level of one radiograph: its maps side by side, each with the result of its checks."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.errors import OverreadError
from core.explain.overlay import sheet_png
from core.scores.view import View
from core.workflows.trust import network_auroc
from dashboard.saliency import check_results, controls, figures
from dashboard.shared import loaders, maps, theme, widgets
from dashboard.shared.case.similar_studies import draw_similar_studies


@dataclass(frozen=True)
class Sheet:
    """One radiograph and its maps so far. finding: the known place of an abnormality, bool [s, s], or None.

    row: a radiograph of PREDICTIONS with the outcome of its study. The dictionaries are by method: its Attribution,
    the reason why it was refused, and its TrustReport or the reason why it could not be checked.
    """

    row: pd.Series
    pixels: np.ndarray
    look: controls.Look
    finding: np.ndarray | None
    attributions: dict = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    reports: dict = field(default_factory=dict)


def draw_radiograph(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the maps of one radiograph at once, and the result of each check as soon as it is known."""
    from core.explain.faithfulness import Evidence
    from core.explain.map_values import MapSettings

    dataset, checkpoint = view.dataset, view.source.model
    spec = checkpoint.input_spec
    row = controls.choose_image(view, radiographs)
    pixels = spec.pixels(f"{dataset.root}/{row['path']}")
    sha1 = loaders.file_hash(dataset, row["image_id"])
    methods = controls.choose_methods()
    stage = st.container(key="stage")
    with stage.container(key="look"):
        look = controls.choose_look()
        layer, baseline = controls.choose_layer_and_baseline()
    settings = MapSettings(layer, maps.mean_radiograph(dataset, spec) if baseline == "mean" else baseline)
    shown = pixels if look.network_pixels else maps.large_pixels(dataset.root, row["path"], sha1, spec.fit, spec.size)
    sheet = Sheet(row, shown, look, maps.known_findings(dataset).mask(row["image_id"], spec))
    with stage, st.spinner("Making the maps"):
        for method in methods:
            try:
                sheet.attributions[method] = maps.attribution(checkpoint, pixels, method, settings)
            except OverreadError as error:
                sheet.refusals[method] = str(error)
    place = stage.empty()
    place.html(sheet_html(sheet, methods))
    draw_downloads(sheet, pixels)
    draw_study_link(row)
    evidence = Evidence(sheet.finding, network_auroc(view.source))
    for method in sheet.attributions:
        try:
            sheet.reports[method] = maps.check_map(checkpoint, pixels, method, settings, evidence)
        except OverreadError as error:
            sheet.reports[method] = str(error)
        place.html(sheet_html(sheet, methods))
    check_results.draw_details({method: report for method, report in sheet.reports.items() if type(report) is not str})
    draw_similar_studies(view.source, row["study_id"])


def sheet_html(sheet: Sheet, methods: list[str]) -> str:
    """The radiograph and its maps in a row, with the results so far below each."""
    row, look = sheet.row, sheet.look
    titles, outline = controls.method_titles(), figures.outline_html(sheet.finding, sheet.pixels.shape[0])
    radiograph = figures.radiograph_html(sheet.pixels)
    outcome = theme.OUTCOMES.get(row["outcome"], ("", "label unknown"))[1].lower()
    score = f"score {expit(row['logit']):.3f}, logit {row['logit']:+.2f}"
    small = f"study: {outcome}{'; outlined: the known finding' if outline else ''}"
    row_of_figures = [figures.figure_html("Original", radiograph + outline, score, small)]
    for method in methods:
        if method in sheet.refusals:
            reason = f'<p class="refused">{escape(sheet.refusals[method])}</p>'
            row_of_figures.append(figures.figure_html(titles[method], reason, "refused", ""))
            continue
        attribution, report = sheet.attributions[method], sheet.reports.get(method)
        row_of_figures.append(
            figures.figure_html(
                titles[method],
                radiograph + figures.map_html(attribution.map, look, attribution.signed) + outline,
                f"explains logit {attribution.value:+.2f}",
                figures.map_note(attribution, look),
                check_results.reason_html(report),
                check_results.verdict_html(report),
            )
        )
    return figures.grid_html(row_of_figures, look)


def draw_downloads(sheet: Sheet, pixels: np.ndarray) -> None:
    """Offer the maps as a picture with the chosen look, and as numbers."""
    if not sheet.attributions:
        return
    from core.explain.export import npz_bytes

    attributions, look = list(sheet.attributions.values()), sheet.look
    name = Path(sheet.row["image_id"]).stem
    with st.container(horizontal=True):
        st.download_button(
            "Download PNG",
            lambda: sheet_png(
                sheet.pixels,
                [(one.map, one.signed) for one in attributions],
                (look.polarity, look.palette, look.least),
                look.opacity,
            ),
            f"{name}-saliency.png",
            "image/png",
            icon=":material/image:",
            help="The radiograph and its maps as shown.",
        )
        st.download_button(
            "Download NPZ",
            lambda: npz_bytes(pixels, attributions),
            f"{name}-saliency.npz",
            "application/octet-stream",
            icon=":material/data_array:",
            help="The maps as floating-point numbers, with the network's pixels.",
        )


def draw_study_link(row: pd.Series) -> None:
    """Link to the study on the Errors page, and say what a map is not."""
    if row["outcome"] in theme.OUTCOMES:
        st.page_link(
            "errors/page.py",
            label="Open the study on the Errors page",
            icon=":material/search:",
            query_params={"outcome": theme.OUTCOMES[row["outcome"]][1], "study": row["study_id"]},
        )
    widgets.note(
        "A map shows which pixels move the logit of this radiograph. It does not locate a finding or explain the "
        "decision on the study."
    )
