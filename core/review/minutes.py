"""The minutes of a walkthrough as values: who was there, what was read, what changed, and what is to be done.

`core.review.minutes_page` writes them as one page and as a table; `core.workflows.minutes` collects them.
"""

import math
from dataclasses import dataclass, field

import pandas as pd

from core.data.labels import relabelled
from core.metrics.counts import counts_table
from core.metrics.intervals import FEWEST, Estimate, wilson
from core.metrics.rates import rates_at
from core.metrics.studies import labelled
from core.plural import count_text
from core.review.actions import Action
from core.review.threshold_meeting import Decision
from core.review.walkthroughs import Walkthrough

# rate -> (title, the class it is about, the verb for a correct call)
_RATES = {
    "sensitivity": ("Sensitivity", "abnormal", "found"),
    "specificity": ("Specificity", "normal", "cleared"),
}


@dataclass(frozen=True)
class ReaderBox:
    """A box of a reader on a film, in shares of its width and height."""

    reader: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class MinutedFilm:
    """A radiograph of a case. picture: a data URI; '' where it cannot be decoded. highest: it drove the score."""

    title: str
    picture: str
    score: float | None
    highest: bool
    boxes: tuple[ReaderBox, ...] = ()


@dataclass(frozen=True)
class Read:
    """One reader's reads before and after the readers talked about the case; '' where there is none."""

    reader: str
    before: str
    after: str
    note: str


@dataclass(frozen=True)
class MinutedCase:
    """One case. outcome: in words, such as 'Missed'. decision: the room's, else the readers' common read, else ''.

    seconds: how long the lead had it open; None where nobody led.
    """

    place: int
    study_id: str
    bone: str
    note: str
    label: str
    score: float | None
    outcome: str
    stratum: str
    probability: float
    films: tuple[MinutedFilm, ...]
    reads: tuple[Read, ...]
    decision: str
    action: str
    seconds: float | None


