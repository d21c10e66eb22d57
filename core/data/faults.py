"""Four faults of a radiograph that its file shows: several films in one image, overlap, dark, stretched.

Each is found by measures of the grey levels and the shape alone, so a list has candidates for a person to check, the
most extreme first. docs/results.md has how many of the known faults of phantoms each list finds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.quality import TENTH, beyond_limit, lowest_tenth

# A shape counts as common where another radiograph of the bone has nearly the same width over height.
_NEARLY, _RARE = 0.1, 0.03


@dataclass(frozen=True)
class Fault:
    """One fault. passes: rows of `with_shapes` -> bool for each. order: the measure to sort by, `lowest` first or last.

    words: what the list holds, in one sentence.
    """

    words: str
    passes: Callable[[pd.DataFrame], pd.Series]
    order: str
    lowest: bool


FAULTS = {
    "Several films": Fault(
        "Bands of one grey level divide the image: several films in one, or collimation.",
        lambda rows: beyond_limit(rows, "films"),
        "films",
        lowest=False,
    ),
    "Overlap": Fault(
        "The tenth with the strongest thin bright parts: a ring, wire, plate or splint over the bone.",
        lambda rows: highest_tenth(rows, "lines"),
        "lines",
        lowest=False,
    ),
    "Dark": Fault(
        "The tenth whose brightest parts are the darkest.", lambda rows: lowest_tenth(rows, "p99"), "p99", lowest=True
    ),
    "Stretched": Fault(
        "The shape is rare for the bone: fewer than 3% of its radiographs have nearly this width over height.",
        lambda rows: rows["shape share"] < _RARE,
        "shape share",
        lowest=True,
    ),
}


def with_shapes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of an INDEX with `shape share`: the share of the bone's other radiographs of nearly the same shape.

    Nearly the same: width over height differs by at most about 10%.
    """
    shapes = np.log(rows["width"].to_numpy(float) / rows["height"].clip(lower=1).to_numpy(float))
    share = np.full(len(rows), np.nan)
    for places in rows.groupby("bone", sort=False).indices.values():
        ordered = np.sort(shapes[places])
        ends = [np.searchsorted(ordered, shapes[places] + step, side) for step, side in _EDGES]
        share[places] = (ends[1] - ends[0] - 1) / max(len(places) - 1, 1)
    return rows.assign(**{"shape share": share})


def highest_tenth(measured: pd.DataFrame, measure: str) -> pd.Series:
    """Rows of MEASURES in the highest tenth of a measure among the rows given, without those where it is 0."""
    values = measured[measure]
    return (values >= values.quantile(1 - TENTH)) & (values > 0)


_EDGES = ((-_NEARLY, "left"), (_NEARLY, "right"))
