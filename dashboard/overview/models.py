"""One row per model: what it is, and its figures on the chosen studies."""

import math
from dataclasses import replace
from html import escape
from urllib.parse import urlencode

import pandas as pd

from core.errors import OverreadError
from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import Estimate
from core.metrics.rates import headline_rates, rates_at, rates_text
from core.metrics.studies import labelled
from core.scores.learning import learned
from core.scores.source import Source
from core.scores.threshold_in_use import point_in_use, threshold_in_use
from core.scores.verification_log import verifications_of
from core.scores.view import DEFAULT_THRESHOLD, View
from dashboard.shared import loaders, study_tables, widgets


def own_view(view: View, source: Source) -> View:
    """The view of another source at its own threshold: its operating point, else 0.5."""
    if source == view.source:
        return view
    try:
        found = threshold_in_use(source, source.dataset.reference)
    except OverreadError:
        return replace(view, source=source, threshold=DEFAULT_THRESHOLD, point="")
    return replace(view, source=source, threshold=found.threshold, point=found.point.id if found.point else "")


def model_row_html(view: View, chosen: bool) -> str:
    """A table row for the source of a view, on its studies and at its threshold. A click opens its page Threshold."""
    model, source = view.source.model, view.source
    if source.kind == "imported":
        about = (f"imported from {model.source}", model.scale)
    else:
        weights, spec = model.manifest.get("parameters", 0) / 1e6, model.input_spec
        about = (f"{model.recipe['architecture']}, {weights:.2f} M parameters", f"{spec.size} px ({spec.fit})")
    found = learned(model)
    smalls = "".join(f"<small>{escape(line)}</small>" for line in (*about, *([found.mark] if found else [])) if line)
    link = escape(f"threshold?{urlencode({'data': source.data, 'model': source.name})}")
    cells = [f'<td><a class="row" href="{link}" target="_self"><b>{escape(source.name)}</b></a>{smalls}</td>']
    if not loaders.is_scored(source):
        what_to_do = "choose it at the top, then open Threshold or Errors"
        width = 4 + len(headline_rates())
        cells.append(f'<td colspan="{width}">Not scored on this data set yet<small>{what_to_do}</small></td>')
    else:
        studies = labelled(loaders.studies(view))
        cells += [_area(*study_tables.areas(view)), _locked(source), _threshold(view)]
        cells += _figures(studies, view.threshold)
    return f'<tr class="{"chosen" if chosen else ""}">{"".join(cells)}</tr>'


def _area(area: Estimate, by_patient: Estimate | None) -> str:
    """The AUROC with its interval, also by patient where patients have several studies, above its bar."""
    value, rest = widgets.estimate_text(area, "auroc")
    lines = [rest]
    if by_patient is not None and not math.isnan(by_patient.low):
        lines.append(f"by patient ({by_patient.low:.3f}-{by_patient.high:.3f})")
    small = "".join(f"<small>{escape(line)}</small>" for line in lines)
    return f"<td>{value}{small}{_span(area)}</td>"


def _locked(source: Source) -> str:
    """The operating point in use with its rule, its figures where it was chosen, and those where it was verified."""
    try:
        point = point_in_use(source, source.dataset.reference)
        stored = verifications_of(source, point.id) if point else []
    except OverreadError:
        return "<td>Refused<small>see the Threshold page</small></td>"
    if point is None:
        return "<td>None</td>"
    high = "" if point.threshold_high is None else f" to {point.threshold_high:.4f}"
    lines = [point.rule, f"chosen on {point.split}: {rates_text(point.figures, headline_rates())}"]
    last = next((entry for entry in reversed(stored) if entry.get("figures")), None)
    if last:
        lines.append(f"verified on {last['split']}: {rates_text(last['figures'], headline_rates())}")
    else:
        lines.append("not verified yet" if not stored else f"verified on {stored[-1]['split']}")
    smalls = "".join(f"<small>{escape(line)}</small>" for line in lines)
    return f'<td class="point">{point.threshold:.4f}{high}{smalls}</td>'


def _threshold(view: View) -> str:
    """The threshold that the figures beside it are at."""
    from_point = f"<small>point {escape(view.point[:6])}</small>" if view.point else "<small>by hand</small>"
    return f'<td class="number">{view.threshold:.3f}{from_point}</td>'


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
