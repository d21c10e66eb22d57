"""The operating points of a model: in use or withdrawn, each with its figures, and verified on another split."""

from html import escape

import streamlit as st

from core.data.references import name_in
from core.errors import OverreadError
from core.metrics.rates import RATES, Rate, headline_rates, interval_text
from core.plural import count_text
from core.scores.halves import DataSplit, splits_for_verifying, whole_of
from core.scores.operating_points import OperatingPoint, read_points, withdraw
from core.scores.source import Source, same_dataset
from core.scores.verification_log import verifications, verifications_of, verified_before_sentence
from core.workflows.verify import held_by, verify
from dashboard.shared import address, click_notes, loaders, selection, widgets
from dashboard.shared.case.reader_name import draw_reader_field, reader_name
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.shared.scope import scope

WITHDRAWING = "withdrawing"  # the id of the point whose dialogue is open
# Notes of clicks: the id of the point that the visitor withdrew last, and whether the page has shown it.
WITHDRAWN, WITHDRAWN_SHOWN = "withdrawn", "withdrawn_shown"


def points_of(source: Source) -> tuple[list[OperatingPoint], str]:
    """The operating points, withdrawn ones too, oldest first; or why their file is refused."""
    try:
        return read_points(source), ""
    except OverreadError as error:
        return [], str(error)


def marks(points: list[OperatingPoint]) -> list[tuple[str, float]]:
    """The latest operating point in use as lines on the panel."""
    usable = [point for point in points if not point.withdrawn]
    if not usable:
        return []
    last = usable[-1]
    name = f"operating point {last.id[:6]}"
    if last.threshold_high is None:
        return [(name, last.threshold)]
    return [(f"{name}: rule out", last.threshold), (f"{name}: rule in", last.threshold_high)]


def summary(points: list[OperatingPoint]) -> str:
    """`Operating points: 2 in use, 1 withdrawn`."""
    withdrawn = sum(bool(point.withdrawn) for point in points)
    standing = f"Operating points: {len(points) - withdrawn} in use"
    return f"{standing}, {withdrawn} withdrawn" if withdrawn else standing


def is_to_be_seen(points: list[OperatingPoint]) -> bool:
    """Whether the visitor has just withdrawn one of these: the list then shows it with the reason."""
    return any(point.id == click_notes.kept().get(WITHDRAWN) for point in points)


def draw_points(source: Source, points: list[OperatingPoint]) -> None:
    """Draw one operating point, and the buttons that verify, use or withdraw it."""
    names = {point.id: _title(point) for point in reversed(points)}
    kept = click_notes.kept()
    if kept.get(WITHDRAWN) != kept.get(WITHDRAWN_SHOWN):
        _close()
        # Set anew, since the browser keeps the words of a choice and not its id.
        st.session_state["verify_point"] = kept[WITHDRAWN]
        kept[WITHDRAWN_SHOWN] = kept[WITHDRAWN]
    if st.session_state.get("verify_point") not in names:
        st.session_state.pop("verify_point", None)
    standing = sum(not point.withdrawn for point in points)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = address.bound(st.selectbox,
            f"Operating point ({standing} of {len(points)} in use)", list(names),
            format_func=names.get, key="verify_point", persist_state="session", width="stretch",
        )  # fmt: skip
        point = next(found for found in points if found.id == wanted)
        others = [] if point.withdrawn else splits_to_verify(source, point)
        if st.session_state.get("verify_on") not in others:
            st.session_state.pop("verify_on", None)
        split = address.bound(st.selectbox, "Verify on", others, key="verify_on", width=150) if others else None
        pressed = bool(split) and st.button(f"Verify on {plain(split)}", key="verify_now", **gate("lock"))
    about = [f"Rule {point.rule}", f"by {point.author or 'an unnamed author'}", point.date[:10], point.note]
    widgets.note(" · ".join(part for part in about if part))
    if point.withdrawn:
        st.error(plain(f"{point.withdrawn.sentence} Nothing uses it any more."), icon=":material/block:")
    else:
        _draw_acts(source, point, split)
    if pressed and split:
        _verify_and_remember(source, point, split)
    _draw_figures(source, point)
    if st.session_state.get(WITHDRAWING) == point.id:
        draw_withdrawal(source, point)


def splits_to_verify(source: Source, point: OperatingPoint) -> list[str]:
    """The splits that a point may be verified on, never one before the split it was chosen on."""
    scored, _ = scope(source)
    if same_dataset(source, point.dataset) or source.kind == "imported":
        return splits_for_verifying(point.split, scored)
    return [split for split in scored if split == whole_of(split) and split not in ("train", "tune")]


