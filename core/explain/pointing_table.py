"""Whether maps that hold up point right more often than other maps, over several networks and data sets."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.explain.trust_report import HOLDS_UP
from core.metrics.intervals import Estimate, newcombe, proportion, weighted_sum

ALL = "all"


@dataclass(frozen=True)
class PointedMaps:
    """Checked maps of one network on one data set. truth: 'finding', a map points right where its peak is on the known
    finding; 'view', the map is of the view that drives a study's score, and is right where that view is abnormal.

    rows: `method`, `verdict` and `right`, 1 or 0, of each map.
    """

    network: str
    data: str
    truth: str
    rows: pd.DataFrame


def pointing_table(found: list[PointedMaps]) -> pd.DataFrame:
    """One row for each network, data set and method, and one of all together for each method and truth.

    Columns: `network`, `data`, `truth`, `method`, `chance` (expected share of right ones, where known), `held` (maps
    that hold up), `held_right`, `held_share` with `_low`, `_high` (Wilson), the same of `others`, and `difference` of
    the shares with `_low`, `_high` (Newcombe). That of all is the mean over the rows that have maps of both kinds,
    weighted by n1 n2 / (n1 + n2) (Mantel-Haenszel), so that no network is compared with another one.
    """
    rows: list[dict] = []
    parts: dict[tuple[str, str], list[dict]] = {}
    for one in found:
        for method, group in one.rows.groupby("method", sort=False):
            counts = _counts(group)
            rows.append({"network": one.network, "data": one.data, "truth": one.truth, "method": method, **counts})
            parts.setdefault((method, one.truth), []).append(rows[-1])
    for (method, truth), members in parts.items():
        if len(members) > 1:
            rows.append({"network": ALL, "data": ALL, "truth": truth, "method": method, **_together(members)})
    return pd.DataFrame(rows)


def _counts(group: pd.DataFrame) -> dict:
    holds, right = (group["verdict"] == HOLDS_UP).to_numpy(), group["right"].to_numpy(float) == 1
    chance = group["chance"].astype(float).mean() if "chance" in group else np.nan
    return _row(chance, int(holds.sum()), int(right[holds].sum()), int((~holds).sum()), int(right[~holds].sum()))


def _row(chance: float, held: int, held_right: int, others: int, others_right: int) -> dict:
    row: dict = {"chance": chance}
    for name, right, count in (("held", held_right, held), ("others", others_right, others)):
        share = proportion(right, count)
        row |= {name: count, f"{name}_right": right, f"{name}_share": share.value}
        row |= {f"{name}_share_low": share.low, f"{name}_share_high": share.high}
    known = newcombe(held_right, held, others_right, others) if held and others else None
    return row | _bounds(known)


def _bounds(found: Estimate | None) -> dict:
    if found is None:
        return dict.fromkeys(("difference", "difference_low", "difference_high"), np.nan)
    return {"difference": found.value, "difference_low": found.low, "difference_high": found.high}


def _together(members: list[dict]) -> dict:
    """The sums of the counts, and the weighted mean of the differences of the rows that have one."""
    total = {name: sum(one[name] for one in members) for name in ("held", "held_right", "others", "others_right")}
    sizes = [one["held"] + one["others"] for one in members]
    row = _row(float(np.average([one["chance"] for one in members], weights=sizes)), **total)
    both = [one for one in members if one["held"] and one["others"]]
    weights = np.array([one["held"] * one["others"] / (one["held"] + one["others"]) for one in both])
    mean: Estimate | None = None
    for one, weight in zip(both, weights / weights.sum() if len(both) else ()):
        counts = (one["held_right"], one["held"], one["others_right"], one["others"])
        nothing = Estimate(0.0, 0.0, 0.0, 0)
        mean = weighted_sum(mean or nothing, newcombe(*counts), 1.0, float(weight))
    return row | _bounds(mean)
