"""Lock a threshold as an operating point on one split, and verify it on another."""

import math

import streamlit as st

from core.errors import OverreadError
from core.metrics.rates import RATES, Rate, headline_rates, interval_text
from core.metrics.thresholds import Choice, Rule, choose
from core.scores.halves import splits_for_verifying, whole_of
from core.scores.operating_points import OperatingPoint, lock, read_points
from core.scores.source import Source, same_dataset
from core.scores.verification_log import verifications, verified_before_sentence
from core.scores.view import View
from core.workflows.thresholds import Criterion, choose_threshold
from core.workflows.verify import verify
from dashboard.shared import choice_split, loaders, selection, widgets
from dashboard.shared.scope import scope
from dashboard.shared.study_tables import Tables
from dashboard.threshold.rule import Answer, optimism_warning


def points_of(source: Source) -> tuple[list[OperatingPoint], str]:
    """The operating points, oldest first; or why their file is refused."""
    try:
        return read_points(source), ""
    except OverreadError as error:
        return [], str(error)


def marks(points: list[OperatingPoint]) -> list[tuple[str, float]]:
    """The latest operating point as lines on the panel."""
    if not points:
        return []
    last = points[-1]
    if last.threshold_high is None:
        return [("locked", last.threshold)]
    return [("locked: rule out", last.threshold), ("locked: rule in", last.threshold_high)]


def draw_lock(view: View, tables: Tables, answer: Answer) -> None:
    """The form that locks, and every operating point, each to be verified on another split."""
    widgets.caption("Operating points", "chosen on one split, verified on another")
    points, refused = points_of(view.source)
    if refused:
        widgets.empty("The operating points cannot be used", refused)
        return
    wanted = choice_split.choice_split(view.source)
    if warning := optimism_warning(view, wanted):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(warning, icon=":material/swap_horiz:", width="stretch")
            st.button(f"Choose on {wanted}", key="to_choice", on_click=selection.choose, kwargs={"split": wanted})
    _draw_lock_form(view, tables, answer)
    if not points:
        widgets.note(
            "Nothing is locked yet. In a terminal, predict --operating-point latest applies the latest operating point."
        )
        return
    _draw_verification(view.source, points)


def what_to_lock(view: View, tables: Tables, answer: Answer) -> tuple[Rule, Choice]:
    """The rule's answer if the shared threshold is that answer, else the shared threshold, chosen by hand."""
    choice = answer.choice
    two = choice.feasible and not math.isnan(choice.high)
    if two or (choice.feasible and view.threshold == min(choice.threshold, 1.0)):
        return answer.rule, choice
    by_hand = Rule("threshold", view.threshold)
    return by_hand, choose(tables.counts, by_hand, "none")


def side_by_side_html(found: dict) -> str:
    """The same figures on the split of choice and on the split of verification, beside each other."""
    sides = [("Chosen on", found["chosen"]), ("Verified on", found["verified"])]
    cells = []
    for words, row in sides:
        if row is None:
            cells.append(
                '<div><div class="name">No verification on screen</div>'
                '<div class="rest">Verify it on another split to see the figures there.</div></div>'
            )
            continue
        rates = {
            rate.name: f'<div class="pair"><span>{rate.heading}</span> {_rate_html(row, rate)}</div>'
            for rate in RATES.values()
            if rate.name in row  # a point locked before a rate was added has no value for it
        }
        lines = "".join(rates.pop(rate.name, "") for rate in headline_rates())
        lines += f"<details><summary>Other rates</summary>{''.join(rates.values())}</details>"
        missed = f"{row['fn']:,} of {row['n_abnormal']:,} abnormal studies missed, {row['fp']:,} false alarms"
        head = f"{words} {row['split']}, {row['n']:,} studies"
        cells.append(f'<div><div class="name">{head}</div>{lines}<div class="rest">{missed}</div></div>')
    return f'<div class="facts sides">{"".join(cells)}</div>'


