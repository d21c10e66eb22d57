"""One case in front of a reader: its radiographs, the verdict keys beside them, and what is like it."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.data.index import Dataset
from core.inference.imported import Imported
from core.models.checkpoint import Checkpoint
from dashboard import likeness, study_view, verdict_panel
from dashboard.loaders import review
from dashboard.loaders.review import Cases
from dashboard.selection import Selection


@dataclass(frozen=True)
class Room:
    """Who reads what: the cases, the reader's name ('' while unknown), whether blind, the second model by name."""

    dataset: Dataset
    source: Checkpoint | Imported | None
    cases: Cases
    chosen: Selection
    reader: str
    blind: bool
    other: str = ""
    second: Checkpoint | Imported | None = None


def show(
    room: Room,
    study: str,
    listed: list[str],
    opened: Callable[[str], None],
    way: bool = True,
    stay: bool = False,
    **about,
) -> None:
    """The case. `way` draws the steps to its neighbours in `listed`; `stay` keeps it open after a verdict.

    about: fields of `verdict_panel.Case` beyond what the room knows (kind, walkthrough_id).
    """
    name_of = review.token if room.blind else str
    place = listed.index(study) if study in listed else None
    after = listed[place + 1] if place is not None and place + 1 < len(listed) else None
    if way:
        study_view.show_way(study, listed, name_of)
    row, files = room.cases.table.loc[study], room.cases.views_of(study)
    if not room.blind:
        study_view.show_facts(row, room.chosen, second_score(room, study))
    left, right = st.columns([4, 1], gap="medium")
    with left:
        views = study_view.show_films(room.dataset, files, room.chosen, study, room.blind)
    case = verdict_panel.Case(
        room.dataset.name,
        study,
        row["outcome"],
        _number(row["label"]),
        _number(row["score"]),
        room.chosen.threshold,
        room.source.reference if room.source else None,
        views,
        room.blind,
        **about,
    )
    with right:
        verdict_panel.draw(case, room.reader, None if stay or after is None else name_of(after), opened)
    if not room.blind:
        study_view.show_saliency_links(views)
        likeness.show_patient(room.dataset, room.cases, study, room.chosen)
        likeness.show_alike(room.dataset, room.source, study)
    study_view.prefetch(room.dataset, room.cases, after)


def second_score(room: Room, study: str) -> tuple[str, float] | None:
    """The second model's name and its score of the study, where it has one."""
    if room.second is None:
        return None
    score = review.scores_of(room.dataset, room.second, room.chosen.split).get(study)
    return None if score is None else (room.other, float(score))


def _number(value) -> float | None:
    return None if value != value else float(value)
