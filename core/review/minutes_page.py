"""The minutes of a walkthrough as one HTML page that needs no network and prints to PDF, and as a table for a CSV.

People write names, notes and the ids of studies, so all of them are escaped.
"""

from html import escape

import pandas as pd

from core.data.spreadsheet import csv_for_spreadsheets
from core.plural import count_text
from core.review.minutes import Change, MinutedCase, MinutedFilm, Minutes

_STYLE = """
@page { size: A4; margin: 16mm 14mm; }
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1a222d;
  background: #fff; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; hyphens: none; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .5rem; border-bottom: 1px solid #c9d1da; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
p { margin: .3rem 0; } ul { margin: .3rem 0; padding-left: 1.2rem; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0; font-size: .92em; }
th, td { border: 1px solid #d3dae2; padding: .25rem .5rem; text-align: left; vertical-align: top; }
th { background: #f1f4f7; font-weight: 600; }
td, th { overflow-wrap: break-word; word-break: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .4rem 0; }
dt { color: #4d5966; } dd { margin: 0; }
article { border-top: 1px solid #d3dae2; padding: .9rem 0; break-inside: avoid; }
.films { display: flex; flex-wrap: wrap; gap: .6rem; margin: .4rem 0; }
.case { display: grid; grid-template-columns: 3fr 2fr; gap: .2rem 1.2rem; align-items: start; }
figure { margin: 0; max-width: 48%; } figcaption { font-size: .82em; color: #4d5966; }
.film { position: relative; display: inline-block; background: #000; line-height: 0; }
.film img { max-width: 100%; max-height: 15rem; display: block; }
.film i { position: absolute; border: 2px solid #b07400; }
.film i b { position: absolute; left: 0; bottom: 100%; font: 600 11px/1.3 system-ui, sans-serif; color: #1a222d;
  background: #ffe3a6; padding: 0 .25em; white-space: nowrap; }
.refused { line-height: 1.4; background: #f1f4f7; padding: 1rem; }
.line { color: #4d5966; } .changed { font-weight: 600; } .decision { font-weight: 600; }
.note { white-space: pre-wrap; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 11pt; } h2 { break-after: avoid; }
  tr, figure { break-inside: avoid; } .film img { max-height: 4.6cm; } }
"""
CSV_COLUMNS = (
    "place", "study_id", "bone", "label", "score", "outcome", "stratum", "probability", "case_note", "reader",
    "before", "after", "boxes", "note", "decision", "action", "seconds",
)  # fmt: skip


def minutes_html(minutes: Minutes) -> str:
    """The whole page."""
    name, dataset = escape(minutes.walkthrough.name), escape(minutes.walkthrough.dataset)
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="line">Minutes of a walkthrough of {dataset}. For research use only.</p>',
        _facts(minutes),
        _changes(minutes),
        _thresholds(minutes),
        _actions(minutes),
        f'<h2>Cases</h2><p class="line">{_legend(minutes)}</p>',
        *[_case(case) for case in minutes.cases],
    ]
    if minutes.hidden:
        parts.append(f"<p>{count_text(minutes.hidden, 'case')} left out: still read blind.</p>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Minutes: {name}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def minutes_csv(minutes: Minutes) -> str:
    """One row per case and reader (CSV_COLUMNS), safe to open in a spreadsheet."""
    rows = []
    for case in minutes.cases:
        common = {
            "place": case.place, "study_id": case.study_id, "bone": case.bone, "label": case.label,
            "score": case.score, "outcome": case.outcome, "stratum": case.stratum, "probability": case.probability,
            "case_note": case.note, "decision": case.decision, "action": case.action,
            "seconds": None if case.seconds is None else round(case.seconds),
        }  # fmt: skip
        for read in case.reads:
            drawn = sum(box.reader == read.reader for film in case.films for box in film.boxes)
            rows.append({
                **common, "reader": read.reader, "before": read.before, "after": read.after, "boxes": drawn,
                "note": read.note,
            })  # fmt: skip
        if not case.reads:
            rows.append(common)
    return csv_for_spreadsheets(pd.DataFrame(rows, columns=list(CSV_COLUMNS)))


def _legend(minutes: Minutes) -> str:
    before = (
        "in the round alone, blind" if minutes.walkthrough.plan.alone_first else "blind, where an open one followed"
    )
    return f"Before: {before}. After: together. An empty cell means no verdict."


def _facts(minutes: Minutes) -> str:
    there = ", ".join(minutes.participants) or "Nobody has typed a name."
    rows = [*minutes.facts, ("Present", there)]
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows)}</dl>"