def _draw_lock_form(view: View, tables: Tables, answer: Answer) -> None:
    if view.bone:
        widgets.note("An operating point is for all bones. Choose all bones at the top to lock one.")
        return
    rule, choice = what_to_lock(view, tables, answer)
    with st.form("lock", border=True):
        words = _threshold_words(choice)
        st.html(f'<p class="answer"><b>{words}</b> by the rule {rule.text}, chosen on {view.split}.</p>')
        with st.container(horizontal=True, vertical_alignment="bottom"):
            author = st.text_input("Author", key="lock_author", width=210)
            note = st.text_input("Note", key="lock_note", placeholder="Reason for this threshold", width="stretch")
            sent = st.form_submit_button("Lock this threshold", type="primary")
    if not sent:
        return
    if not author.strip():
        st.warning("Enter an author: the author is part of the record.", icon=":material/person:")
        return
    try:
        criterion = Criterion(rule, choice.bound, answer.prevalence)
        point = lock(choose_threshold(view, criterion), author, note)
    except OverreadError as error:
        st.error(str(error), icon=":material/block:")
        return
    st.session_state["locked_now"] = point.id
    st.rerun()


def _threshold_words(choice: Choice) -> str:
    if math.isnan(choice.high):
        return f"Threshold {choice.threshold:.6g}"
    return f"Rule out below {choice.threshold:.6g}, rule in from {choice.high:.6g}"


def _draw_verification(source: Source, points: list[OperatingPoint]) -> None:
    newest = list(reversed(points))
    names = {point.id: _title(point) for point in newest}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox(
            f"Operating point ({len(points)} locked)", list(names), format_func=names.get, key="verify_point",
            bind="query-params", persist_state="session", width="stretch",
        )  # fmt: skip
        point = next(found for found in points if found.id == wanted)
        others = _splits_to_verify(source, point)
        split = st.selectbox("Verify on", others, key="verify_on", bind="query-params", width=130) if others else None
        pressed = st.button(f"Verify on {split}", key="verify_now", disabled=split is None)
    reference = str(loaders.predictions(source)["dataset"].iloc[0])
    about = [f"Rule {point.rule}", f"by {point.author or 'an unnamed author'}", point.date[:10], point.note]
    widgets.note(" · ".join(part for part in about if part))
    if split is None:
        widgets.note("These scores have no other split to verify it on.")
    elif earlier := verified_before_sentence(split, verifications(source, reference, split)):
        st.warning(
            f"{earlier.capitalize()}. Each further verification makes it a weaker test.", icon=":material/visibility:"
        )
    if pressed and split:
        _verify_and_remember(source, point, split)
    kept = st.session_state.get("verified")
    if kept and kept["point"]["id"] == wanted:
        st.html(side_by_side_html(kept))
        if kept["shared"]:
            st.warning(f"{kept['shared'][0].upper()}{kept['shared'][1:]}.", icon=":material/group:")
    else:
        st.html(side_by_side_html({"chosen": {"split": point.split, **point.figures}, "verified": None}))


def _splits_to_verify(source: Source, point: OperatingPoint) -> list[str]:
    """The splits that a point may be verified on, never one before the split it was chosen on."""
    scored, _ = scope(source)
    if same_dataset(source, point.dataset) or source.kind == "imported":
        return splits_for_verifying(point.split, scored)
    return [split for split in scored if whole_of(split) not in ("train", "tune") and split == whole_of(split)]


def _verify_and_remember(source: Source, point: OperatingPoint, split: str) -> None:
    # Kept for this visit, since showing the figures again is not another verification.
    try:
        found = verify(source, split, point.id, "" if source.kind == "imported" else source.data)
    except OverreadError as error:
        st.error(str(error), icon=":material/block:")
        return
    st.session_state["verified"] = found


def _title(point: OperatingPoint) -> str:
    """`0.4312 chosen on tune, 2026-11-24, 3f2a...`"""
    high = "" if point.threshold_high is None else f" to {point.threshold_high:.4f}"
    return f"{point.threshold:.4f}{high}, chosen on {point.split}, {point.date[:10]}, {point.id}"


def _rate_html(row: dict, rate: Rate) -> str:
    """`92.1% (88.6-94.6)`, or Not estimable."""
    value, *interval = interval_text(row, rate.name, rate.format).split(" (")
    if value == "not estimable":
        return "<b>Not estimable</b>"
    return f"<b>{value}</b>" + (f" <small>({interval[0]}</small>" if interval else "")
