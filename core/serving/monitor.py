"""The recent work of a service, from its log of decisions: volumes, alerts, scores and radiographs against a reference.

The reference is the split that the operating point was chosen on. Where its radiographs are not stored here, measures
are compared with the first REFERENCE studies of the log itself. No torch.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from core.errors import OverreadError
from core.metrics.intervals import wilson
from core.plural import count_text

REFERENCE = 200
_SPLIT, _FIRST = "the split the point was chosen on", f"the first {REFERENCE} studies"
# A CUSUM of log-likelihood ratios for the odds of an alert doubled or halved (Steiner et al. 2000). With this limit an
# unchanged service alarms about once in 3,100 studies at 30% alerts and once in 5,600 at 10%; doubled odds are found
# after 79 and 166 studies on average (400,000 simulated decisions each).
ODDS_RATIO, LIMIT = 2.0, 5.5
# The p of the Kolmogorov-Smirnov test on the last RECENT studies. It is strict, since the test runs every day.
SIGNIFICANT, RECENT, FEWEST = 0.001, 500, 50
SCORE = "score"
MEASURES = {
    SCORE: "scores",
    "brightness": "mean grey levels",
    "contrast": "contrasts",
    "side": "longer sides of the files in pixels",
    "n_views": "numbers of radiographs a study",
}
_SHOWN = 20  # studies behind a shift, those farthest from the reference's median


@dataclass(frozen=True)
class Alarm:
    """Something that changed. code: its kind; text: one sentence; numbers: lines of the log that show it."""

    code: str
    text: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """The split that an operating point was chosen on. alert_rate: NaN if unknown.

    studies: one row per study with the columns MEASURES, NaN where one is not stored; None where none is.
    """

    alert_rate: float
    studies: pd.DataFrame | None = None


@dataclass(frozen=True)
class Shift:
    """One measure of the recent studies against the reference, by the Kolmogorov-Smirnov test.

    where: what the reference is. difference: the largest difference of the two distributions. rows: the recent studies.
    """

    measure: str
    where: str
    before: np.ndarray
    recent: np.ndarray
    difference: float
    p: float
    rows: pd.DataFrame

    @property
    def alarms(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p < SIGNIFICANT


def traffic(log: pd.DataFrame, model: str, shadow: bool = False) -> pd.DataFrame:
    """The decisions of one model (its digest), in order, with n_views and alert (NaN without a decision)."""
    rows = log[(log["digest"] == model) & (log["shadow"] == shadow)].reset_index(drop=True)
    alert = np.where(rows["decision"].isna(), np.nan, (rows["decision"] != "normal").astype(float))
    return rows.assign(n_views=[len(views) for views in rows["views"]], alert=alert)


def model_in_log(log: pd.DataFrame, wanted: str, shadow: bool) -> str:
    """The digest of a model by its name or first digits, '' for the newest. OverreadError lists those of the log."""
    rows = log[log["shadow"] == shadow].drop_duplicates("digest", keep="last")
    known = dict(zip(rows["digest"], rows["model"]))
    found = [digest for digest, name in known.items() if not wanted or name == wanted or digest.startswith(wanted)]
    if not found:
        listed = ", ".join(f"{name} ({digest[:8]})" for digest, name in known.items()) or "none"
        raise OverreadError(
            f"The log has no {'shadow' if shadow else 'model'} {wanted[:80]!r}; it has {listed}.",
            code="model-not-logged",
        )
    return found[-1]


def daily_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per day (UTC): day, studies, unusable (studies without score), decided, alerts, rate and its interval."""
    grouped = rows.assign(day=rows["time"].dt.floor("D"), none=rows["score"].isna()).groupby("day", as_index=False)
    table = grouped.agg(
        studies=("number", "size"), unusable=("none", "sum"), decided=("alert", "count"), alerts=("alert", "sum")
    )
    low, high = wilson(table["alerts"], table["decided"])
    rate = table["alerts"] / table["decided"].where(table["decided"] > 0)
    return table.assign(rate=rate, low=low, high=high)


def cusum(alerts: np.ndarray, rate: float) -> pd.DataFrame:
    """Upper and lower CUSUM after each decision, for odds of an alert that doubled or halved. rate: the expected one.

    alerts: 0 or 1, in order. Both are at least 0; above LIMIT they alarm, and start again at 0.
    """
    rate = min(max(rate, 0.005), 0.995)
    columns = {}
    for name, ratio in (("upper", ODDS_RATIO), ("lower", 1 / ODDS_RATIO)):
        scale = np.log(1 - rate + ratio * rate)
        total, path = 0.0, np.empty(len(alerts))
        for place, alert in enumerate(alerts):
            before = 0.0 if total > LIMIT else total
            total = max(0.0, before + (np.log(ratio) if alert else 0.0) - scale)
            path[place] = total
        columns[name] = path
    return pd.DataFrame(columns)


