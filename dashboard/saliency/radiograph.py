"""The level of one radiograph: its maps side by side, each with the result of its checks."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.attribution import attribution_line, with_attribution
from core.explain.map_record import MapRecord, MapTask
from core.explain.map_values import MapSettings
from core.explain.overlay import sheet_png
from core.scores.view import View
from core.workflows.trust import radiograph_task
from dashboard.saliency import check_results, controls, figures
from dashboard.shared import loaders, maps, selection, theme, trust_marks, widgets
from dashboard.shared.case.similar_studies import draw_similar_studies


@dataclass(frozen=True)
class Sheet:
    """One radiograph and the state of its maps. finding: the known place of an abnormality, bool [s, s], or None.

    row: a radiograph of PREDICTIONS with the outcome of its study. shown: its pixels on screen. tasks: by method.
    """

    row: pd.Series
    shown: np.ndarray
    look: controls.Look
    finding: np.ndarray | None
    tasks: dict[str, MapTask]
    found: dict[MapTask, maps.FoundMaps]

    def records(self) -> dict[str, MapRecord]:
        """The records with a map so far, by method."""
        known = {method: next(iter(self.found[task].records.values())) for method, task in self.tasks.items()}
        return {method: record for method, record in known.items() if record and record.attribution}


def draw_radiograph(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the maps of one radiograph as soon as each is made, and the result of its checks when it is known."""
    dataset, source = view.dataset, view.source
    spec = source.checkpoint.input_spec
    row = controls.choose_image(view, radiographs)
    sha1, path = loaders.file_hash(dataset, row["image_id"]), str(Path(dataset.root) / row["path"])
    methods = controls.choose_methods()
    stage = st.container(key="stage")
    with stage.container(key="look"):
        look = controls.choose_look()
        layer, baseline = controls.choose_layer_and_baseline()
    settings = MapSettings(layer, baseline)
    tasks = {method: radiograph_task(source, (path, sha1), method, settings) for method in methods}
    shown = (
        spec.pixels(path)
        if look.network_pixels
        else maps.large_pixels(dataset.root, row["path"], sha1, spec.fit, spec.size)
    )
    finding = maps.known_findings(dataset).mask(row["image_id"], spec)
    place, notes, downloads = stage.empty(), stage.container(), st.container()
    draw_study_link(row)
    details = st.container()
    draw_similar_studies(source, row["study_id"])
    # Last, since the page waits here: everything else is drawn before the first map is made.
    for found in maps.follow_maps(source, list(tasks.values())):
        sheet = Sheet(row, shown, look, finding, tasks, found)
        place.html(sheet_html(sheet))
    controls.draw_plain_note(notes, list(sheet.records().values()))
    with downloads:
        draw_downloads(sheet, spec.pixels(path))
    with details:
        reports = {method: record.report_with(finding) for method, record in sheet.records().items()}
        check_results.draw_details({method: report for method, report in reports.items() if report})


def sheet_html(sheet: Sheet) -> str:
    """The radiograph and its maps in a row, with the results so far below each."""
    row, look, side = sheet.row, sheet.look, sheet.shown.shape[0]
    titles, outline = controls.method_titles(), figures.outline_html(sheet.finding, side)
    radiograph = figures.radiograph_html(sheet.shown)
    outcome = theme.OUTCOMES.get(row["outcome"], ("", "label unknown"))[1].lower()
    score = f"score {expit(row['logit']):.3f}, logit {row['logit']:+.2f}"
    small = f"study: {outcome}{'; outlined: the known finding' if outline else ''}"
    row_of_figures = [figures.figure_html("Original", radiograph + outline, score, small)]
    for method, task in sheet.tasks.items():
        found = sheet.found[task]
        record = next(iter(found.records.values()))
        if reason := (record.refused if record else found.error):
            refused = f'<p class="refused">{escape(reason)}</p>'
            row_of_figures.append(figures.figure_html(titles[method], refused, "refused", ""))
        elif record is None:
            row_of_figures.append(figures.figure_html(titles[method], radiograph, "making the map ...", ""))
        else:
            words = figures.MapWords(
                f"explains logit {record.attribution.value:+.2f}",
                figures.map_note(record.attribution, look) + (f". {found.error}" if found.error else ""),
                sheet.finding,
                side,
                is_waiting=not found.error,
            )
            row_of_figures.append(figures.map_figure_html(titles[method], radiograph, record, look, words))
    return figures.grid_html(row_of_figures, look)


def draw_downloads(sheet: Sheet, pixels: np.ndarray) -> None:
    """Offer the maps as a picture with the chosen look, and as numbers."""
    records, look = list(sheet.records().values()), sheet.look
    if not records:
        return
    from core.explain.export import npz_bytes

    name, data = Path(sheet.row["image_id"]).stem, selection.current().source.data
    with st.container(horizontal=True):
        st.download_button(
            "Download PNG",
            lambda: with_attribution(
                sheet_png(
                    sheet.shown,
                    [record for record in records if not trust_marks.is_plain(record, look.show_all)],
                    (look.polarity, look.palette, look.least),
                    look.opacity,
                ),
                data,
            ),
            f"{name}-saliency.png",
            "image/png",
            icon=":material/image:",
            help="The radiograph and its maps as shown, with their verdicts.",
        )
        st.download_button(
            "Download NPZ",
            lambda: npz_bytes(pixels, records, sheet.finding, attribution_line(data)),
            f"{name}-saliency.npz",
            "application/octet-stream",
            icon=":material/data_array:",
            help="The maps as floating-point numbers with their checks and verdicts, and the network's pixels.",
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
        "A map does not locate a finding.",
        why="It shows which pixels move the logit of this radiograph, and does not explain the decision on the study.",
        about="a map",
    )
