"""The verdict keys of one study, the verdicts on it so far, and the undo of the reader's last one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from html import escape
from uuid import uuid4, uuid5

import streamlit as st

from core.among import among
from core.data.index import Dataset
from core.errors import OverreadError
from core.review.boxes import read_boxes
from core.review.cases import neutral_name
from core.review.store import add_verdict_once, latest_entry, undo_latest
from core.review.vocabulary import CONFIDENCES, SUBTYPES, Verdict, reviewer_key
from dashboard.shared import widgets
from dashboard.shared.case import loader, presses
from dashboard.shared.case.finding_boxes import boxes_to_store
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

VERDICT_NAMES = {
    "true_miss": "Label right",
    "label_wrong": "Label wrong",
    "cannot_tell": "Cannot tell",
    "poor_image": "Poor image",
    "out_of_scope": "Out of scope",
}
READ_NAMES = {"abnormal": "Abnormal", "normal": "Normal", "unreadable": "Unreadable", "out_of_scope": "Out of scope"}
NOTE_SHOWN = 300  # characters of a note in the list


@dataclass(frozen=True)
class VerdictCase:
    """The study that a verdict is on, and what the reader could see of it. None where there is no such value.

    image_ids: the image_id of each view by its title on screen.
    """

    dataset: str
    study_id: str
    outcome: str
    label: float | None
    score: float | None
    threshold: float | None
    checkpoint: str | None
    image_ids: dict[str, str] = field(default_factory=dict)
    blind: bool = False
    walkthrough_id: str | None = None
    round: str | None = None
    kind: str = "review"


def verdict_choices(case: VerdictCase) -> list[tuple[dict, str, str]]:
    """The verdicts that can be given, in the order of their keys: (fields of the entry, name, key)."""
    if case.blind or case.label is None or case.kind == "adjudication":
        first = [({"reading": "abnormal"}, "Abnormal"), ({"reading": "normal"}, "Normal")]
    else:
        confirmed_error = {"FN": "True miss", "FP": "True false alarm"}.get(case.outcome)
        label_as_reading = {"reading": "abnormal" if case.label == 1 else "normal"}
        first = [
            ({"verdict": "true_miss"}, confirmed_error) if confirmed_error else (label_as_reading, "Label right"),
            ({"verdict": "label_wrong"}, "Label wrong"),
        ]
    rest = [({"verdict": name}, VERDICT_NAMES[name]) for name in ("cannot_tell", "poor_image", "out_of_scope")]
    return [(fields, name, str(place)) for place, (fields, name) in enumerate([*first, *rest], 1)]


def draw_verdict_panel(
    case: VerdictCase, reader: str, next_name: str | None, open_case: Callable[[str], None], stay: bool = False
) -> list[str]:
    """Draw the panel. After a verdict `open_case(next_name)` runs, unless the reader switched that off.

    stay: the case stays open after a verdict, so there is nothing to switch. Returns the keys that lead to the next
    case.
    """
    if error := st.session_state.pop("verdict_error", None):
        st.error(plain(error))
    name, press, choices = neutral_name(case.study_id), uuid4(), verdict_choices(case)
    if not reader:
        widgets.note("Type your name above to enter verdicts.")
    with st.container(key="verdict_keys", gap="xsmall"):
        for fields, label, key in choices:
            st.button(
                label,
                key=f"enter_{name}_{next(iter(fields.values()))}",
                on_click=_enter_verdict,
                args=(case, fields, str(uuid5(press, label)), reader, next_name, open_case),
                **gate("read", not reader),
                shortcut=key,
                width="stretch",
            )
    _draw_details(case, name)
    _draw_verdicts(case, reader, open_case)
    moves = not stay and st.toggle(
        "Open the next case after a verdict", value=True, key="keep_moving", persist_state="session"
    )
    return [key for _, _, key in choices] if reader and next_name and moves else []


def verdict_presses(
    case: VerdictCase, reader: str, next_name: str | None, open_case: Callable[[str], None]
) -> dict[str, presses.Act]:
    """The actions of the verdict keys and of the undo key, by key; empty without a reader."""
    if not reader:
        return {}
    acts: dict[str, presses.Act] = {
        key: partial(_press_verdict, case, fields, reader, next_name, open_case)
        for fields, _, key in verdict_choices(case)
    }
    return acts | {"u": lambda press: _undo_verdict(case.dataset, reader, press, open_case)}


def _press_verdict(
    case: VerdictCase, fields: dict, reader: str, next_name: str | None, open_case: Callable[[str], None], press: str
) -> None:
    _enter_verdict(case, fields, press, reader, next_name, open_case)


def verdict_summaries(dataset: Dataset, studies: list[str]) -> dict[str, str]:
    """The verdicts on each of these studies, in one line; studies without any are left out."""
    verdicts = loader.verdicts(dataset.name)
    found: dict[str, list[str]] = {}
    for row in verdicts[among(verdicts["study_id"], studies)].itertuples():
        found.setdefault(row.study_id, []).append(f"{row.reviewer}: {_entry_name(row).lower()}")
    return {study: "; ".join(words) for study, words in found.items()}


def _draw_details(case: VerdictCase, name: str) -> None:
    with st.expander("Subtype, view, confidence, note", key=f"details_{name}"):
        st.pills("Subtype", SUBTYPES, key=f"subtype_{name}", format_func=str.capitalize)
        if len(case.image_ids) > 1:
            st.pills("View that shows it", list(case.image_ids), key=f"view_{name}")
        st.pills("Confidence", CONFIDENCES, key=f"confidence_{name}", format_func=str.capitalize)
        st.text_area("Note", key=f"note_{name}", height=90, placeholder="Stored with your next verdict on this study")


def _draw_verdicts(case: VerdictCase, reader: str, open_case: Callable[[str], None]) -> None:
    verdicts = loader.verdicts_on(case.dataset, case.study_id)
    if case.blind:
        # The verdicts of others would influence a blind reader.
        verdicts = verdicts[verdicts["reviewer"].map(reviewer_key) == (reviewer_key(reader) if reader else "")]
    if len(verdicts):
        lines = "".join(f"<li>{_entry_html(row)}</li>" for row in verdicts.itertuples())
        st.html(f'<ul class="verdicts" aria-label="Verdicts on this study">{lines}</ul>')
    last = latest_entry(loader.store(), case.dataset, reader) if reader else None
    st.button(
        "Undo my last verdict" if last else "Nothing to undo",
        key="undo",
        icon=":material/undo:",
        on_click=_undo_verdict,
        args=(case.dataset, reader, str(uuid4()), open_case),
        shortcut="U",
        width="stretch",
        **gate("read", not last, "Adds an entry that withdraws your last verdict. The history keeps both."),
    )


def _entry_name(row) -> str:
    """The name on screen of an entry's verdict, or else of its read."""
    verdict = VERDICT_NAMES.get(row.verdict) if isinstance(row.verdict, str) else None
    if row.verdict == "true_miss" and row.given_label == row.given_label and row.score == row.score:
        # The words of its key: the label is right, so the model's call was wrong.
        called = row.score >= row.threshold
        if called != (row.given_label == 1):
            return "True false alarm" if called else "True miss"
    return verdict or READ_NAMES.get(row.read, row.read)


