"""What is wrong with the data set: one line a check, the worst first, each with its gallery."""

import json
from html import escape
from urllib.parse import urlencode

import streamlit as st

from core.audit.findings import Finding, list_findings
from core.data.index import Dataset
from core.errors import OverreadError
from core.workflows.audit_job import enqueue_audit, find_audit_job
from dashboard.audit import findings
from dashboard.audit.loader import audit
from dashboard.shared import clicks, selection, widgets
from dashboard.shared.job_status import draw_job

TONES = {"fail": "missed", "alarm": "abnormal", "note": "unknown", "pass": "normal"}


def show() -> None:
    dataset = selection.current().dataset
    found = audit(dataset)
    if found is None:
        widgets.heading("Audit", dataset, dataset.name)
        offer(dataset)
        return
    lines = list_findings(found)
    widgets.heading("Audit", dataset, dataset.name, f"{found.radiographs:,} radiographs", summary(lines))
    # The lines stand above the selector and mark what it holds.
    table = st.container()
    shown = choose(lines)
    with table:
        show_lines(lines, shown)
    if shown:
        widgets.caption(shown.title, shown.words)
        findings.show(dataset, found, shown.key)
    st.download_button(
        "The whole audit as JSON",
        lambda: json.dumps(found.to_dict(), indent=1),
        f"{dataset.name}-audit.json",
        "application/json",
        on_click="ignore",
    )


def offer(dataset: Dataset) -> None:
    """Offer to queue an audit, or show how far it is."""
    widgets.empty(
        f"{dataset.name} has not been audited as it is now",
        "Every radiograph is measured and compared with every other. The audit continues if you close this page. In a "
        "terminal:",
        f"python -m core audit {dataset.name}",
    )
    active = draw_job(
        lambda: find_audit_job(dataset), lambda job: f"Auditing {dataset.name}", "Radiographs decoded so far are kept."
    )
    if st.button("Audit now", type="primary", key="audit_now", disabled=active):
        try:
            enqueue_audit(dataset)
        except OverreadError as error:
            st.error(str(error))
        else:
            st.rerun()


def summary(lines: list[Finding]) -> str:
    """How many checks failed, raised an alarm or passed."""
    levels = [line.level for line in lines]
    alarms = levels.count("alarm")
    parts = [
        (levels.count("fail"), "failed"),
        (alarms, "alarm" if alarms == 1 else "alarms"),
        (levels.count("pass"), "passed"),
    ]
    return ", ".join(f"{count} {word}" for count, word in parts if count)


def choose(lines: list[Finding]) -> Finding | None:
    """The finding whose gallery is open; it lives in the URL. The worst, until another is chosen."""
    found = {line.title: line for line in lines if opens(line)}
    clicks.on_card(lambda title: st.session_state.update(finding=title))
    if not found:
        return None
    title = st.selectbox(
        "Finding", list(found), key="finding", bind="query-params", label_visibility="collapsed", width=420
    )
    return found[title]


def opens(line: Finding) -> bool:
    """Whether there is something to look at."""
    if line.key == "shortcut":
        return line.words.startswith("the label")
    return line.level != "pass" and not line.words.startswith(("cannot be judged", "none"))


def show_lines(lines: list[Finding], shown: Finding | None) -> None:
    """One line a check; those with radiographs are links that open them, those without a finding are named together."""
    rows = []
    for line in lines:
        title = escape(line.title)
        if opens(line):
            query = urlencode({"data": st.session_state.get("data", ""), "finding": line.title})
            title = f'<a href="audit?{escape(query)}" data-study="{title}">{title}</a>'
        if line.level != "pass" or line.words != "none":
            rows.append(_row(line.level, line.mark, title, line.words, shown is not None and line.key == shown.key))
    clear = [line.title.lower() for line in lines if line.level == "pass" and line.words == "none"]
    if clear:
        rows.append(_row("pass", "ok", "None found", ", ".join(clear), False))
    st.html(f'<div class="table tight verdicts"><table>{"".join(rows)}</table></div>')


def _row(level: str, mark: str, title: str, words: str, chosen: bool) -> str:
    kind = ' class="chosen"' if chosen else ""
    return (
        f'<tr{kind}><td><span class="mark {TONES[level]}">{mark.capitalize()}</span></td>'
        f"<td>{title}</td><td class='wrap'>{escape(words)}</td></tr>"
    )


show()
