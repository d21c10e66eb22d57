"""Make a walkthrough (choose studies, mix in correctly classified ones, store how they are read) and open it again."""

from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from core.among import among
from core.data.index import read_dataset, read_index
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.metrics.studies import study_table
from core.plural import share_clause
from core.review.cases import Cases, indexed_cases
from core.review.database import Store
from core.review.snapshots import differences, read_snapshot, snapshot_of
from core.review.walkthroughs import (
    ReadingPlan,
    Walkthrough,
    WalkthroughCase,
    WalkthroughOrigin,
    create_walkthrough,
    list_walkthroughs,
    read_walkthrough,
    sample_cases,
)
from core.scores.loading import scores_if_stored, split_scores
from core.scores.source import Source, source_of
from core.scores.view import ALL_BONES, View, changes_since, view_from_record

# A user's word -> the outcome in `outcome_table`, and its title on screen.
OUTCOMES = {
    "missed": ("FN", "Missed"),
    "false-alarm": ("FP", "False alarm"),
    "found": ("TP", "Found"),
    "cleared": ("TN", "Cleared"),
    "near": ("near", "Near threshold"),
}


@dataclass(frozen=True)
class Candidates:
    """The studies a walkthrough is drawn from.

    title: what the list holds. listed: in reading order. correct: correctly classified studies, to be mixed in.
    """

    title: str
    listed: tuple[str, ...]
    correct: tuple[str, ...]


@dataclass(frozen=True)
class Draw:
    """The choice of cases from the candidates: the first ones or at random, with so many correct studies mixed in.

    seed: by default one that depends on the length of the list, so that drawing again gives the same cases.
    """

    cases: int = 20
    controls: int = 0
    at_random: bool = False
    seed: int | None = None

    def resolved(self, candidates: Candidates) -> "Draw":
        """This draw with its seed filled in, and at most as many cases and controls as there are."""
        cases, controls = min(self.cases, len(candidates.listed)), min(self.controls, len(candidates.correct))
        seed = len(candidates.listed) + cases if self.seed is None else self.seed
        return replace(self, cases=cases, controls=controls, seed=seed)


def sort_for_reading(table: pd.DataFrame, outcome: str) -> list[str]:
    """Study ids of an `outcome_table` in reading order: the most confident errors first; 'near': the nearest first."""
    names, margin = table["study_id"].to_numpy(), table["margin"].to_numpy()
    order = {"FN": margin, "TN": margin, "near": np.abs(margin)}.get(outcome, -margin)
    return names[np.lexsort((names.astype(str), order))].tolist()


def correctly_classified(table: pd.DataFrame, bone: str = "") -> list[str]:
    """Study ids of an `outcome_table` that the source calls correctly, of one bone or of all."""
    return table.loc[table["outcome"].isin(("TP", "TN")) & (table["bone"].eq(bone) | (not bone)), "study_id"].tolist()


def candidates_of(view: View, outcome: str, progress: Callable[[int, int, str], None] | None = None) -> Candidates:
    """The studies of one outcome in a view. outcome: a key of OUTCOMES. OverreadError where there is none."""
    if outcome not in OUTCOMES:
        raise OverreadError(
            f"The outcome is {outcome[:40]!r}; expected one of {', '.join(OUTCOMES)}.", code="outcome-unknown"
        )
    code, title = OUTCOMES[outcome]
    frame, _ = split_scores(view.source, split=view.split, progress=progress)
    table = outcome_table(study_table(frame, view.aggregation), view.threshold)
    of_bone = table[table["bone"] == view.bone] if view.bone else table
    of_outcome = of_bone if code == "near" else of_bone[of_bone["outcome"] == code]
    if of_outcome.empty:
        raise OverreadError(
            f"No study is {title.lower()} ({_words(view)}); choose another outcome, bone, split or threshold.",
            code="no-candidates",
        )
    return Candidates(title, tuple(sort_for_reading(of_outcome, code)), tuple(correctly_classified(table, view.bone)))


