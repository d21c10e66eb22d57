"""Lock the threshold here, verify it there: operating points with their figures there and elsewhere."""

import math

import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.rates import RATES, Rate, interval_text
from core.metrics.thresholds import Choice, Rule, choose
from core.scores.operating_points import OperatingPoint, lock, read_points
from core.scores.source import Source, source_of
from core.scores.verification_log import verifications, verified_before_sentence
from core.workflows.thresholds import choose_threshold
from core.workflows.verify import verify
from dashboard.shared import loaders, widgets
from dashboard.shared.scope import scope
from dashboard.shared.selection import SPLITS, Selection
from dashboard.shared.study_tables import Tables
from dashboard.threshold import rule as threshold_rule


def points_of(source) -> tuple[list[OperatingPoint], str]:
    """The locked points, oldest first; or why their file is refused."""
    try:
        return read_points(source_of(source)), ""
    except OverreadError as error:
        return [], str(error)


def marks(points: list[OperatingPoint]) -> list[tuple[str, float]]:
    """The latest point as lines on the panel."""
    if not points:
        return []
    last = points[-1]
    if last.threshold_high is None:
        return [("locked", last.threshold)]
    return [("locked: rule out", last.threshold), ("locked: rule in", last.threshold_high)]


def show(
    dataset: Dataset, source, chosen: Selection, tables: Tables, rule: Rule, choice: Choice, prevalence: float | None
) -> None:
    """The form that locks, and every point that was locked, each to be verified on another split."""
    widgets.caption("Lock and verify", "chosen on one split, read on another")
    points, refused = points_of(source)
    if refused:
        widgets.empty("The operating points are refused", refused)
        return
    if said := threshold_rule.flatters(chosen, rule):
        widgets.note(said)
    lock_form(dataset, source, chosen, tables, rule, choice, prevalence)
    if not points:
        widgets.note("Nothing is locked yet. A locked threshold is what predictions and the service apply.")
        return
    verify_form(dataset, source, points)


def lock_form(dataset, source, chosen: Selection, tables: Tables, rule: Rule, choice: Choice, prevalence) -> None:
    """Author and note; what is locked is the rule's answer where the panel stands on it, else the threshold by hand."""
    rule, choice = what_to_lock(chosen, tables, rule, choice)
    if chosen.one_bone:
        widgets.note("An operating point holds for all bones: choose all bones in the sidebar to lock one.")
        return
    with st.form("lock", border=True):
        st.html(f'<p class="answer"><b>{described(choice)}</b> by the rule {rule.text}, chosen on {chosen.split}.</p>')
        with st.container(horizontal=True, vertical_alignment="bottom"):
            author = st.text_input("Author", key="lock_author", width=210)
            note = st.text_input("Note", key="lock_note", placeholder="Why this one", width="stretch")
            sent = st.form_submit_button("Lock this threshold", type="primary")
    if not sent:
        return
    if not author.strip():
        st.warning("Say who locks it: the author is part of the record.", icon=":material/person:")
        return
    try:
        asked = choose_threshold(source_of(source, dataset), rule, choice.bound, prevalence, chosen.split)
        point = lock(asked, author, note)
    except OverreadError as error:
        st.error(str(error), icon=":material/block:")
        return
    st.session_state["locked_now"] = point.id
    st.rerun()


def what_to_lock(chosen: Selection, tables: Tables, rule: Rule, choice: Choice) -> tuple[Rule, Choice]:
    """The rule's answer if the threshold chosen calls the same studies abnormal, else the threshold itself."""
    two = choice.feasible and not math.isnan(choice.high)
    if two or (choice.feasible and chosen.threshold == min(choice.threshold, 1.0)):
        return rule, choice
    by_hand = Rule("threshold", chosen.threshold)
    return by_hand, choose(tables.counts, by_hand, "none")


def described(choice: Choice) -> str:
    """Its one or two thresholds."""
    if math.isnan(choice.high):
        return f"Threshold {choice.threshold:.6g}"
    return f"Rule out below {choice.threshold:.6g}, rule in from {choice.high:.6g}"


