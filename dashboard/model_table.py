"""One row a checkpoint: what it is, and how good it is on the studies that are chosen."""

from html import escape

import pandas as pd

from core.data.index import Dataset
from core.inference.imported import Imported
from core.metrics.counts import counts_at, counts_table
from core.metrics.operating_point import rates_at
from core.metrics.ranking import auroc
from core.metrics.studies import labelled
from core.models.checkpoint import Checkpoint
from dashboard import loaders, widgets
from dashboard.selection import Selection


def model_row(checkpoint: Checkpoint | Imported, dataset: Dataset, chosen: Selection) -> str:
    """A table row in HTML."""
    if isinstance(checkpoint, Imported):
        about, given = f"imported from {checkpoint.source}", f"Scores<small>{checkpoint.scale}</small>"
    else:
        weights = checkpoint.manifest.get("parameters", 0) / 1e6
        about = f"{checkpoint.recipe['architecture']}, {weights:.2f} M parameters"
        given = f"{checkpoint.input_spec.size} px<small>{checkpoint.input_spec.fit}</small>"
    cells = [f"<td><b>{escape(checkpoint.name)}</b><small>{escape(about)}</small></td>", f"<td>{given}</td>"]
    if loaders.predictions(dataset, checkpoint) is None:
        what_to_do = "choose it in the sidebar, then open Threshold or Errors"
        cells.append(f'<td colspan="5">Not scored on this data set yet<small>{what_to_do}</small></td>')
    else:
        studies = labelled(loaders.studies(dataset, checkpoint, chosen.split, chosen.one_bone))
        cells += _figures(studies, chosen.threshold)
    return f'<tr class="{"chosen" if checkpoint.name == chosen.checkpoint else ""}">{"".join(cells)}</tr>'


def _figures(studies: pd.DataFrame, threshold: float) -> list[str]:
    area = auroc(studies["score"], studies["label"])
    counts = counts_table(studies["score"], studies["label"])
    rates, at = rates_at(counts, threshold), counts_at(counts, threshold)
    value, rest = widgets.estimate_text(area, "auroc")
    cells = [f"<td>{value}<small>{escape(rest)}</small></td>", f"<td>{_span(area)}</td>"]
    for name in ("sensitivity", "specificity"):
        value, rest = widgets.estimate_text(rates[name])
        cells.append(f"<td>{value}<small>{escape(rest)}</small></td>")
    return [*cells, f'<td class="number"><b>{at["fn"]:,}</b><small>of {at["tp"] + at["fn"]:,} abnormal</small></td>']


def _span(area) -> str:
    """The interval as a bar from .5 to 1; an AUROC below .5 stands at the left end."""

    def place(value: float) -> float:
        return 100 * min(max((value - 0.5) / 0.5, 0), 1)

    bar = dot = ""
    if pd.notna(area.low):
        bar = f'<i style="left:{place(area.low):.1f}%;width:{place(area.high) - place(area.low):.1f}%"></i>'
    if pd.notna(area.value):
        dot = f'<b style="left:{place(area.value):.1f}%"></b>'
    return f'<div class="span">{bar}{dot}</div>'