def _changes(minutes: Minutes) -> str:
    if not minutes.changes:
        return ""
    tables = "".join(_change_table(basis, changes) for basis, changes in minutes.changes.items())
    return f"<h2>What changed in the figures</h2>{tables}{_list(minutes.remarks)}"


def _change_table(basis: str, changes: tuple[Change, ...]) -> str:
    body = "".join(
        f"<tr><th>{escape(one.name)}</th><td>{escape(one.before)}</td><td>{escape(one.after)}</td></tr>"
        for one in changes
    )
    return (
        f"<h3>{escape(basis)}</h3><table><thead><tr><th></th><th>As labelled</th><th>As adjudicated</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _thresholds(minutes: Minutes) -> str:
    return f"<h2>Threshold</h2>{_list(minutes.thresholds)}" if minutes.thresholds else ""


def _actions(minutes: Minutes) -> str:
    if not minutes.actions:
        return "<h2>Actions</h2><p>None.</p>"
    body = "".join(
        f"<tr><td>{escape(one.text)}</td><td>{escape(one.owner)}</td><td>{escape(one.due or 'no date')}</td>"
        f"<td>{escape(f'closed {one.closed}' if one.closed else 'open')}</td></tr>"
        for one in minutes.actions
    )
    return (
        "<h2>Actions</h2><table><thead><tr><th>What</th><th>Who</th><th>Until</th><th>State</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _case(case: MinutedCase) -> str:
    score = "not scored" if case.score is None else f"score {case.score:.3f}"
    facts = [f"labelled {case.label}" if case.label else "no label", score, case.outcome]
    if case.seconds is not None and case.seconds >= 1:
        facts.append(f"{int(case.seconds) // 60}:{int(case.seconds) % 60:02} min")
    films = "".join(_film(film) for film in case.films)
    note = f'<p class="note">{escape(case.note)}</p>' if case.note else ""
    decision = case.decision.replace("_", " ") or "none"
    return (
        f"<article><h3>{case.place}. {_breakable(case.study_id)}</h3>"
        f'<p class="line">{escape(", ".join(fact for fact in (case.bone, *facts) if fact))}</p>{note}'
        f'<div class="case"><div class="films">{films}</div><div>{_reads(case)}</div></div>{_notes(case)}'
        f'<p>Decision: <span class="decision">{escape(decision)}</span>. {escape(case.action.capitalize())}.</p>'
        "</article>"
    )


def _film(film: MinutedFilm) -> str:
    marks = "".join(
        f'<i style="left:{100 * box.x0:.2f}%;top:{100 * box.y0:.2f}%;width:{100 * (box.x1 - box.x0):.2f}%;'
        f'height:{100 * (box.y1 - box.y0):.2f}%"><b>{escape(box.reader)}</b></i>'
        for box in film.boxes
    )
    picture = f'<img src="{escape(film.picture)}" alt="{escape(film.title)}">' if film.picture else ""
    shown = f'<div class="film">{picture}{marks}</div>' if picture else '<p class="refused">cannot be decoded</p>'
    score = "" if film.score is None else f", score {film.score:.3f}"
    drove = ", drove the score" if film.highest else ""
    return f"<figure>{shown}<figcaption>{escape(film.title)}{score}{drove}</figcaption></figure>"


def _reads(case: MinutedCase) -> str:
    if not case.reads:
        return "<p>Not read.</p>"
    body = "".join(
        f"<tr><td>{escape(read.reader)}</td><td>{escape(read.before.replace('_', ' '))}</td>"
        f"<td{_changed(read)}>{escape(read.after.replace('_', ' '))}</td></tr>"
        for read in case.reads
    )
    return f"<table><thead><tr><th>Reader</th><th>Before</th><th>After</th></tr></thead><tbody>{body}</tbody></table>"


def _notes(case: MinutedCase) -> str:
    return "".join(
        f'<p class="note">{escape(read.reader)}: {escape(read.note)}</p>' for read in case.reads if read.note
    )


def _changed(read) -> str:
    return ' class="changed"' if read.before and read.after and read.before != read.after else ""


def _list(sentences: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>" if sentences else ""


def _breakable(text: str) -> str:
    """A path that may break after a slash, and nowhere within a word."""
    return escape(text).replace("/", "/<wbr>")
