"""Rows of verdicts joined to the studies of indexed data sets, with repeated and contradictory rows of one reader."""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data import mura_paths
from core.data.index import list_datasets, read_index
from core.data.joins import SHOWN, JoinReport, Key, join, refuse_without_match
from core.data.notes import Note
from core.plural import count_text
from core.review.vocabulary import reviewer_key

_READ = ("verdict", "reading")


@dataclass(frozen=True)
class VerdictJoin:
    """The report of the join, notes on rows that nearly match, and lines of repeated and of contradictory rows."""

    report: JoinReport
    notes: list[Note]
    repeated: frozenset[int]
    contradicting: dict[int, str]


def with_index_ids(rows: list[tuple[int, dict]], dataset: str, file: Path) -> tuple[list[tuple[int, dict]], list[Note]]:
    """The rows with study ids of the index for paths in MURA's layout (any prefix, either slash), and a note of them.

    A path whose study is in no index, or in several splits without naming one, is left as it is.
    """
    ids: dict[str, dict] = {}
    for name in {record.get("dataset") or dataset for _, record in rows} & {found.name for found in list_datasets()}:
        known = read_index(name)["study_id"].unique()
        ids[name] = {study: study for study in known}
        by_key = defaultdict(list)
        for study in known:
            if place := mura_paths.parse_study_id(study):
                by_key[place.study_key].append(study)
        ids[name] |= {key: studies[0] for key, studies in by_key.items() if len(studies) == 1}
    found, count = [], 0
    for line, record in rows:
        study, known = record.get("study_id") or "", ids.get(record.get("dataset") or dataset, {})
        place = mura_paths.parse(study) if study not in known else None
        own = place and (known.get(place.study_id) or known.get(place.study_key))
        count += bool(own)
        found.append((line, {**record, "study_id": own} if own else record))
    text = f"{file.name}: read from paths in MURA's layout: the studies of {count_text(count, 'row')}"
    return found, [Note(text, "mura-paths")] if count else []


def join_verdicts(rows: list[tuple[int, dict]], dataset: str, file: Path, allow_unmatched: bool) -> VerdictJoin:
    """Join rows (line, record) to the studies of the data sets that they name, `dataset` where they name none.

    OverreadError if data sets are indexed here and no row names a study of theirs, unless that is allowed.
    """
    named = [(record.get("dataset") or dataset, record.get("study_id") or "") for _, record in rows]
    indexed = {found.name for found in list_datasets()} & {name for name, _ in named}
    studies = [(name, study) for name in sorted(indexed) for study in read_index(name)["study_id"].unique()]
    several = len({name for name, _ in named}) > 1

    def text(name: str, study: str) -> str:
        return f"{name}: {study}" if several and study else study

    lines = pd.DataFrame(index=np.array([line for line, _ in rows], dtype=int))
    key = Key("study_id", [text(*study) for study in studies], [text(*study) for study in named], paths=True)
    joined = join([study for _, study in studies], lines, [key], f"{file.name} and studies by study_id")
    if studies:
        refuse_without_match(joined, file, f"studies of {', '.join(sorted(indexed))}", allow_unmatched)
    repeated, contradicting = _same_reader(rows, named)
    places = {line: place for place, (line, _) in enumerate(rows)}
    report = replace(
        joined.report,
        duplicates=len(repeated),
        contradictions=len({named[places[line]] for line in contradicting}),
        examples=(
            *[one for one in joined.report.examples if one["kind"] in ("unmatched_rows", "items_without_row")],
            *[_example("duplicates", line, named[places[line]][1]) for line in sorted(repeated)[:SHOWN]],
            *[_example("contradictions", line, named[places[line]][1]) for line in sorted(contradicting)[:SHOWN]],
        ),
    )
    return VerdictJoin(report, joined.notes, frozenset(repeated), contradicting)


def _same_reader(rows: list[tuple[int, dict]], named: list[tuple[str, str]]) -> tuple[set[int], dict[int, str]]:
    """Lines that repeat another row, and lines whose reader gives a study another verdict elsewhere in the file.

    Rows with an id or a time are entries of a log, where a later one may change an earlier one.
    """
    groups = defaultdict(list)
    for (line, record), study in zip(rows, named):
        if not record.get("id") and not record.get("created") and record.get("reviewer") and study[1]:
            groups[(*study, reviewer_key(" ".join(record["reviewer"].split())), record.get("kind") or "")].append(
                (line, record)
            )
    repeated: set[int] = set()
    contradicting: dict[int, str] = {}
    for own in groups.values():
        first = own[0]
        if len({tuple(record.get(name) or "" for name in _READ) for _, record in own}) > 1:
            lines = ", ".join(str(line) for line, _ in own[:SHOWN])
            contradicting |= dict.fromkeys((line for line, _ in own), lines)
        else:
            repeated |= {line for line, record in own[1:] if record == first[1]}
    return repeated, contradicting


def _example(kind: str, line: int, study: str) -> dict:
    return {"kind": kind, "row": line, "key": study[:120]}
