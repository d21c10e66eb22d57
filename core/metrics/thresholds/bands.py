"""Studies between two thresholds: what is ruled out, referred and ruled in, and what moving the threshold changes."""

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.counts import class_sizes, rows_at
from core.metrics.intervals import Estimate, proportion, too_few, undefined, wilson
from core.schema import bone_order

COLUMNS = (
    "n", "n_abnormal", "low", "high", "studies", "abnormal", "normal", "unknown",
    "fn_at_high", "fn_at_low", "fp_at_high", "fp_at_low", "share_abnormal", "share_abnormal_low", "share_abnormal_high",
    "alarms_per_find", "alarms_per_find_low", "alarms_per_find_high", "why",
)  # fmt: skip


def two_thresholds(counts: pd.DataFrame, low: float, high: float) -> dict[str, Estimate]:
    """Studies below `low` are ruled out, those from `high` on are ruled in, those between are referred.

    missed_when_ruled_out and right_when_ruled_in: the abnormal share of the studies ruled out and of those ruled in.
    referred: the share of all studies.
    """
    _check_order(low, high)
    called = counts["tp"].to_numpy() + counts["fp"].to_numpy()
    at_low, at_high = rows_at(counts, [low, high])
    total = sum(class_sizes(counts))
    ruled_out, ruled_in = total - called[at_low], called[at_high]
    return {
        "missed_when_ruled_out": _share(counts["fn"].to_numpy()[at_low], ruled_out, "no study is ruled out"),
        "right_when_ruled_in": _share(counts["tp"].to_numpy()[at_high], ruled_in, "no study is ruled in"),
        "referred": _share(total - ruled_out - ruled_in, total, "no labelled studies"),
    }


def band_table(studies: pd.DataFrame, low: float, high: float, by: str | None = None) -> pd.DataFrame:
    """Studies with low <= score < high. At `high` the abnormal ones are missed (FN) and the normal ones are correct
    (TN). Lowering the threshold to `low` finds the abnormal ones and turns the normal ones into false alarms.

    The first row has `group` 'all'; with `by` (a column of STUDIES) each of its values has a further row.
    alarms_per_find: false alarms per abnormality found, (1 - p) / p of the band's abnormal share p. Its interval is
    computed from Wilson's interval of p. It is NaN, and `why` says why, where the band has no abnormal study; the
    interval is NaN where the group has fewer than 10 studies of a class. OverreadError for an unknown column.
    """
    _check_order(low, high)
    if by is not None and by not in studies:
        raise OverreadError(
            f"The studies have no column {by!r} to group by; expected one such as bone.", code="group-column-unknown"
        )
    rows = [{"group": "all"} | _band_row(studies, low, high)]
    if by is not None:
        parts = dict(list(studies.groupby(by)))
        names = bone_order(parts) if by == "bone" else sorted(parts)
        rows += [{"group": name} | _band_row(parts[name], low, high) for name in names]
    return pd.DataFrame(rows, columns=["group", *COLUMNS])


def _band_row(studies: pd.DataFrame, low: float, high: float) -> dict:
    score, label = studies["score"].to_numpy(np.float64), studies["label"].to_numpy(np.float64)
    inside, abnormal, normal = (score >= low) & (score < high), label == 1, label == 0
    n1, n0 = int(abnormal.sum()), int(normal.sum())
    found, alarms = int((inside & abnormal).sum()), int((inside & normal).sum())
    row = {
        "n": n1 + n0, "n_abnormal": n1, "low": low, "high": high, "studies": found + alarms,
        "abnormal": found, "normal": alarms, "unknown": int((inside & np.isnan(label)).sum()),
        "fn_at_high": int((abnormal & (score < high)).sum()), "fn_at_low": int((abnormal & (score < low)).sum()),
        "fp_at_high": int((normal & (score >= high)).sum()), "fp_at_low": int((normal & (score >= low)).sum()),
    }  # fmt: skip
    return row | _alarms_per_find(found, alarms, too_few(n1, n0))


def _alarms_per_find(found: int, alarms: int, few: str) -> dict:
    nan, total = float("nan"), found + alarms
    row = {name: nan for name in COLUMNS[-7:-1]} | {"why": ""}
    if total == 0:
        return row | {"why": "no labelled study is in the band"}
    row["share_abnormal"] = found / total
    row["alarms_per_find"] = alarms / found if found else nan
    if few:
        return row | {"why": few}
    down, up = (float(end) for end in wilson(found, total))
    row |= {"share_abnormal_low": down, "share_abnormal_high": up}
    row["alarms_per_find_low"] = (1 - up) / up
    row["alarms_per_find_high"] = (1 - down) / down if down > 0 else nan
    why = "no abnormal study is in the band, so the false alarms per abnormality found have no upper bound"
    return row | {"why": "" if found else why}


def _share(k, n, empty: str) -> Estimate:
    return proportion(int(k), int(n)) if n else undefined(0, f"not estimable: {empty}")


def _check_order(low: float, high: float) -> None:
    if not low <= high:
        raise OverreadError(
            f"The lower threshold {low} is above the upper threshold {high}; expected low <= high.",
            code="thresholds-order",
        )
