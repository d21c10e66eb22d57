"""The verdict keys of one study: one key a verdict, what others said, and the way to take back one's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.review.store import add_verdict, undo
from core.review.vocabulary import CONFIDENCES, SUBTYPES, Verdict, reviewer_key
from dashboard import widgets
from dashboard.case_list import VERDICT_WORDS
from dashboard.loaders import review

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


def draw(case: Case, reader: str, after: str | None, opened: Callable[[str], None]) -> None:
    """The panel. After a verdict `opened(after)` runs, unless the reader stays; all of it before the next run."""
    if error := st.session_state.pop("verdict_error", None):
        st.error(error)
    token = review.token(case.study_id)
    if not reader:
        widgets.note("Type your name above to enter verdicts.")
    with st.container(key="verdict_keys", gap="xsmall"):
        for said, words, key in choices(case):
            st.button(
                words,
                key=f"say_{token}_{next(iter(said.values()))}",
                on_click=_enter,
                args=(case, said, reader, after, opened),
                disabled=not reader,
                shortcut=key,
                width="stretch",
            )
    _details(case, token)
    _said(case, reader, opened)
    st.toggle("Go on after a verdict", value=True, key="go_on", persist_state="session")


def _details(case: Case, token: str) -> None:
    with st.expander("Subtype, view, confidence, note", key=f"details_{token}"):
        st.pills("Subtype", SUBTYPES, key=f"subtype_{token}", format_func=str.capitalize)
        if len(case.views) > 1:
            st.pills("View that shows it", list(case.views), key=f"view_{token}")
        st.pills("Confidence", CONFIDENCES, key=f"confidence_{token}", format_func=str.capitalize)
        st.text_area("Note", key=f"note_{token}", height=90, placeholder="Kept with the next verdict on this study")


def _said(case: Case, reader: str, opened: Callable[[str], None]) -> None:
    """What was said of this study, and the reader's last entry with its undo."""
    found = review.verdicts(case.dataset)
    mine = reviewer_key(reader) if reader else ""
    here = found[found["study_id"] == case.study_id]
    own = here["reviewer"].map(reviewer_key) == mine if len(here) else pd.Series(dtype=bool)
    # Others' verdicts would lead a blind reader.
    shown = here[own] if case.blind and len(here) else here
    if len(shown):
        lines = "".join(f"<li>{_line(row)}</li>" for row in shown.itertuples())
        st.html(f'<ul class="said" aria-label="Verdicts on this study">{lines}</ul>')
    last = found[found["reviewer"].map(reviewer_key) == mine].tail(1) if reader and len(found) else found.iloc[:0]
    row = next(last.itertuples(), None)
    st.button(
        "Undo my last verdict" if row is not None else "Nothing to undo",
        key="undo",
        icon=":material/undo:",
        on_click=_undo,
        args=(row.id, row.study_id, reader, opened) if row is not None else None,
        disabled=row is None,
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
    found = review.verdicts(dataset.name)
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


def _enter(case: Case, said: dict, reader: str, after: str | None, opened: Callable[[str], None]) -> None:
    token, state = review.token(case.study_id), st.session_state
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
        **said,
    )
    try:
        add_verdict(review.store(), entry)
    except OverreadError as error:
        # The case stays open and the note stays typed.
        state["verdict_error"] = str(error)
        return
    for name in ("note", "subtype", "view", "confidence"):
        state.pop(f"{name}_{token}", None)
    if after and state.get("go_on", True):
        opened(after)


def _undo(entry_id: str, study: str, reader: str, opened: Callable[[str], None]) -> None:
    try:
        undo(review.store(), entry_id, reader)
    except OverreadError as error:
        st.session_state["verdict_error"] = str(error)
        return
    opened(study)
