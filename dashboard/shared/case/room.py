"""One case in front of a reader: its radiographs, the verdict keys beside them, and similar studies."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import widgets
from dashboard.shared.case import films, loader, saliency, similar, verdicts
from dashboard.shared.case import study as study_view
from dashboard.shared.case.loader import Cases


@dataclass(frozen=True)
class Room:
    """Who reads what: the cases of a view, the reader's name ('' while unknown), whether blind, the second model."""

    view: View
    cases: Cases
    reader: str
    blind: bool
    second: Source | None = None


def show(
    room: Room,
    study: str,
    listed: list[str],
    opened: Callable[[str], None],
    stay: bool = False,
    **about,
) -> None:
    """The case. `stay` keeps it open after a verdict; else the one after it in `listed` opens.

    about: fields of `verdict_panel.Case` beyond what the room knows (kind, walkthrough_id).
    """
    name_of = loader.token if room.blind else str
    place = listed.index(study) if study in listed else None
    after = listed[place + 1] if place is not None and place + 1 < len(listed) else None
    row, files = room.cases.table.loc[study], room.cases.views_of(study)
    if not room.blind:
        study_view.show_facts(row, room.view, second_score(room, study))
    left, right = st.columns([4, 1], gap="medium")
    with left:
        views = _show_films(room, study, files)
    case = verdicts.Case(
        room.view.source.data,
        study,
        row["outcome"],
        _number(row["label"]),
        _number(row["score"]),
        room.view.threshold,
        room.view.source.reference or None,
        views,
        room.blind,
        **about,
    )
    with right:
        goes_on = None if stay or after is None else name_of(after)
        keys = verdicts.draw(case, room.reader, goes_on, opened)
        if not room.blind and room.view.source.has_network:
            saliency.draw_switch(study)
    if not room.blind:
        study_view.show_saliency_links(views)
        similar.show_patient(room.cases, study, room.view)
        similar.show_alike(room.view.source, study)
    if after:
        _send_ahead(room, after, study, ["ArrowRight", *keys])


def _show_films(room: Room, study: str, files: pd.DataFrame) -> dict[str, str]:
    try:
        shown, views = study_view.films_of(room.view.dataset, files, room.view, room.blind)
    except OverreadError as error:
        # The films of a phantom set whose truth cannot be read are still films.
        widgets.note(str(error))
        shown, views = study_view.films_of(replace(room.view.dataset, phantom=False), files, room.view, room.blind)
    said = ""
    if not room.blind and room.view.source.has_network and saliency.asked(study):
        shown, said = saliency.lay_over(shown, room.view.source, files)
    films.draw(shown, loader.token(study))
    if said:
        widgets.note(said)
    return views


def _send_ahead(room: Room, after: str, study: str, keys: list[str]) -> None:
    try:
        shown, _ = study_view.films_of(room.view.dataset, room.cases.views_of(after), room.view, room.blind)
    except OverreadError:
        return
    if shown:
        films.draw_ahead(shown, loader.token(after), loader.token(study), keys)


def second_score(room: Room, study: str) -> tuple[str, float] | None:
    """The second model's name and its score of the study, where it has one."""
    if room.second is None:
        return None
    score = loader.scores_of(replace(room.view, source=room.second)).get(study)
    return None if score is None else (room.second.name, float(score))


def _number(value) -> float | None:
    return None if value != value else float(value)
