"""Patients and studies of DICOM headers: ids with and without an issuer, and studies of several body parts."""

from collections import defaultdict
from collections.abc import Sequence

from core.data.missing import is_missing
from core.data.notes import Note
from core.plural import count_clause

# Facts that must agree, wherever both headers give them, before a patient id without an issuer is linked to the same
# id with an issuer.
_PERSONAL = ("name", "birth", "sex")


def patient_keys(headers: Sequence[dict]) -> tuple[list[str], list[Note]]:
    """`issuer|id` of each header's patient, '' for a missing id; notes on ids that occur with and without an issuer.

    An id without an issuer takes the one issuer that the same id has elsewhere, if name, birth date and sex agree.
    """
    people = defaultdict(list)
    for header in headers:
        if not is_missing(header["patient"]):
            people[header["patient"]].append(header)
    linked, open_ids, several = {}, 0, 0
    for patient, own in people.items():
        issuers = {header["issuer"] for header in own if not is_missing(header["issuer"])}
        bare = any(is_missing(header["issuer"]) for header in own)
        several += len(issuers) > 1
        if bare and len(issuers) == 1 and _agree(own):
            linked[patient] = next(iter(issuers))
        elif bare and issuers:
            open_ids += 1
    notes = []
    if linked:
        notes.append(
            Note(
                f"{count_clause(len(linked), 'patient id', 'occur')} with and without an issuer; name, birth date and "
                "sex agree, so "
                "each counts as one patient",
                "patient-issuer-linked",
            )
        )
    if open_ids:
        notes.append(
            Note(
                f"{count_clause(open_ids, 'patient id', 'occur')} with and without an issuer, and name, birth date, "
                "sex or issuers differ; they count as different patients, who may be in different splits",
                "patient-issuer-differs",
            )
        )
    if several:
        notes.append(
            Note(
                f"{count_clause(several, 'patient id', 'occur')} with different issuers: different patients",
                "issuers-differ",
            )
        )
    keys = []
    for header in headers:
        if is_missing(header["patient"]):
            keys.append("")
        else:
            issuer = "" if is_missing(header["issuer"]) else header["issuer"]
            keys.append(f"{issuer or linked.get(header['patient'], '')}|{header['patient']}")
    return keys, notes


def study_parts(headers: Sequence[dict], bones: Sequence[str]) -> tuple[list[str], list[str], list[Note]]:
    """The addition to each header's StudyInstanceUID that names its study ('' or the body part), its bone, and notes.

    One UID with several body parts is several studies. A radiograph without a body part has that of the others of its
    study, if they have one.
    """
    parts = defaultdict(set)
    for header, bone in zip(headers, bones):
        parts[header["study"]].add(bone)
    parts.pop("", None)
    suffixes, final, filled = [], [], 0
    for header, bone in zip(headers, bones):
        known = parts.get(header["study"], {bone}) - {"unknown"}
        if bone == "unknown" and len(known) == 1:
            bone, filled = next(iter(known)), filled + 1
        suffixes.append(f"/{bone}" if len(known) > 1 else "")
        final.append(bone)
    notes = []
    if several := sum(len(found - {"unknown"}) > 1 for found in parts.values()):
        notes.append(
            Note(
                f"{several:,} StudyInstanceUIDs have radiographs of several body parts; each body part is a study of "
                "its own",
                "study-of-several-parts",
            )
        )
    if filled:
        notes.append(
            Note(
                f"{count_clause(filled, 'radiograph', 'name')} no body part: that of the others of the study is used",
                "body-part-of-study",
            )
        )
    return suffixes, final, notes


def _agree(headers: Sequence[dict]) -> bool:
    for name in _PERSONAL:
        given = {_plain(header.get(name, "")) for header in headers if not is_missing(header.get(name, ""))}
        if len(given) > 1:
            return False
    return True


def _plain(text: str) -> str:
    return " ".join(text.replace("^", " ").replace("=", " ").lower().split())
