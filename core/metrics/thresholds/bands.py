"""Between two thresholds: what changes when the threshold moves from one to the other, and at what rate of exchange."""

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.intervals import too_few, wilson
from core.schema import bone_order

COLUMNS = (
    "n", "n_abnormal", "low", "high", "studies", "abnormal", "normal", "unknown",
    "fn_at_high", "fn_at_low", "fp_at_high", "fp_at_low", "share_abnormal", "share_abnormal_low", "share_abnormal_high",
    "exchange", "exchange_low", "exchange_high", "why",
)  # fmt: skip


def band_table(studies: pd.DataFrame, low: float, high: float, by: str | None = None) -> pd.DataFrame:
    """Studies with low <= score < high: at `high` its abnormal ones are missed (FN) and its normal ones are right (TN);
    going down to `low` finds the first and makes false alarms of the second.

    One row, `group` 'all'; with `by` (a column of STUDIES) then one row for each of its values. exchange: false alarms
    per abnormality found, (1 - p) / p of the band's abnormal share p, so its interval is Wilson's turned over; NaN with
    `why` where the band holds no abnormal study, or the group fewer than 10 of a class.
    """
    if not low <= high:
        raise OverreadError(f"The lower threshold {low} lies above the upper one {high}; expected low <= high.")
    if by is not None and by not in studies:
        raise OverreadError(f"Groups by {by!r}; expected a column of the studies, such as bone.")
    rows = [{"group": "all"} | _band(studies, low, high)]
    if by is not None:
        parts = dict(list(studies.groupby(by)))
        names = bone_order(parts) if by == "bone" else sorted(parts)
        rows += [{"group": name} | _band(parts[name], low, high) for name in names]
    return pd.DataFrame(rows, columns=["group", *COLUMNS])


def _band(studies: pd.DataFrame, low: float, high: float) -> dict:
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
    return row | _exchange(found, alarms, too_few(n1, n0))


def _exchange(found: int, alarms: int, few: str) -> dict:
    nan, total = float("nan"), found + alarms
    row = {name: nan for name in COLUMNS[-7:-1]} | {"why": ""}
    if total == 0:
        return row | {"why": "no labelled study lies in the band"}
    row["share_abnormal"] = found / total
    row["exchange"] = alarms / found if found else nan
    if few:
        return row | {"why": few}
    down, up = (float(end) for end in wilson(found, total))
    row |= {"share_abnormal_low": down, "share_abnormal_high": up}
    row["exchange_low"] = (1 - up) / up
    row["exchange_high"] = (1 - down) / down if down > 0 else nan
    return row | {"why": "" if found else "no abnormal study lies in the band, so the exchange rate has no upper bound"}
