"""One line a check: what was found, in words, and how bad it is. Red first."""

from dataclasses import dataclass

from core.audit.audit import ODD, Audit

MARKS = {"fail": "FAIL", "alarm": "ALARM", "note": "NOTE", "pass": "ok"}
_ORDER = ("fail", "alarm", "note", "pass")


@dataclass(frozen=True)
class Verdict:
    """key: of the check, for links. level: fail (hard), alarm, note, pass."""

    key: str
    title: str
    level: str
    words: str

    @property
    def mark(self) -> str:
        """The level as a word."""
        return MARKS[self.level]


def verdicts(found: Audit) -> list[Verdict]:
    """Every check as a line, the worst first."""
    lines = [
        _overlap(found),
        _across(found),
        _count("within", "Copies within a study", found.duplicates_within, "note", "group", "of copies, as expected"),
        _count("unreadable", "Unreadable files", found.unreadable, "alarm", "file", "cannot be read"),
        _count("labels", "Labels in conflict", found.label_conflicts, "alarm", "study or copy", "with both labels"),
        _count("conflicts", "Tables against folders", found.conflicts, "note", "disagreement", "within the source"),
        _count("converted", "Stored otherwise", found.converted, "note", "file", "not stored as plain grey or colour"),
        _count("stray", "Stray files", found.stray, "note", "file", "of no radiograph of the set"),
        _shortcut(found),
        *[
            _count(f"odd:{name}", name.capitalize(), found.quality.get(name, []), "note", "radiograph", f"({words})")
            for name, (*_, words) in ODD.items()
        ],
    ]
    return sorted(lines, key=lambda line: _ORDER.index(line.level))


def _overlap(found: Audit) -> Verdict:
    title = "Patients on two sides"
    if found.patient_overlap:
        names = ", ".join(entry["patient"] for entry in found.patient_overlap[:3])
        more = ", ..." if len(found.patient_overlap) > 3 else ""
        patients = counted(len(found.patient_overlap), "patient")
        words = f"{patients} in more than one split ({names}{more}); training refuses this"
        return Verdict("overlap", title, "fail", words)
    without = found.radiographs_without_patient
    if not found.patients_known:
        return Verdict("overlap", title, "alarm", "cannot be judged: no patient is known; groups of copies stand in")
    if without:
        words = f"none of {found.patients_known:,} known patients; of {without:,} radiographs no patient is known"
        return Verdict("overlap", title, "alarm", words)
    return Verdict("overlap", title, "pass", f"none of {found.patients_known:,} patients")


def _across(found: Audit) -> Verdict:
    title = "Copies across studies"
    groups = found.duplicates_across
    if not groups:
        return Verdict("across", title, "pass", "none")
    sides = sum(len({row["split"] for row in group}) > 1 for group in groups)
    people = sum(len({row["patient"] for row in group} - {None}) > 1 for group in groups)
    words = f"{counted(len(groups), 'group')} of copies, {sides} across splits and {people} across known patients"
    return Verdict("across", title, "alarm", words)


def _count(key: str, title: str, listed: list, level: str, unit: str, words: str) -> Verdict:
    if not listed:
        return Verdict(key, title, "pass", "none")
    return Verdict(key, title, level, f"{counted(len(listed), unit)} {words}")


def counted(count: int, unit: str) -> str:
    """The count with its unit, which is in the plural from two on."""
    many = {"study or copy": "studies or copies"}.get(unit, f"{unit}s")
    return f"{count:,} {unit if count == 1 else many}"


def _shortcut(found: Audit) -> Verdict:
    title = "Shortcut"
    value, low, high = (found.shortcut[key] for key in ("value", "low", "high"))
    if value is None:
        return Verdict("shortcut", title, "note", found.shortcut["why"])
    interval = "" if low is None else f" ({low:.3f}-{high:.3f})"
    words = f"the label is guessed from size, view, bone and grey levels alone with AUROC {value:.3f}{interval}"
    level = "alarm" if (low or value) > 0.6 else "pass"
    return Verdict("shortcut", title, level, words)