def _entry_html(row) -> str:
    details = [part for part in (row.subtype, row.view, row.confidence) if isinstance(part, str)]
    if boxes := read_boxes(row.boxes):
        details.append(f"{len(boxes)} {'box' if len(boxes) == 1 else 'boxes'}")
    blind = " (blind)" if row.blind else ""
    note = f"<q>{escape(row.note[:NOTE_SHOWN])}{'...' if len(row.note) > NOTE_SHOWN else ''}</q>" if row.note else ""
    return f"<b>{escape(row.reviewer)}</b>{blind}: {escape(', '.join([_entry_name(row), *details]))} {note}"


def _enter_verdict(
    case: VerdictCase,
    fields: dict,
    press: str,
    reader: str,
    next_name: str | None,
    open_case: Callable[[str], None],
) -> None:
    # An interrupted run repeats this with the same `press`; the store keeps each press once.
    name, state = neutral_name(case.study_id), st.session_state
    view = state.get(f"view_{name}")
    entry = Verdict(
        dataset=case.dataset,
        study_id=case.study_id,
        reviewer=reader,
        kind=case.kind,
        given_label=case.label,
        image_id=case.image_ids.get(view) if view else None,
        view=view,
        subtype=state.get(f"subtype_{name}"),
        confidence=state.get(f"confidence_{name}"),
        note=state.get(f"note_{name}") or "",
        score_visible=not case.blind,
        label_visible=not case.blind,
        checkpoint=case.checkpoint,
        threshold=case.threshold,
        score=case.score,
        walkthrough_id=case.walkthrough_id,
        round=case.round,
        boxes=boxes_to_store(case.dataset, case.study_id, list(case.image_ids.values()), reader),
        id=press,
        **fields,
    )
    try:
        add_verdict_once(loader.store(), entry)
    except OverreadError as error:
        # The case stays open, with the note still in its field.
        state["verdict_error"] = str(error)
        return
    for detail in ("note", "subtype", "view", "confidence"):
        state.pop(f"{detail}_{name}", None)
    if next_name and state.get("keep_moving", True):
        open_case(next_name)


def _undo_verdict(dataset: str, reader: str, press: str, open_case: Callable[[str], None]) -> None:
    try:
        study = undo_latest(loader.store(), dataset, reader, press)
    except OverreadError as error:
        st.session_state["verdict_error"] = str(error)
        return
    if study:
        open_case(study)
