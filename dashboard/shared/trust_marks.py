"""The verdict on a map in words, the same on every page."""

from html import escape

from core.explain.map_record import REFUSED, UNCHECKED, MapRecord
from core.explain.trust_report import DO_NOT_TRUST, HOLDS_UP
from core.plural import count_text, share_clause

# Class, sign and words. Colour and sign each distinguish the verdicts alone.
_MARKS = {
    HOLDS_UP: ("holds", "\u2713", "This map holds up"),
    DO_NOT_TRUST: ("fails", "\u2715", "Do not trust this map"),
    UNCHECKED: ("waits", "", "Checking this map ..."),
    REFUSED: ("waits", "", "This method is refused here"),
}
_BETTER = {True: "yes", False: "no", None: "cannot be checked"}
SHOW_ALL = "Show it anyway"


def is_plain(record: MapRecord, show_all: bool) -> bool:
    """Whether a film is shown without its map: the map failed the checks, and the reader has not asked for it."""
    return record.verdict == DO_NOT_TRUST and not show_all


# The words on a film that is shown without its map: a warning about a hidden map would confuse.
NOT_SHOWN = {"kind": "waits", "words": "Map not shown: it does not hold up"}
NOT_CHECKED = "Not checked: do not trust this map"


def verdict_mark(record: MapRecord, is_waiting: bool = True) -> dict[str, str]:
    """The verdict for the film viewer, {kind, words}. is_waiting: whether its checks are being made."""
    kind, sign, words = _MARKS[record.verdict]
    if record.verdict == UNCHECKED and not is_waiting:
        words = NOT_CHECKED
    return {"kind": kind, "words": f"{sign} {words}".strip()}


def verdict_html(record: MapRecord, is_waiting: bool = True) -> str:
    """The band below a map. is_waiting: whether its checks are being made."""
    kind, sign, words = _MARKS[record.verdict]
    if record.verdict == UNCHECKED and not is_waiting:
        words = NOT_CHECKED
    return f'<p class="verdict {kind}"><span aria-hidden="true">{sign}</span> {words}</p>'


def reason_html(record: MapRecord) -> str:
    """Whether the map is better than an edge detector, and the reason of the verdict; '' until it is checked."""
    report = record.report
    if report is None:
        return ""
    failed = len(report.failed)
    count = f"{failed} of {count_text(len(report.checks), 'check')} failed: " if failed else ""
    why = report.why if failed else report.why[:1].upper() + report.why[1:]
    better = f"Better than an edge detector on this image: <b>{_BETTER[report.better_than_edges]}</b>."
    lines = f'<p class="trust"><span>{better}</span> <span>{count}{escape(why)}.</span></p>'
    return f'<details class="why"><summary aria-label="Why this verdict?">Why?</summary>{lines}</details>'


def pointing_words(record: MapRecord, finding) -> str:
    """Whether the map points at the known finding, as a sentence; '' where none is known or the map is unchecked."""
    report = record.report_with(finding)
    words = next((check.words for check in report.checks if check.name == "pointing"), "") if report else ""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def plain_note(records: list[MapRecord]) -> str:
    """One sentence where films are shown without maps because none, or only some, hold up; else ''."""
    failed = [record for record in records if record.verdict == DO_NOT_TRUST]
    if not failed:
        return ""
    if len(failed) == len(records):
        return (
            "This map does not hold up, so the film is shown without it."
            if len(records) == 1
            else "None of these maps holds up, so the films are shown without them."
        )
    return f"{share_clause(len(failed), len(records), 'map', 'do')} not hold up; their films are shown without maps."
