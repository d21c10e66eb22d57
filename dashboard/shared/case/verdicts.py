"""The verdict keys of one study: one key a verdict, what others said, and the way to take back one's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from uuid import uuid4, uuid5

import streamlit as st

from core.errors import OverreadError
from core.review.store import add_verdict_once, latest_entry, undo_latest
from core.review.vocabulary import CONFIDENCES, SUBTYPES, Verdict, reviewer_key
from dashboard.shared import widgets
from dashboard.shared.case import loader
from dashboard.shared.case.case_list import VERDICT_WORDS

READ_WORDS = {"abnormal": "Abnormal", "normal": "Normal", "unreadable": "Unreadable", "out_of_scope": "Out of scope"}
_REST = (("cannot_tell", "Cannot tell"), ("poor_image", "Poor image"), ("out_of_scope", "Out of scope"))


@dataclass(frozen=True)
class Case:
    """What a verdict is about, and what the reader could see. score, threshold, label: None where there is none."""

    dataset: str
    study_id: str
    outcome: str
    label: float | None
    score: float | None
    threshold: float | None
    checkpoint: str | None
    views: dict[str, str] = field(default_factory=dict)  # what a view is called here -> its image_id
    blind: bool = False
    walkthrough_id: str | None = None
    kind: str = "review"


def choices(case: Case) -> list[tuple[dict, str, str]]:
    """What can be said of a case, in the order of its keys: (fields of the entry, name, key)."""
    if case.blind or case.label is None or case.kind == "adjudication":
        first = [({"reading": "abnormal"}, "Abnormal"), ({"reading": "normal"}, "Normal")]
    else:
        wrong_call = {"FN": "True miss", "FP": "True false alarm"}.get(case.outcome)
        agreed = {"reading": "abnormal" if case.label == 1 else "normal"}
        first = [
            ({"verdict": "true_miss"}, wrong_call) if wrong_call else (agreed, "Label right"),
            ({"verdict": "label_wrong"}, "Label wrong"),
        ]
    rest = [({"verdict": name}, words) for name, words in _REST]
    return [(said, words, str(place)) for place, (said, words) in enumerate([*first, *rest], 1)]


def draw(case: Case, reader: str, after: str | None, opened: Callable[[str], None]) -> list[str]:
    """The panel. After a verdict `opened(after)` runs, unless the reader stays; all of it before the next run.

    Returns the keys that lead to the case `after`.
    """
    if error := st.session_state.pop("verdict_error", None):
        st.error(error)
    token, press = loader.token(case.study_id), uuid4()
    if not reader:
        widgets.note("Type your name above to enter verdicts.")
    with st.container(key="verdict_keys", gap="xsmall"):
        for said, words, key in choices(case):
            st.button(
                words,
                key=f"say_{token}_{next(iter(said.values()))}",
                on_click=_enter,
                args=(case, said, str(uuid5(press, words)), reader, after, opened),
                disabled=not reader,
                shortcut=key,
                width="stretch",
            )
    _details(case, token)
    _said(case, reader, opened)
    goes_on = st.toggle("Go on after a verdict", value=True, key="go_on", persist_state="session")
    return [key for _, _, key in choices(case)] if reader and after and goes_on else []


def _details(case: Case, token: str) -> None:
    with st.expander("Subtype, view, confidence, note", key=f"details_{token}"):
        st.pills("Subtype", SUBTYPES, key=f"subtype_{token}", format_func=str.capitalize)
        if len(case.views) > 1:
            st.pills("View that shows it", list(case.views), key=f"view_{token}")
        st.pills("Confidence", CONFIDENCES, key=f"confidence_{token}", format_func=str.capitalize)
        st.text_area("Note", key=f"note_{token}", height=90, placeholder="Kept with the next verdict on this study")


def _said(case: Case, reader: str, opened: Callable[[str], None]) -> None:
    """What was said of this study, and the reader's last entry with its undo."""
    shown = loader.verdicts_on(case.dataset, case.study_id)
    if case.blind:
        # Others' verdicts would lead a blind reader.
        shown = shown[shown["reviewer"].map(reviewer_key) == (reviewer_key(reader) if reader else "")]
    if len(shown):
        lines = "".join(f"<li>{_line(row)}</li>" for row in shown.itertuples())
        st.html(f'<ul class="said" aria-label="Verdicts on this study">{lines}</ul>')
    last = latest_entry(loader.store(), case.dataset, reader) if reader else None
    st.button(
        "Undo my last verdict" if last else "Nothing to undo",
        key="undo",
        icon=":material/undo:",
        on_click=_undo,
        args=(case.dataset, reader, str(uuid4()), opened),
        disabled=not last,
        shortcut="U",
        width="stretch",
        help="A new entry that takes the last one back; the history keeps both.",
    )


def said_words(row) -> str:
    """An entry in a few words."""
    verdict = VERDICT_WORDS.get(row.verdict) if isinstance(row.verdict, str) else None
    return verdict or READ_WORDS.get(row.read, row.read)


def spoken(dataset, studies: list[str]) -> dict[str, str]:
    """What readers said of these studies, in a few words each."""
    found = loader.verdicts(dataset.name)
    found = found[found["study_id"].isin(studies)]
    return {
        study: "; ".join(f"{row.reviewer}: {said_words(row).lower()}" for row in rows.itertuples())
        for study, rows in found.groupby("study_id")
    }


def _line(row) -> str:
    more = [part for part in (row.subtype, row.view, row.confidence) if isinstance(part, str)]
    seen = " (blind)" if row.blind else ""
    note = f"<q>{escape(row.note[:300])}{'...' if len(row.note) > 300 else ''}</q>" if row.note else ""
    words = ", ".join([said_words(row), *more])
    return f"<b>{escape(row.reviewer)}</b>{seen}: {escape(words)} {note}"


def _enter(case: Case, said: dict, press: str, reader: str, after: str | None, opened: Callable[[str], None]) -> None:
    # Streamlit may run a callback again when another run breaks into its own: `press` makes that the same entry.
    token, state = loader.token(case.study_id), st.session_state
    view = state.get(f"view_{token}")
    entry = Verdict(
        dataset=case.dataset,
        study_id=case.study_id,
        reviewer=reader,
        kind=case.kind,
        given_label=case.label,
        image_id=case.views.get(view) if view else None,
        view=view,
        subtype=state.get(f"subtype_{token}"),
        confidence=state.get(f"confidence_{token}"),
        note=state.get(f"note_{token}") or "",
        score_visible=not case.blind,
        label_visible=not case.blind,
        checkpoint=case.checkpoint,
        threshold=case.threshold,
        score=case.score,
        walkthrough_id=case.walkthrough_id,
        id=press,
        **said,
    )
    try:
        add_verdict_once(loader.store(), entry)
    except OverreadError as error:
        # The case stays open and the note stays typed.
        state["verdict_error"] = str(error)
        return
    for name in ("note", "subtype", "view", "confidence"):
        state.pop(f"{name}_{token}", None)
    if after and state.get("go_on", True):
        opened(after)


def _undo(dataset: str, reader: str, press: str, opened: Callable[[str], None]) -> None:
    try:
        study = undo_latest(loader.store(), dataset, reader, press)
    except OverreadError as error:
        st.session_state["verdict_error"] = str(error)
        return
    if study:
        opened(study)
