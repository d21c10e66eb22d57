"""Collect the minutes of a walkthrough, for the page and for the command."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from PIL import Image
from scipy.special import expit

from core.among import among
from core.data.pixels import UnreadableImage, read_grey
from core.errors import OverreadError
from core.metrics.studies import study_table
from core.paths import write_atomically
from core.plural import count_text
from core.review import minutes as values
from core.review.actions import list_actions
from core.review.boxes import read_boxes
from core.review.cases import Cases
from core.review.database import Store
from core.review.in_force import with_in_force
from core.review.minutes import MinutedCase, MinutedFilm, Minutes, Read, ReaderBox
from core.review.minutes_page import minutes_csv, minutes_html
from core.review.reading_state import participants_table, read_state, steps_table
from core.review.rounds import reads_by_round
from core.review.snapshots import read_snapshot
from core.review.store import entries_table
from core.review.summary import adjudicated_figures, summary_table
from core.review.threshold_meeting import list_decisions
from core.review.vocabulary import reviewer_key
from core.review.walkthroughs import Walkthrough
from core.scores.halves import in_split
from core.scores.loading import scores_if_stored
from core.scores.operating_points import find_point
from core.scores.source import Source
from core.scores.view import ALL_BONES, View
from core.workflows.walkthroughs import OUTCOMES, cases_now, changes_since_made, own_view

SIDE = 640  # px of the longer side of a film in the minutes
_OUTCOME_WORDS = dict(OUTCOMES.values())


def collect_minutes(
    store: Store,
    walkthrough: Walkthrough,
    find: Callable[[str, str], Source],
    progress: Callable[[int, int, str], None] | None = None,
) -> Minutes:
    """The minutes, with the cases as they were when the walkthrough was made. Cases still read blind are left out.

    find: (data, model) -> Source, or OverreadError. OverreadError for a walkthrough of an early release, which stored
    no view.
    """
    view = own_view(walkthrough, find)
    if view is None:
        raise OverreadError(
            f"{walkthrough.name} was made by an early release, without scores, so it has no minutes. Make it again.",
            code="walkthrough-without-view",
        )
    now = cases_now(view, [case.study_id for case in walkthrough.cases])
    then = read_snapshot(store, walkthrough.id, view.threshold)
    cases = now if then is None else then
    state, entries = read_state(store, walkthrough), entries_table(store, walkthrough_id=walkthrough.id)
    hidden = {case.study_id for case in walkthrough.cases if state.hides(walkthrough, case.study_id)}
    current = with_in_force(entries)
    studies = cases.table[["study_id", "bone", "label", "score", "outcome"]]
    table = summary_table(walkthrough, current[current["in_force"]], studies)
    table = table[~among(table["study_id"], hidden)]
    steps = steps_table(store, walkthrough)
    root = view.dataset.root if view.dataset else ""
    spent = values.time_per_case(steps, walkthrough)
    reads = dict(list(reads_by_round(entries).groupby("study_id")))
    boxes = _boxes(current[current["in_force"]])
    minuted = []
    for done, row in enumerate(table.itertuples()):
        if progress:
            progress(done, len(table), "Reading films")
        films = _films(root, cases, row.study_id, boxes)
        own = reads.get(row.study_id, pd.DataFrame(columns=["reviewer", "before", "after", "note"]))
        minuted.append(_case(row, films, own, spent.get(row.study_id)))
    differs = changes_since_made(walkthrough, view, then, now)
    return Minutes(
        walkthrough,
        _facts(walkthrough, view, steps, entries),
        _participants(store, walkthrough, entries),
        tuple(minuted),
        _changes(view, table, bool(differs)),
        _remarks(table, view, differs),
        _thresholds(store, walkthrough, view),
        tuple(list_actions(store, walkthrough.id)),
        len(hidden),
    )


def write_minutes(minutes: Minutes, out: Path) -> tuple[Path, Path]:
    """Write the page, and the table beside it under the same name with `.csv`. Returns both files."""
    table = out.with_suffix(".csv")
    write_atomically(out, lambda path: path.write_text(minutes_html(minutes), "utf-8"))
    write_atomically(table, lambda path: path.write_text(minutes_csv(minutes), "utf-8", newline=""))
    return out, table


def _case(row, films: tuple[MinutedFilm, ...], reads: pd.DataFrame, seconds: float | None) -> MinutedCase:
    return MinutedCase(
        row.place,
        row.study_id,
        row.bone,
        row.case_note,
        row.label,
        None if row.score != row.score else float(row.score),
        _OUTCOME_WORDS.get(row.outcome, ""),
        row.stratum,
        row.probability,
        films,
        tuple(Read(read.reviewer, read.before, read.after, read.note) for read in reads.itertuples()),
        row.adjudicated,
        row.action,
        seconds,
    )


def _films(root: str, cases: Cases, study: str, boxes: dict[str, list[ReaderBox]]) -> tuple[MinutedFilm, ...]:
    files = cases.views_of(study)
    scored = files["logit"].notna()
    highest = files["logit"].idxmax() if len(files) > 1 and scored.any() else None
    films = []
    for place, (index, row) in enumerate(files.iterrows(), 1):
        films.append(
            MinutedFilm(
                f"View {place}" + (f", {row['view']}" if isinstance(row["view"], str) and row["view"] else ""),
                _picture(Path(root) / row["path"]),
                float(expit(row["logit"])) if scored[index] else None,
                index == highest,
                tuple(boxes.get(row["image_id"], ())),
            )
        )
    return tuple(films)


def _picture(file: Path) -> str:
    """The radiograph as a small JPEG data URI; '' where it cannot be decoded."""
    try:
        image = Image.fromarray(read_grey(file))
    except (UnreadableImage, OSError):
        return ""
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _boxes(entries: pd.DataFrame) -> dict[str, list[ReaderBox]]:
    """The boxes of the entries in force by radiograph; the last entry of a reader on a study counts."""
    last = entries.sort_values(["created", "sequence"]).drop_duplicates(["study_id", "reviewer"], keep="last")
    found: dict[str, list[ReaderBox]] = {}
    for row in last.itertuples():
        for box in read_boxes(row.boxes):
            found.setdefault(box.image_id, []).append(ReaderBox(row.reviewer, box.x0, box.y0, box.x1, box.y1))
    return found


def _facts(
    walkthrough: Walkthrough, view: View, steps: pd.DataFrame, entries: pd.DataFrame
) -> tuple[tuple[str, str], ...]:
    plan, made = walkthrough.plan, walkthrough.record["view"]["source"]
    times = sorted([*steps["created"], *entries["created"]])
    when = _span(times[0], times[-1]) if times else "not read yet"
    mode = "blind until revealed" if plan.blind else "open"
    rounds = "each alone and blind, then together" if plan.alone_first else "together"
    scores = f"{made['name']}, {made['digest'][:8]}" if made["name"] else "none"
    return (
        ("Read", when),
        ("Scores", scores),
        ("Data set", f"{walkthrough.dataset}, index {made['index_hash'][:8]}"),
        ("Studies", f"{count_text(len(walkthrough.cases), 'case')}: {walkthrough.made_from or 'a list'}"),
        ("Reading", f"{mode}; {rounds}"),
        ("Made by", f"{walkthrough.author} on {walkthrough.created[:10]}"),
        ("Leads", ", ".join(dict.fromkeys(name for name in steps["lead"] if name)) or "nobody"),
    )


def _span(first: str, last: str) -> str:
    """Two stored times in words: `2026-11-27, 15:02 to 15:40 UTC`."""
    day = "" if first[:10] == last[:10] else f"{last[:10]}, "
    return f"{first[:10]}, {first[11:16]} to {day}{last[11:16]} UTC"


def _participants(store: Store, walkthrough: Walkthrough, entries: pd.DataFrame) -> tuple[str, ...]:
    names = [*entries["reviewer"], *participants_table(store, walkthrough.id, everyone=True)["name"]]
    return tuple(sorted({reviewer_key(name): name for name in reversed(names)}.values()))


def _changes(view: View, table: pd.DataFrame, differs: bool) -> dict[str, tuple[values.Change, ...]]:
    if table.empty:
        return {}
    found = {f"The {count_text(len(table), 'case')} of this walkthrough": values.changes_of_list(table, view.threshold)}
    scores = None if differs or not view.source.model else scores_if_stored(view.source)
    if scores is not None:
        rows = scores[in_split(scores, view.split)]
        if view.bone:
            rows = rows[rows["bone"] == view.bone]
        studies = study_table(rows, view.aggregation)
        basis = f"All {view.split} studies of {view.source.data}, {view.bone or ALL_BONES}"
        found[basis] = values.changes_of_split(studies, table, view.threshold)
    return found


def _remarks(table: pd.DataFrame, view: View, differs: list[str]) -> tuple[str, ...]:
    remarks = list(differs)
    if differs:
        remarks.append("The figures are those of the scores and labels as they were when the walkthrough was made.")
    decided = int((table["adjudicated"] != "").sum())
    rest = "" if decided == len(table) else "; the others keep their label"
    remarks.append(f"{decided} of {count_text(len(table), 'case')} decided{rest}.")
    if (table["stratum"] == "chosen").any():
        remarks.append(
            "Cases were chosen by their score and only their labels were reviewed, so these figures are too good."
        )
    else:
        remarks.extend(values.weighted_words(adjudicated_figures(table, view.threshold)))
    return tuple(remarks)


def _thresholds(store: Store, walkthrough: Walkthrough, view: View) -> tuple[str, ...]:
    """The threshold of the walkthrough, then what was decided since about that of the same scores."""
    made = walkthrough.record["view"]["source"]
    decided = [
        one
        for one in list_decisions(store, walkthrough.dataset)
        if one.view["source"]["digest"] == made["digest"] and one.created >= walkthrough.created
    ]
    return (_read_at(view), *(sentence for one in decided for sentence in values.decision_words(one)))


def _read_at(view: View) -> str:
    if not view.point:
        return f"Read at threshold {view.threshold:g}, which was set by hand."
    try:
        point = find_point(view.source, view.point)
    except OverreadError:
        return f"Read at threshold {view.threshold:g}, of the operating point {view.point}."
    return (
        f"Read at threshold {view.threshold:g}, of the operating point {point.id} (rule {point.rule}), locked by "
        f"{point.author or 'an unnamed reader'} on {point.date[:10]} on {point.split}."
    )
