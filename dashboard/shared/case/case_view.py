"""One case in front of a reader: its radiographs, the verdict keys beside them, and similar studies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.plural import count_text
from core.review.cases import Cases, neutral_name
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import theme, widgets
from dashboard.shared.case import films, loader, presses, saliency_overlay, similar_studies, verdict_panel
from dashboard.shared.case.finding_boxes import boxes_to_show
from dashboard.shared.case.study_films import films_of_study
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name


@dataclass(frozen=True)
class ReadingSession:
    """A reader and the cases to read. reader: '' while the name is unknown. second: the second model, if any.

    reference: whose scores the cases have, as stored with a verdict; by default those of the view. present_network:
    whether they are of the network as it is now, so that its maps belong to them.
    """

    view: View
    cases: Cases
    reader: str
    blind: bool
    second: Source | None = None
    reference: str = ""
    present_network: bool = True

    @property
    def has_maps(self) -> bool:
        """Whether maps may be shown: they give the score away, and need the network that gave it."""
        return not self.blind and self.present_network and self.view.source.has_network


def draw_case(
    session: ReadingSession,
    study: str,
    listed: list[str],
    open_case: Callable[[str], None],
    stay: bool = False,
    steps: bool = True,
    hides: Callable[[str], bool] | None = None,
    **entry_fields,
) -> None:
    """Draw one case. After a verdict `open_case` gets the name of the next one in `listed`, unless `stay`.

    steps: whether the arrow keys open the neighbours. hides: whether another study is read blind; by default as this
    one. entry_fields: more fields of `VerdictCase` (kind, walkthrough_id, round), and `address`, the values that the
    address must have, each with its default.
    """
    view, blind, address_values = session.view, session.blind, entry_fields.pop("address", {})
    name_of = neutral_name if blind else str
    place = listed.index(study) if study in listed else None
    after = listed[place + 1] if place is not None and place + 1 < len(listed) else None
    row, files = session.cases.table.loc[study], session.cases.views_of(study)
    # Always drawn, even if empty: if the film viewer changed its place, the browser would replace it.
    with st.container():
        if not blind:
            _draw_facts(row, view, _second_score(session, study))
    left, right = st.columns([4, 1], gap="medium")
    next_name = None if stay or after is None else name_of(after)
    shown, image_ids = _films_of(session, study, files)
    case = verdict_panel.VerdictCase(
        view.source.data,
        study,
        row["outcome"],
        _number(row["label"]),
        _number(row["score"]),
        view.threshold,
        session.reference or view.source.reference or None,
        image_ids,
        blind,
        **entry_fields,
    )
    acts = verdict_panel.verdict_presses(case, session.reader, next_name, open_case)
    if steps and place is not None:
        acts |= _step_presses([name_of(one) for one in listed], place, open_case)
    more = {
        "place": f"{place + 1:,} of {len(listed):,}" if place is not None else "",
        "press": presses.offer(_token(case, session.reader), acts),
        "address": address_values,
    }
    # The keys are those of the presenter view's style sheet.
    with left, st.container(key="case_films"):
        draw_note = _draw_films(session, study, files, shown, **more, **_boxes(session, study, image_ids))
    with right, st.container(key="case_panel"):
        keys = verdict_panel.draw_verdict_panel(case, session.reader, next_name, open_case, stay)
        if session.has_maps:
            saliency_overlay.draw_saliency_button(study, view.source)
            draw_note()
    if session.has_maps:
        _draw_saliency_links(image_ids)
    if not blind:
        similar_studies.draw_patient_studies(session.cases, study, view)
    if session.has_maps:
        similar_studies.draw_similar_studies(view.source, study)
    if after:
        # The next films are in the browser before their case is opened, so nothing of a hidden one may be with them.
        ahead = replace(session, blind=hides(after)) if hides else session
        _load_ahead(ahead, after, study, [*["ArrowRight"] * steps, *keys])


def _films_of(session: ReadingSession, study: str, files: pd.DataFrame) -> tuple[list[dict], dict[str, str]]:
    """The films of the open study, and the image_id of each by its title."""
    dataset = session.view.dataset
    try:
        return films_of_study(dataset, files, session.view, session.blind)
    except OverreadError as error:
        # The films of a phantom set can be read even where its truth cannot.
        widgets.note(str(error))
        return films_of_study(replace(dataset, phantom=False), files, session.view, session.blind)


def _draw_films(
    session: ReadingSession, study: str, files: pd.DataFrame, shown: list[dict], **more
) -> Callable[[], None]:
    """Draw the films. Returns a function that draws the note on their maps."""
    source = session.view.source
    asked = session.has_maps and saliency_overlay.is_asked(study)
    task, reason = None, ""
    if asked:
        shown, task, reason = saliency_overlay.overlay_maps(shown, source, files)
    films.draw_films(shown, neutral_name(study), **more)
    if not asked:
        return lambda: None
    # Beside the films, since below them it may be below the first screen.
    return lambda: saliency_overlay.draw_saliency_note(source, task, reason)


def _token(case: verdict_panel.VerdictCase, reader: str) -> str:
    """The name of what is on screen; of neither label nor score, which a blind reader must not find out."""
    shown = (case.dataset, case.study_id, case.kind, case.round, case.walkthrough_id, case.blind)
    return presses.token_of(*shown, case.threshold, case.checkpoint, reader)


def _step_presses(names: list[str], place: int, open_case: Callable[[str], None]) -> dict[str, presses.Act]:
    """The arrow keys to the neighbours of the case on screen. A press that comes twice opens the same one."""
    near = {"ArrowLeft": place - 1, "ArrowRight": place + 1}
    return {key: (lambda press, name=names[at]: open_case(name)) for key, at in near.items() if 0 <= at < len(names)}


def _load_ahead(session: ReadingSession, after: str, study: str, keys: list[str]) -> None:
    view = session.view
    try:
        shown, image_ids = films_of_study(view.dataset, session.cases.views_of(after), view, session.blind)
    except OverreadError:
        return
    if shown:
        boxes = _boxes(session, after, image_ids)
        films.load_ahead(shown, neutral_name(after), neutral_name(study), keys, **boxes)


def _boxes(session: ReadingSession, study: str, image_ids: dict[str, str]) -> dict:
    view = session.view
    return boxes_to_show(view.source.data, study, list(image_ids.values()), session.reader, session.blind)


def _draw_facts(study: pd.Series, view: View, second: tuple[str, float] | None) -> None:
    """Score, outcome, distance from the threshold, and the second model's score and call."""
    radiographs = count_text(study["n_views"], "radiograph")
    # On a phone the heading of the page, which says it too, is above the screen.
    kind = ", phantom" if view.dataset.phantom else ""
    bone = f"<span>{escape(bone_name(study['bone']))}, {radiographs}{kind}</span>"
    if study["score"] != study["score"]:
        st.html(
            f'<div class="study">{widgets.label_mark(study["label"])}<span>not scored by this model</span>{bone}</div>'
        )
        return
    meaning = theme.MEANING.get(study["outcome"], "label unknown")
    side = "above" if study["margin"] >= 0 else "below"
    other = ""
    if second:
        call = "abnormal" if second[1] >= view.threshold else "normal"
        other = f"<span>{escape(second[0])}: {second[1]:.3f}, {call}</span>"
    st.html(
        f'<div class="study"><b class="loud">{study["score"]:.3f}</b>{widgets.mark(study["outcome"])}'
        f"<span>{meaning}, {abs(study['margin']):.3f} {side} the threshold</span>{other}{bone}</div>"
    )


def _draw_saliency_links(image_ids: dict[str, str]) -> None:
    with st.container(horizontal=True):
        for title, image in image_ids.items():
            st.page_link(
                "saliency/page.py",
                label=f"Saliency of {title.lower()}: {plain(Path(image).name)}",
                icon=":material/local_fire_department:",
                query_params={"image": image},
            )


def _second_score(session: ReadingSession, study: str) -> tuple[str, float] | None:
    """The second model's name and its score of the study; None where it has none."""
    if session.second is None:
        return None
    score = loader.study_scores(replace(session.view, source=session.second)).get(study)
    return None if score is None else (session.second.name, float(score))


def _number(value) -> float | None:
    return None if value != value else float(value)