def verify_form(dataset: Dataset, source, points: list[OperatingPoint]) -> None:
    """Pick a point and a split it was not chosen on; each verification is a look at that split, and is counted."""
    newest = list(reversed(points))
    names = {point.id: title(point) for point in newest}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox(
            f"Operating point ({len(points)} locked)", list(names), format_func=names.get, key="point",
            bind="query-params", persist_state="session", width="stretch",
        )  # fmt: skip
        point = next(found for found in points if found.id == wanted)
        scored_splits, _ = scope(dataset, source)
        there = [split for split in SPLITS if split in scored_splits and split != point.split]
        split = st.selectbox("Verify on", there, key="verify_on", bind="query-params", width=130) if there else None
        pressed = st.button(f"Verify on {split}", key="verify_now", disabled=split is None)
    scored, reference = source_of(source), str(loaders.predictions(dataset, source)["dataset"].iloc[0])
    about = [f"Rule {point.rule}", f"by {point.author or 'nobody named'}", point.date[:10], point.note]
    widgets.note(" · ".join(part for part in about if part))
    if split is None:
        widgets.note("These scores have no other split to verify it on.")
    elif said := verified_before_sentence(split, verifications(scored, reference, split)):
        st.warning(
            f"{said.capitalize()}. Each further look makes its figures less of a test.", icon=":material/visibility:"
        )
    if pressed and split:
        read(scored, dataset, source, point, split)
    kept = st.session_state.get("verified")
    if kept and kept["point"]["id"] == wanted:
        side_by_side(kept)
        if kept["shared"]:
            st.warning(f"{kept['shared'][0].upper()}{kept['shared'][1:]}.", icon=":material/group:")
    else:
        side_by_side({"chosen": {"split": point.split, **point.figures}, "verified": None})


def read(scored: Source, dataset: Dataset, source, point: OperatingPoint, split: str) -> None:
    """Verify, and keep what was found for this visit: showing it again is no further look."""
    try:
        found = verify(scored, split, point.id, "" if scored.kind == "imported" else dataset.name)
    except OverreadError as error:
        st.error(str(error), icon=":material/block:")
        return
    st.session_state["verified"] = found


def title(point: OperatingPoint) -> str:
    """`0.4312 chosen on tune, 2026-11-24, 3f2a...`"""
    high = "" if point.threshold_high is None else f" to {point.threshold_high:.4f}"
    return f"{point.threshold:.4f}{high}, chosen on {point.split}, {point.date[:10]}, {point.id}"


def side_by_side(found: dict) -> None:
    """Chosen on ..., verified on ...: the same figures of both, beside each other."""
    sides = [("Chosen on", found["chosen"]), ("Verified on", found["verified"])]
    cells = []
    for words, row in sides:
        if row is None:
            cells.append(
                '<div><div class="name">Not verified yet</div><div class="rest">Read it on another split.</div></div>'
            )
            continue
        lines = "".join(
            f'<div class="pair"><span>{rate.heading}</span> {rate_html(row, rate)}</div>'
            for rate in RATES.values()
            if rate.name in row  # a point locked before a rate was added has no value for it
        )
        missed = f"{row['fn']:,} of {row['n_abnormal']:,} abnormal studies missed, {row['fp']:,} false alarms"
        head = f"{words} {row['split']}, {row['n']:,} studies"
        cells.append(f'<div><div class="name">{head}</div>{lines}<div class="rest">{missed}</div></div>')
    st.html(f'<div class="facts sides">{"".join(cells)}</div>')


def rate_html(row: dict, rate: Rate) -> str:
    """`92.1% (88.6-94.6)`, or Not estimable."""
    value, *interval = interval_text(row, rate.name, rate.format).split(" (")
    if value == "not estimable":
        return "<b>Not estimable</b>"
    return f"<b>{value}</b>" + (f" <small>({interval[0]}</small>" if interval else "")
