"""The dialogue that locks a threshold: it shows its figures, its cost and alternatives, and asks for a name."""

import math
from dataclasses import replace
from html import escape

import streamlit as st

from core.errors import OverreadError
from core.metrics.counts import counts_at
from core.metrics.rates import RATES, headline_rates, rates_at
from core.metrics.thresholds import Rule, ThresholdChoice, choose, cost_sentence, same_or_better, too_costly
from core.plural import count_text
from core.scores.learning import learned
from core.scores.operating_points import lock
from core.scores.view import View
from core.workflows.thresholds import Criterion, choose_threshold
from dashboard.shared import choice_split, click_notes, selection, widgets
from dashboard.shared.case.reader_name import draw_reader_field, reader_name
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.shared.study_tables import Tables
from dashboard.threshold import meeting
from dashboard.threshold.rule import Answer, optimism_warning

OPEN = "locking"  # whether the dialogue is open
SHOWN = [*(rate.name for rate in headline_rates()), "ppv", "npv", "alerts_per_100"]


def draw_lock(view: View, tables: Tables, answer: Answer) -> None:
    """The button that opens the dialogue, with the threshold that would be locked, or why there is none."""
    _show_locked(view)
    wanted = choice_split.choice_split(view.source)
    if warning := optimism_warning(view, wanted):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(plain(warning), icon=":material/swap_horiz:", width="stretch")
            st.button(f"Choose on {wanted}", key="to_choice", on_click=selection.choose, kwargs={"split": wanted})
    if view.bone:
        widgets.note("An operating point is for all bones. Choose all bones at the top to lock one.")
        return
    rule, choice = what_to_lock(view, tables, answer)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch"):
            st.html(f'<p class="answer"><b>{_threshold_words(choice)}</b> {_by(rule)}, on {escape(view.split)}.</p>')
        st.button(
            "Lock this threshold",
            key="lock_open",
            type="primary",
            icon=":material/lock:",
            on_click=_open,
            **gate("lock"),
        )
    if st.session_state.get(OPEN):
        draw_dialogue(view, tables, answer)


def what_to_lock(view: View, tables: Tables, answer: Answer) -> tuple[Rule, ThresholdChoice]:
    """The rule's answer if the shared threshold is that answer, else the shared threshold, chosen by hand."""
    choice = answer.choice
    two = choice.feasible and not math.isnan(choice.high)
    if two or (choice.feasible and view.threshold == min(choice.threshold, 1.0)):
        return answer.rule, choice
    by_hand = Rule("threshold", view.threshold)
    return by_hand, choose(tables.counts, by_hand, "none")


def _open() -> None:
    st.session_state[OPEN] = True


def _close() -> None:
    st.session_state[OPEN] = False


@st.dialog("Lock this threshold", width="large", icon=":material/lock:", on_dismiss=_close)
def draw_dialogue(view: View, tables: Tables, answer: Answer) -> None:
    """The rule, its figures at a prevalence, its cost in words, what would be the same or better, and who locks it."""
    rule, choice = what_to_lock(view, tables, answer)
    studies = f"{count_text(len(tables.studies), 'study')} of {view.split}"
    st.html(f'<p class="answer"><b>{_threshold_words(choice)}</b> {_by(rule)}, on {escape(studies)}.</p>')
    for warning in _warnings(view, tables, rule, choice):
        st.warning(plain(warning), icon=":material/warning:")
    prevalence = _draw_prevalence(rule, answer)
    where = "at the prevalence of these studies" if prevalence is None else f"at a prevalence of {prevalence:.1%}"
    widgets.caption("Figures", where)
    rates = rates_at(tables.counts, choice.threshold, prevalence)
    widgets.facts(*[(RATES[name].heading, *widgets.estimate_text(rates[name], RATES[name].format)) for name in SHOWN])
    st.html(f'<p class="answer">{cost_sentence(counts_at(tables.counts, choice.threshold), prevalence)}</p>')
    if others := same_or_better(tables.counts, choice.threshold, prevalence):
        widgets.caption("Equal or better thresholds")
        st.html("<ul class='others'>" + "".join(f"<li>{escape(line)}</li>" for line in others) + "</ul>")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reader = draw_reader_field()
        note = st.text_input("Reason for this threshold", key="lock_note", width="stretch")
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Lock", key="lock_now", type="primary", disabled=not reader)
        if st.button("Cancel", key="lock_cancel"):
            _close()
            st.rerun()
        if not reader:
            widgets.note("Enter your name: the record says who locked it.")
    if pressed:
        _lock(view, Criterion(rule, choice.bound, prevalence), note or "")


def _draw_prevalence(rule: Rule, answer: Answer) -> float | None:
    """The prevalence of the clinic. A rule that depends on the prevalence keeps the value it was computed with."""
    if rule.kind in ("alerts", "cost"):
        return answer.prevalence
    stated = st.number_input(
        "Prevalence where it will be used (%)", 0.1, 99.9,
        value=None if answer.prevalence is None else 100 * answer.prevalence, step=0.5, format="%.1f",
        key="lock_prevalence", width=270, placeholder="as in these studies",
    )  # fmt: skip
    return None if stated is None else float(f"{stated:g}e-2")


def _warnings(view: View, tables: Tables, rule: Rule, choice: ThresholdChoice) -> list[str]:
    found = learned(view.source.model)
    every = (
        found.warning if found else "",
        optimism_warning(view, choice_split.choice_split(view.source)),
        too_costly(tables.counts, rule, choice),
    )
    return [warning for warning in every if warning]


def _lock(view: View, criterion: Criterion, note: str) -> None:
    """Lock the threshold, and write the decision down where a meeting took it. `_show_locked` does the rest."""
    kept, reader, together = click_notes.kept(), reader_name(), meeting.joined(view)
    try:
        point = lock(choose_threshold(view, criterion), reader, note)
        kept[OPEN] = view.source, point
        if together:
            meeting.record_lock(replace(view, threshold=point.threshold), note, reader, criterion.prevalence, point.id)
    except OverreadError as error:
        st.error(plain(error), icon=":material/block:")
        return
    st.rerun()


def _show_locked(view: View) -> None:
    """Close the dialogue once its point is locked; choose the point, unless other scores were opened since."""
    kept = click_notes.kept()
    if OPEN in kept:
        _close()
        source, point = kept.pop(OPEN)
        if source == view.source and point.threshold_high is None:
            selection.choose_and_rerun(point=point.id, threshold=min(point.threshold, 1.0))


def _threshold_words(choice: ThresholdChoice) -> str:
    if math.isnan(choice.high):
        return f"Threshold {choice.threshold:.6g}"
    return f"Rule out below {choice.threshold:.6g}, rule in from {choice.high:.6g}"


def _by(rule: Rule) -> str:
    return "set by hand" if rule.kind == "threshold" else f"by the rule {escape(rule.text)}"
