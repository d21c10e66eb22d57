"""One row a model: what it is, and its figures on the chosen studies."""

import math
from html import escape

import pandas as pd

from core.errors import OverreadError
from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import Estimate
from core.metrics.rates import headline_rates, rates_at
from core.metrics.studies import labelled
from core.scores.operating_points import read_points
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import loaders, study_tables, widgets


def model_row_html(view: View, chosen: bool) -> str:
    """A table row for the source of a view, on its studies and at its threshold."""
    model = view.source.model
    if view.source.kind == "imported":
        about = (f"imported from {model.source}", model.scale)
    else:
        weights, spec = model.manifest.get("parameters", 0) / 1e6, model.input_spec
        about = (f"{model.recipe['architecture']}, {weights:.2f} M parameters", f"{spec.size} px ({spec.fit})")
    smalls = "".join(f"<small>{escape(line)}</small>" for line in about)
    cells = [f"<td><b>{escape(view.source.name)}</b>{smalls}</td>"]
    if loaders.predictions(view.source) is None:
        what_to_do = "choose it at the top, then open Threshold or Errors"
        width = 4 + len(headline_rates())
        cells.append(f'<td colspan="{width}">Not scored on this data set yet<small>{what_to_do}</small></td>')
    else:
        studies = labelled(loaders.studies(view))
        cells += _areas(*study_tables.areas(view))
        cells += [_locked(view.source), *_figures(studies, view.threshold)]
    return f'<tr class="{"chosen" if chosen else ""}">{"".join(cells)}</tr>'


def _areas(area: Estimate, by_patient: Estimate | None) -> list[str]:
    """The AUROC with its interval, also by patient where patients have several studies."""
    value, rest = widgets.estimate_text(area, "auroc")
    lines = [rest]
    if by_patient is not None and not math.isnan(by_patient.low):
        lines.append(f"by patient ({by_patient.low:.3f}-{by_patient.high:.3f})")
    small = "".join(f"<small>{escape(line)}</small>" for line in lines)
    return [f"<td>{value}{small}</td>", f"<td>{_span(area)}</td>"]


def _locked(source: Source) -> str:
    """The latest operating point, with its rule."""
    try:
        points = read_points(source)
    except OverreadError:
        return "<td>Refused<small>see the Threshold page</small></td>"
    if not points:
        return "<td>None</td>"
    point = points[-1]
    high = "" if point.threshold_high is None else f" to {point.threshold_high:.4f}"
    about = f"<small>{escape(point.rule)}</small><small>chosen on {escape(point.split)}</small>"
    return f"<td>{point.threshold:.4f}{high}{about}</td>"


def _figures(studies: pd.DataFrame, threshold: float) -> list[str]:
    counts = counts_table(studies["score"], studies["label"])
    rates, at = rates_at(counts, threshold), counts_at(counts, threshold)
    cells = []
    for rate in headline_rates():
        value, rest = widgets.estimate_text(rates[rate.name], rate.format)
        cells.append(f"<td>{value}<small>{escape(rest)}</small></td>")
    return [*cells, f'<td class="number"><b>{at["fn"]:,}</b><small>of {at["tp"] + at["fn"]:,} abnormal</small></td>']


def _span(area) -> str:
    """The interval as a bar from .5 to 1; an AUROC below .5 is drawn at the left end."""

    def place(value: float) -> float:
        return 100 * min(max((value - 0.5) / 0.5, 0), 1)

    bar = dot = ""
    if pd.notna(area.low):
        bar = f'<i style="left:{place(area.low):.1f}%;width:{place(area.high) - place(area.low):.1f}%"></i>'
    if pd.notna(area.value):
        dot = f'<b style="left:{place(area.value):.1f}%"></b>'
    return f'<div class="span">{bar}{dot}</div>'