@dataclass(frozen=True)
class Change:
    """A figure as labelled and as adjudicated, in words."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Minutes:
    """All that the minutes have. facts: name and value. thresholds: what was decided about the threshold, in words.

    changes: by the basis of the figures, such as 'The 10 cases of this walkthrough'. remarks: what a reader of the
    figures must know. hidden: the number of cases that are still read blind and are left out.
    """

    walkthrough: Walkthrough
    facts: tuple[tuple[str, str], ...]
    participants: tuple[str, ...]
    cases: tuple[MinutedCase, ...]
    changes: dict[str, tuple[Change, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    hidden: int = 0


def share_words(title: str, hits: int, count: int, kind: str, verb: str) -> str:
    """A share in words: a percentage with its interval where there are enough studies, else the counts.

    'Sensitivity cannot be estimated from one abnormal study.' where 0.0% or 100.0% would mislead.
    """
    if count == 0:
        return f"{title} cannot be estimated: no {kind} study."
    if count == 1:
        return f"{title} cannot be estimated from one {kind} study."
    of = f"{hits} of {count_text(count, f'{kind} study')} {'was' if hits == 1 else 'were'} {verb}"
    if count < FEWEST:
        return f"{of}; fewer than {FEWEST} give no interval."
    low, high = wilson(hits, count)
    return f"{100 * hits / count:.1f}% ({100 * low:.1f}-{100 * high:.1f}), n = {count:,}."


def changes_of_list(table: pd.DataFrame, threshold: float) -> tuple[Change, ...]:
    """Sensitivity and specificity on the cases of a `summary_table`, as labelled and as adjudicated.

    A decision takes the place of the label; a case that was decided to be unreadable or out of scope is left out. A
    case without a decision keeps its label.
    """
    rows = table[table["score"].notna()]
    decided = rows["adjudicated"].where(rows["adjudicated"] != "", rows["label"])
    called = rows["score"].to_numpy(float) >= threshold
    return tuple(
        Change(title, *(_share_of(title, kind, verb, called, truth) for truth in (rows["label"], decided)))
        for title, kind, verb in _RATES.values()
    )


def changes_of_split(studies: pd.DataFrame, table: pd.DataFrame, threshold: float) -> tuple[Change, ...]:
    """The figures on all STUDIES of a split, before and after cases of a `summary_table` get their decided labels."""
    decided = table[table["adjudicated"] != ""]
    labels = decided["adjudicated"].map({"abnormal": 1.0, "normal": 0.0}).astype(float)
    after = relabelled(studies, pd.DataFrame({"study_id": decided["study_id"], "label": labels}))
    before, now = (_split_rates(frame, threshold) for frame in (studies, after))
    return tuple(
        Change(title, _estimate_words(title, before[name], kind, verb), _estimate_words(title, now[name], kind, verb))
        for name, (title, kind, verb) in _RATES.items()
    )


def weighted_words(figures: dict[str, Estimate]) -> tuple[str, ...]:
    """`adjudicated_figures` weighted by how the cases were drawn, one sentence each."""
    sentences = []
    for name, (title, kind, _) in _RATES.items():
        found = figures[name]
        if math.isnan(found.low):
            few = f"{count_text(found.n, 'case')} read as {kind}" if found.n else f"no case read as {kind}"
            sentences.append(f"{title} as adjudicated, weighted by how the cases were drawn, has no interval: {few}.")
        else:
            value = f"{100 * found.value:.1f}% ({100 * found.low:.1f}-{100 * found.high:.1f}), n = {found.n}"
            sentences.append(f"{title} as adjudicated, weighted by how the cases were drawn: {value}.")
    return tuple(sentences)


def decision_words(decision: Decision) -> tuple[str, ...]:
    """A decision on the threshold: what, who and why; its figures; who was there and what each proposed."""
    at, point = decision.figures, f", operating point {decision.point}" if decision.point else ""
    hits = {"sensitivity": ("tp", "fn"), "specificity": ("tn", "fp")}
    figures = [
        f"{title}: {share_words(title, at[hits[name][0]], sum(at[one] for one in hits[name]), kind, verb)}"
        for name, (title, kind, verb) in _RATES.items()
        if hits[name][0] in at
    ]
    proposals = ", ".join(f"{name} {value:.3f}" for name, value in decision.proposals.items())
    return (
        f"Decided on {decision.created[:10]} by {decision.author}: threshold {decision.threshold:.3f}{point}. "
        f"Reason: {decision.why}",
        f"On {decision.view['split']}: {' '.join([*figures, at.get('cost_in_words') or ''])}".strip(),
        f"Present: {', '.join(decision.present) or 'nobody'}." + (f" Proposed: {proposals}." if proposals else ""),
    )


def time_per_case(steps: pd.DataFrame, walkthrough: Walkthrough) -> dict[str, float]:
    """The seconds that the lead had each case open in the round together, by study. steps: `steps_table`."""
    together = steps[steps["round"] == "together"]
    moments = pd.to_datetime(together["created"], utc=True, format="ISO8601")
    spent: dict[str, float] = {}
    for place, seconds in zip(together["place"], moments.diff().shift(-1).dt.total_seconds()):
        if seconds == seconds and place <= len(walkthrough.cases):
            study = walkthrough.cases[place - 1].study_id
            spent[study] = spent.get(study, 0.0) + seconds
    return spent


def _share_of(title: str, kind: str, verb: str, called, truth: pd.Series) -> str:
    among = (truth == kind).to_numpy()
    right = called if kind == "abnormal" else ~called
    return share_words(title, int((among & right).sum()), int(among.sum()), kind, verb)


def _split_rates(studies: pd.DataFrame, threshold: float) -> dict[str, Estimate]:
    known = labelled(studies)
    return rates_at(counts_table(known["score"], known["label"]), threshold)


def _estimate_words(title: str, found: Estimate, kind: str, verb: str) -> str:
    hits = 0 if math.isnan(found.value) else round(found.value * found.n)
    return share_words(title, hits, found.n, kind, verb)
