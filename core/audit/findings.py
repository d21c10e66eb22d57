"""The findings of an audit: one for each check, with a sentence and a level, the worst first."""

from dataclasses import dataclass

from core.audit.audit import QUALITY_CHECKS, Audit
from core.plural import count_clause, count_text

MARKS = {"fail": "FAIL", "alarm": "ALARM", "note": "NOTE", "pass": "ok"}
_ORDER = ("fail", "alarm", "note", "pass")


@dataclass(frozen=True)
class AuditFinding:
    """The result of one check. key: the check's name in links. level: fail (training refuses), alarm, note or pass.

    has_evidence: whether the audit has radiographs, files or figures to show for it.
    """

    key: str
    title: str
    level: str
    words: str
    has_evidence: bool = False

    @property
    def mark(self) -> str:
        """The level as it is printed."""
        return MARKS[self.level]


def list_findings(audit: Audit) -> list[AuditFinding]:
    """Return the finding of every check, the worst first."""
    findings = [
        _patient_overlap(audit),
        _copies_across_studies(audit),
        _count("within", "Copies within a study", audit.duplicates_within, "note", "group", "of copies, as expected"),
        _count("unreadable", "Unreadable files", audit.unreadable, "alarm", "file", "cannot be read"),
        _count("labels", "Labels in conflict", audit.label_conflicts, "alarm", "study or copy", "with both labels"),
        _count(
            "conflicts", "Conflicts in the source", audit.conflicts, "note", "disagreement", "of tables and folders"
        ),
        _count("converted", "Converted files", audit.converted, "note", "file", "not stored as plain grey or colour"),
        _count("stray", "Stray files", audit.stray, "note", "file", "of no radiograph of the set"),
        _shortcut(audit),
        *[
            _count(
                f"quality:{name}",
                name.capitalize(),
                audit.quality.get(name, []),
                "note",
                "radiograph",
                f"({check.words})",
            )
            for name, check in QUALITY_CHECKS.items()
        ],
    ]
    return sorted(findings, key=lambda finding: _ORDER.index(finding.level))


def _patient_overlap(audit: Audit) -> AuditFinding:
    title = "Patients in several splits"
    if audit.patient_overlap:
        names = ", ".join(entry["patient"] for entry in audit.patient_overlap[:3])
        more = ", ..." if len(audit.patient_overlap) > 3 else ""
        patients = count_text(len(audit.patient_overlap), "patient")
        words = f"{patients} in more than one split ({names}{more}); training refuses this data set"
        return AuditFinding("overlap", title, "fail", words, True)
    without = audit.radiographs_without_patient
    if not audit.patients_known:
        words = "cannot be judged: no patient is known; groups of copies are used instead"
        return AuditFinding("overlap", title, "alarm", words)
    if without:
        words = f"none of {count_text(audit.patients_known, 'known patient')}; "
        words += f"{count_clause(without, 'radiograph', 'have')} no known patient"
        return AuditFinding("overlap", title, "alarm", words)
    return AuditFinding("overlap", title, "pass", f"none of {count_text(audit.patients_known, 'patient')}")


def _copies_across_studies(audit: Audit) -> AuditFinding:
    title = "Copies across studies"
    groups = audit.duplicates_across
    if not groups:
        return AuditFinding("across", title, "pass", "none")
    splits = sum(len({row["split"] for row in group}) > 1 for group in groups)
    patients = sum(len({row["patient"] for row in group} - {None}) > 1 for group in groups)
    words = f"{count_text(len(groups), 'group')} of copies, {splits} across splits and {patients} across known patients"
    return AuditFinding("across", title, "alarm", words, True)


def _count(key: str, title: str, entries: list, level: str, unit: str, words: str) -> AuditFinding:
    if not entries:
        return AuditFinding(key, title, "pass", "none")
    return AuditFinding(key, title, level, f"{count_text(len(entries), unit)} {words}", True)


def _shortcut(audit: Audit) -> AuditFinding:
    title = "Shortcut"
    value, low, high = (audit.shortcut[key] for key in ("value", "low", "high"))
    if value is None:
        return AuditFinding("shortcut", title, "note", audit.shortcut["why"])
    interval = "" if low is None else f" ({low:.3f}-{high:.3f})"
    words = f"the label is predicted from size, view, bone and grey levels alone with AUROC {value:.3f}{interval}"
    level = "alarm" if (low or value) > 0.6 else "pass"
    return AuditFinding("shortcut", title, level, words, True)