def alarms(rows: pd.DataFrame, reference: Reference) -> list[Alarm]:
    """Every alarm of one model's traffic, the newest kind of evidence last; empty where nothing changed."""
    found = []
    decided = rows[rows["alert"].notna()]
    if len(decided) and not np.isnan(reference.alert_rate):
        found += _alert_alarms(decided, reference.alert_rate)
    return found + [_shift_alarm(one) for one in shifts(rows, reference) if one.alarms] + _unusable(rows)


def shifts(rows: pd.DataFrame, reference: Reference) -> list[Shift]:
    """The measures of the last RECENT studies against the reference, each where both have at least FEWEST studies."""
    scored, found = rows[rows["score"].notna()], []
    for name in MEASURES:
        known = reference.studies[name].dropna() if reference.studies is not None else pd.Series(dtype=float)
        recent, where = scored.dropna(subset=[name]), _SPLIT
        if name != SCORE and len(known) < FEWEST:
            known, recent, where = recent[name].iloc[:REFERENCE], recent.iloc[REFERENCE:], _FIRST
        recent = recent.tail(RECENT)
        if min(len(recent), len(known)) < FEWEST or (where == _FIRST and len(known) < REFERENCE):
            continue
        before, now = known.to_numpy(float), recent[name].to_numpy(float)
        test = ks_2samp(now, before)
        found.append(Shift(name, where, before, now, float(test.statistic), float(test.pvalue), recent))
    return found


def _alert_alarms(decided: pd.DataFrame, rate: float) -> list[Alarm]:
    paths = cusum(decided["alert"].to_numpy(), rate)
    found = []
    for name, word in (("upper", "more"), ("lower", "fewer")):
        above = np.flatnonzero(paths[name] > LIMIT)
        if not len(above):
            continue
        end = int(above[-1])
        # The rise began after the last zero of the path.
        zeros = np.flatnonzero(paths[name].iloc[:end] == 0)
        start = int(zeros[-1]) + 1 if len(zeros) else 0
        part = decided.iloc[start : end + 1]
        studies, until = count_text(len(part), "study"), f"{part['time'].iloc[-1]:%Y-%m-%d %H:%M}"
        share = f"{part['alert'].mean():.1%} of {studies} up to {until}"
        text = f"There are {word} alerts than expected: {share}, expected {rate:.1%}."
        found.append(Alarm(f"alerts-{word}", text, _numbers(part[part["alert"] == (word == "more")])))
    return found


def _shift_alarm(shift: Shift) -> Alarm:
    studies = count_text(len(shift.recent), "study")
    middle = float(np.median(shift.before))
    text = (
        f"The {MEASURES[shift.measure]} differ from {shift.where}: median {np.median(shift.recent):.3g} in the last "
        f"{studies}, {middle:.3g} there (largest difference of the distributions {shift.difference:.2f}, "
        f"p {'< .001' if shift.p >= 1e-4 else '< .0001'})."
    )
    farthest = np.argsort(-np.abs(shift.recent - middle), kind="stable")[:_SHOWN]
    return Alarm("shift", text, _numbers(shift.rows.iloc[np.sort(farthest)]))


def _unusable(rows: pd.DataFrame) -> list[Alarm]:
    """An alarm where more than 5% of the last studies had a radiograph that could not be used."""
    recent = rows.tail(RECENT)
    bad = recent[[bool(len(codes)) for codes in recent["unusable"]]]
    if len(recent) < FEWEST or len(bad) <= 0.05 * len(recent):
        return []
    codes = pd.Series([code for one in bad["unusable"] for code in one]).value_counts()
    text = (
        f"{count_text(len(bad), 'study')} of the last {len(recent)} had radiographs that could not be used, most often "
        f"{codes.index[0]}."
    )
    return [Alarm("unusable", text, _numbers(bad))]


def shadow_table(log: pd.DataFrame, model: str) -> pd.DataFrame:
    """Studies that a shadow scored too, joined by input: shadow (its digest), decision and score of both."""
    live = log[(log["digest"] == model) & ~log["shadow"]].drop_duplicates("input", keep="last")
    other = log[log["shadow"]].drop_duplicates(["digest", "input"], keep="last")
    names = ["input", "score", "decision", "number"]
    return live[names].merge(
        other[[*names[:3], "digest", "model"]], on="input", suffixes=("", "_shadow"), validate="one_to_many"
    )


def _numbers(rows: pd.DataFrame) -> tuple[int, ...]:
    return tuple(int(number) for number in rows["number"].tail(50))