def side_by_side_html(found: dict) -> str:
    """The same figures on the split of choice and on the split of verification, beside each other."""
    sides = [("Chosen on", found["chosen"]), ("Verified on", found["verified"])]
    cells = []
    for words, row in sides:
        if row is None:
            cells.append(
                '<div><div class="name">Not verified yet</div>'
                '<div class="rest">Verify it on another split to see the figures there.</div></div>'
            )
            continue
        rates = {
            rate.name: f'<div class="pair"><span>{rate.heading}</span> {_rate_html(row, rate)}</div>'
            for rate in RATES.values()
            if rate.name in row  # a point locked before a rate was added has no value for it
        }
        lines = "".join(rates.pop(rate.name, "") for rate in headline_rates())
        lines += f"<details><summary>Other rates</summary>{''.join(rates.values())}</details>" if rates else ""
        missed = (
            f"{row['fn']:,} of {count_text(row['n_abnormal'], 'abnormal study')} missed, {row['fp']:,} false alarms"
        )
        head = f"{words} {escape(row['split'])}, {count_text(row['n'], 'study')}"
        cells.append(f'<div><div class="name">{head}</div>{lines}<div class="rest">{missed}</div></div>')
    return f'<div class="facts sides">{"".join(cells)}</div>'


def verifications_html(entries: list[dict]) -> str:
    """One row per stored verification: when, where, and the figures found there."""
    head = "".join(f"<th>{name}</th>" for name in ("Verified", "Split", *(rate.heading for rate in headline_rates())))
    rows = []
    for entry in reversed(entries):
        figures = entry.get("figures") or {}
        cells = [f"<td>{escape(entry['date'][:10])}</td>"]
        cells.append(f"<td>{escape(entry['split'])}<small>{escape(name_in(entry['dataset']))}</small></td>")
        cells += [
            f"<td>{_rate_html(figures, rate) if rate.name in figures else 'not stored'}</td>"
            for rate in headline_rates()
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _draw_acts(source: Source, point: OperatingPoint, split: str | None) -> None:
    used = selection.current().point == point.id
    with st.container(horizontal=True, vertical_alignment="center"):
        if point.threshold_high is None:
            st.button(
                "In use" if used else "Use this point", key="point_use", disabled=used, on_click=selection.choose,
                kwargs={"point": point.id, "threshold": min(point.threshold, 1.0)},
            )  # fmt: skip
        st.button(
            "Withdraw", key="withdraw_open", icon=":material/undo:", on_click=_open, args=(point.id,), **gate("lock")
        )
    if split is None:
        widgets.note("These scores have no later split to verify it on.")
        return
    if earlier := verified_before_sentence(split, verifications(source, DataSplit(loaders.scored_on(source), split))):
        st.warning(
            plain(f"{earlier.capitalize()}. Each further verification makes it a weaker test."),
            icon=":material/visibility:",
        )


def _draw_figures(source: Source, point: OperatingPoint) -> None:
    stored = verifications_of(source, point.id)
    last = next((entry for entry in reversed(stored) if entry.get("figures")), None)
    verified = last and {"split": last["split"], **last["figures"]}
    st.html(side_by_side_html({"chosen": {"split": point.split, **point.figures}, "verified": verified}))
    kept = st.session_state.get("verified")
    for sentence in held_by(point, verified) if verified else []:
        widgets.note(sentence)
    if kept and kept["point"]["id"] == point.id and kept["shared"]:
        st.warning(plain(f"{kept['shared'][0].upper()}{kept['shared'][1:]}."), icon=":material/group:")
    if stored:
        st.html(verifications_html(stored))


def _verify_and_remember(source: Source, point: OperatingPoint, split: str) -> None:
    try:
        found = verify(source, split, point.id)
    except OverreadError as error:
        st.error(plain(error), icon=":material/block:")
        return
    st.session_state["verified"] = found


def _open(point: str) -> None:
    st.session_state[WITHDRAWING] = point


def _close() -> None:
    st.session_state[WITHDRAWING] = ""


@st.dialog("Withdraw this operating point", icon=":material/undo:", on_dismiss=_close)
def draw_withdrawal(source: Source, point: OperatingPoint) -> None:
    """Ask who withdraws the point and why. It stays in the list, and nothing uses it from then on."""
    st.html(f'<p class="answer"><b>{_title(point)}</b></p>')
    widgets.note("It stays in the list with the reason. Pages, commands and the service refuse it from then on.")
    reader = draw_reader_field()
    reason = st.text_input("Reason", key="withdraw_reason")
    with st.container(horizontal=True):
        if st.button("Withdraw", key="withdraw_now", type="primary", disabled=not (reader and (reason or "").strip())):
            kept, name = click_notes.kept(), reader_name()
            try:
                withdraw(source, point.id, reason, name)
            except OverreadError as error:
                st.error(plain(error), icon=":material/block:")
                return
            kept[WITHDRAWN] = point.id
            st.rerun()
        if st.button("Cancel", key="withdraw_cancel"):
            _close()
            st.rerun()


def _title(point: OperatingPoint) -> str:
    """`0.4312 chosen on tune, 2026-11-24, 3f2a...`"""
    high = "" if point.threshold_high is None else f" to {point.threshold_high:.4f}"
    ended = ", withdrawn" if point.withdrawn else ""
    return f"{point.threshold:.4f}{high}, chosen on {point.split}, {point.date[:10]}, {point.id}{ended}"


def _rate_html(row: dict, rate: Rate) -> str:
    """`92.1% (88.6-94.6)`, or Not estimable."""
    value, *interval = interval_text(row, rate.name, rate.format).split(" (")
    if value == "not estimable":
        return "<b>Not estimable</b>"
    return f"<b>{value}</b>" + (f" <small>({interval[0]}</small>" if interval else "")