def draw_cases(candidates: Candidates, draw: Draw) -> list[WalkthroughCase]:
    """The cases of a walkthrough. Correct studies are spread over the list, so that their place says nothing."""
    # Sorted, so that one seed draws the same studies from any order of the caller.
    listed, correct, draw = list(candidates.listed), sorted(candidates.correct), draw.resolved(candidates)
    if draw.at_random:
        return sample_cases(listed, correct, draw.cases, draw.controls, draw.seed)
    first = listed[: draw.cases]
    cases = [WalkthroughCase(study) for study in first]
    mixed = sample_cases([], [study for study in correct if study not in set(first)], 0, draw.controls, draw.seed)
    for place, case in enumerate(mixed):
        cases.insert((place + 1) * len(cases) // (len(mixed) + 1), case)
    return cases


def make_walkthrough(
    store: Store,
    view: View,
    name: str,
    author: str,
    candidates: Candidates,
    draw: Draw,
    plan: ReadingPlan = ReadingPlan(),
) -> Walkthrough:
    """Draw cases from the candidates and store them as a walkthrough with its view, its draw and how it is read.

    OverreadError for a name that is taken, an author that is missing, or a list without cases.
    """
    drawn = {"list": candidates.title, **asdict(draw.resolved(candidates))}
    record = {"view": view.record(), "draw": drawn, "reading": asdict(plan)}
    cases = draw_cases(candidates, draw)
    return _store(store, view, name, author, cases, f"{candidates.title}, {_words(view)}", record)


def read_cases(text: str) -> list[WalkthroughCase]:
    """The cases of a text with one study a line; a note may follow after a bar: `study | note`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [WalkthroughCase(*(part.strip() for part in line.split("|", 1))) for line in lines]


def make_walkthrough_of(
    store: Store,
    view: View,
    name: str,
    author: str,
    cases: Sequence[WalkthroughCase],
    known: Container[str],
    plan: ReadingPlan = ReadingPlan(),
) -> Walkthrough:
    """Store studies that were typed by hand as a walkthrough. known: the studies of the data set.

    OverreadError where a study is not in the data set; nothing is stored then.
    """
    unknown = [case.study_id for case in cases if case.study_id not in known]
    if unknown:
        raise OverreadError(
            f"{share_clause(len(unknown), len(cases), 'study', 'are')} not in {view.source.data} (first: "
            f"{unknown[0][:100]!r}). "
            "Correct the list. Nothing was made.",
            code="studies-unknown",
        )
    record = {"view": view.record(), "draw": None, "reading": asdict(plan)}
    return _store(store, view, name, author, list(cases), "by hand", record)


def broken_walkthroughs(store: Store, data: str) -> dict[str, str]:
    """The reason of each walkthrough of a data set that cannot be opened, by its id."""
    broken = {}
    for name in list_walkthroughs(store, data)["id"]:
        try:
            read_walkthrough(store, name)
            read_snapshot(store, name, 0.5)
        except OverreadError as error:
            broken[name] = str(error)
    return broken


def find_walkthrough(store: Store, data: str, name: str) -> Walkthrough:
    """The walkthrough of this name on a data set. OverreadError lists the known names."""
    known = list_walkthroughs(store, data).set_index("name")["id"]
    if name not in known.index:
        names = ", ".join(known.index[:10]) or "none"
        raise OverreadError(
            f"{data} has no walkthrough {name[:100]!r} (found: {names}). Choose one of these, or make it first.",
            code="walkthrough-missing",
        )
    return read_walkthrough(store, known[name])


def own_view(walkthrough: Walkthrough, find: Callable[[str, str], Source]) -> View | None:
    """The view that a walkthrough was made in, with its source as it is now; without a model where that is gone.

    None for a walkthrough of an early release, which stored no view. find: (data, model) -> Source, or OverreadError.
    """
    if not walkthrough.record:
        return None
    made = walkthrough.record["view"]
    try:
        return view_from_record(made, find)
    except OverreadError:
        return view_from_record(made, lambda data, model: source_of(None, read_dataset(data)))


def cases_now(view: View, studies: Sequence[str] | None = None) -> Cases:
    """The cases of a view's data set, of every split, with the scores that are stored now. studies: only these."""
    index, scores = read_index(view.source.data), scores_if_stored(view.source)
    if studies is not None:
        index = index[among(index["study_id"], studies)]
        scores = None if scores is None else scores[among(scores["study_id"], studies)]
    return indexed_cases(index, scores, view.threshold)


def changes_since_made(walkthrough: Walkthrough, view: View, then: Cases | None, now: Cases) -> list[str]:
    """Changes since a walkthrough was made, one sentence each; empty if there are none.

    view: `own_view`. then: its stored cases, None if it stored none. now: the cases as they are now.
    """
    made = walkthrough.record["view"]["source"]
    if made["name"] and not view.source.model:
        return [f"The scores of {made['name']} are not here any more."]
    sentences = changes_since(walkthrough.record["view"], view)
    return sentences + (differences(then, now) if then is not None else [])


def _store(store, view: View, name: str, author: str, cases, made_from: str, record: dict) -> Walkthrough:
    if not author.strip():
        raise OverreadError(
            "A walkthrough needs an author. Type your name first, or pass --author.", code="author-missing"
        )
    studies = [case.study_id for case in cases]
    origin = WalkthroughOrigin(made_from, record, snapshot_of(cases_now(view, studies), studies))
    return create_walkthrough(store, view.source.data, name, author, cases, origin)


def _words(view: View) -> str:
    return f"{view.bone or ALL_BONES}, {view.split}, {view.source.name}, threshold {view.threshold:g}"
