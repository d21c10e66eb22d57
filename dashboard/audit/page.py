"""The Audit page: one line for each check of the data set, the worst first, each with its gallery."""

import json
from html import escape
from urllib.parse import urlencode

import streamlit as st

from core.audit.findings import AuditFinding, list_findings
from core.data.index import Dataset
from core.errors import OverreadError
from core.plural import count_text
from core.workflows.audit_job import enqueue_audit, find_audit_job
from dashboard.audit.galleries import draw_gallery
from dashboard.audit.loader import audit
from dashboard.shared import address, clicks, selection, widgets
from dashboard.shared.job_status import draw_job
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

TONES = {"fail": "missed", "alarm": "abnormal", "note": "unknown", "pass": "normal"}


def draw_page() -> None:
    dataset = selection.current().dataset
    found = audit(dataset)
    if found is None:
        widgets.heading("Audit", dataset, dataset.name)
        draw_offer(dataset)
        return
    findings = list_findings(found)
    widgets.heading("Audit", dataset, dataset.name, count_text(found.radiographs, "radiograph"), summary(findings))
    # The table is above the selector and marks its choice, so the table is drawn last.
    table = st.container()
    shown = choose_finding(findings)
    with table:
        draw_findings(findings, shown)
    if shown:
        widgets.caption(shown.title, shown.words)
        draw_gallery(dataset, found, shown.key)
    st.download_button(
        "Download the audit as JSON",
        lambda: json.dumps(found.to_dict(), indent=1),
        f"{dataset.name}-audit.json",
        "application/json",
        on_click="ignore",
    )


def draw_offer(dataset: Dataset) -> None:
    """Draw a button that queues an audit, and the progress of a queued one."""
    widgets.empty(
        f"The current index of {dataset.name} has not been audited",
        "An audit measures every radiograph and compares it with every other. It continues if you close this page. In "
        "a terminal:",
        f"python -m core audit {dataset.name}",
    )
    active = draw_job(
        lambda: find_audit_job(dataset), lambda job: f"Auditing {dataset.name}", "Radiographs decoded so far are kept."
    )
    if st.button("Audit now", type="primary", key="audit_now", **gate("compute", active)):
        try:
            enqueue_audit(dataset)
        except OverreadError as error:
            st.error(plain(error))
        else:
            st.rerun()


def summary(findings: list[AuditFinding]) -> str:
    """How many checks failed, raised an alarm or passed."""
    levels = [finding.level for finding in findings]
    failed, alarms, passed = (levels.count(level) for level in ("fail", "alarm", "pass"))
    parts = [(failed, f"{failed} failed"), (alarms, count_text(alarms, "alarm")), (passed, f"{passed} passed")]
    return ", ".join(text for count, text in parts if count)


def choose_finding(findings: list[AuditFinding]) -> AuditFinding | None:
    """The finding whose gallery is open, at first the worst; None where no finding has one."""
    titles = {finding.title: finding for finding in findings if finding.has_evidence}
    clicks.on_card(lambda title: st.session_state.update(finding=title))
    if not titles:
        return None
    title = address.bound(st.selectbox, "Finding", list(titles), key="finding", label_visibility="collapsed", width=420)
    return titles[title]


def draw_findings(findings: list[AuditFinding], shown: AuditFinding | None) -> None:
    """Draw one line for each check, as a link where it has a gallery; checks that found nothing share one line."""
    rows = []
    for finding in findings:
        title = escape(finding.title)
        if finding.has_evidence:
            query = urlencode({"data": st.session_state.get("data", ""), "finding": finding.title})
            title = f'<a href="audit?{escape(query)}" data-study="{title}">{title}</a>'
        if finding.words != "none":
            rows.append(_row(finding, title, shown is not None and finding.key == shown.key))
    clear = [finding.title.lower() for finding in findings if finding.words == "none"]
    if clear:
        rows.append(_row(AuditFinding("", "None found", "pass", ", ".join(clear)), "None found", False))
    st.html(f'<div class="table tight verdicts"><table>{"".join(rows)}</table></div>')


def _row(finding: AuditFinding, title: str, chosen: bool) -> str:
    kind = ' class="chosen"' if chosen else ""
    return (
        f'<tr{kind}><td><span class="mark {TONES[finding.level]}">{finding.mark.capitalize()}</span></td>'
        f"<td>{title}</td><td class='wrap'>{escape(finding.words)}</td></tr>"
    )


draw_page()
