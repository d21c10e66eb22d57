"""What a service did lately, from its log of decisions: volumes, alerts, scores and radiographs against a reference.

The reference of alerts and scores is the split that the operating point was chosen on. That of the radiographs is the
first REFERENCE studies of the log itself, since a split's radiographs went through no service. No torch.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from core.metrics.intervals import wilson
from core.plural import count_text

REFERENCE = 200
# A CUSUM of log-likelihood ratios for the odds of an alert doubled or halved (Steiner et al. 2000). With this limit an
# unchanged service alarms about once in 3,100 studies at 30% alerts and once in 5,600 at 10%; doubled odds are found
# after 79 and 166 studies on average (400,000 simulated decisions each).
ODDS_RATIO, LIMIT = 2.0, 5.5
# Of the Kolmogorov-Smirnov test, on the last RECENT studies. Strict, since it is looked at every day.
SIGNIFICANT, RECENT, FEWEST = 0.001, 500, 50
MEASURES = {
    "brightness": "mean grey levels",
    "contrast": "contrasts",
    "n_views": "radiographs a study",
}


@dataclass(frozen=True)
class Alarm:
    """Something that changed. code: its kind; text: one sentence; numbers: lines of the log that show it."""

    code: str
    text: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """The split that an operating point was chosen on. alert_rate: NaN if unknown; scores: of its studies, or None."""

    alert_rate: float
    scores: np.ndarray | None = None


def traffic(log: pd.DataFrame, model: str, shadow: bool = False) -> pd.DataFrame:
    """The decisions of one model (its digest), in order, with n_views and alert (NaN without a decision)."""
    rows = log[(log["digest"] == model) & (log["shadow"] == shadow)].reset_index(drop=True)
    alert = np.where(rows["decision"].isna(), np.nan, (rows["decision"] != "normal").astype(float))
    return rows.assign(n_views=[len(views) for views in rows["views"]], alert=alert)


def daily_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a day (UTC): day, studies, unusable (studies without a score), decided, alerts, rate and its interval."""
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
    scored = rows[rows["score"].notna()]
    recent = scored.tail(RECENT)
    if reference.scores is not None and min(len(recent), len(reference.scores)) >= FEWEST:
        found += _shift("scores", recent["score"], reference.scores, recent, "the split the point was chosen on")
    if len(scored) >= REFERENCE + FEWEST:
        later = scored.iloc[REFERENCE:].tail(RECENT)
        for name, words in MEASURES.items():
            first = scored[name].iloc[:REFERENCE].dropna()
            found += _shift(words, later[name].dropna(), first, later, f"the first {REFERENCE} studies")
    return found + _unusable(rows)


def _alert_alarms(decided: pd.DataFrame, rate: float) -> list[Alarm]:
    paths = cusum(decided["alert"].to_numpy(), rate)
    found = []
    for name, word in (("upper", "more"), ("lower", "fewer")):
        above = np.flatnonzero(paths[name] > LIMIT)
        if not len(above):
            continue
        end = int(above[-1])
        # The rise began after the path was last at zero.
        zeros = np.flatnonzero(paths[name].iloc[:end] == 0)
        start = int(zeros[-1]) + 1 if len(zeros) else 0
        part = decided.iloc[start : end + 1]
        studies, until = count_text(len(part), "study"), f"{part['time'].iloc[-1]:%Y-%m-%d %H:%M}"
        share = f"{part['alert'].mean():.1%} of {studies} up to {until}"
        text = f"There are {word} alerts than expected: {share}, expected {rate:.1%}."
        found.append(Alarm(f"alerts-{word}", text, _numbers(part[part["alert"] == (word == "more")])))
    return found


def _shift(words: str, recent, before, rows: pd.DataFrame, where: str) -> list[Alarm]:
    recent, before = np.asarray(recent, float), np.asarray(before, float)
    if min(len(recent), len(before)) < FEWEST:
        return []
    test = ks_2samp(recent, before)
    if not test.pvalue < SIGNIFICANT:
        return []
    studies = count_text(len(recent), "study")
    text = (
        f"The {words} differ from {where}: median {np.median(recent):.3g} in the last {studies}, "
        f"{np.median(before):.3g} there (largest difference of the distributions {test.statistic:.2f}, "
        f"p {'< .001' if test.pvalue >= 1e-4 else '< .0001'})."
    )
    return [Alarm("shift", text, _numbers(rows.tail(20)))]


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
