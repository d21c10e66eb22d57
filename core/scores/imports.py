"""Imported scores: the PREDICTIONS of a model that was not trained here, under a name, and their origin. No torch.

`imported/<name>/` in the workspace has `predictions.parquet`, and `imported.json` with the source file, its hash, the
columns used, the counts, remarks (`notes`) and the hash of the predictions. The name is that of the folder.
"""

import os
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.checksums import file_hash, read_json, write_json
from core.data.datasets import conflicting_studies
from core.data.earlier_index import labelled_rows
from core.data.joins import JoinReport
from core.data.label_levels import StoredRule
from core.data.notes import note_rows, notes_of
from core.errors import OverreadError, reason_of
from core.parquet_files import write_parquet
from core.paths import home, imported_folder
from core.scores.predictions import read_file

DESCRIPTION, SCORES, NEW = "imported.json", "predictions.parquet", "predictions.new.parquet"


@dataclass(frozen=True)
class ImportedScores:
    """The description of an imported set.

    label_level, study_rule: `core.data.label_levels`. extra: {further column: number, date or category}.
    """

    name: str
    source: str
    source_hash: str
    columns: dict
    scale: str
    dataset: str
    rows: int
    studies: int
    abnormal: int
    patients: int
    splits: dict
    bones: dict
    # Both are empty until the scores are stored.
    created: str = ""
    predictions_hash: str = ""
    notes: list = field(default_factory=list)
    label_level: str = ""
    study_rule: str = ""
    extra: dict = field(default_factory=dict)
    # Imports of version 0.1 have none of these.
    normal: int | None = None
    unknown: int | None = None
    joins: list = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder of the scores in the workspace."""
        return imported_folder(self.name)

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the predictions' hash."""
        return f"{self.name}@{self.predictions_hash[:8]}"


def _described(imported: ImportedScores) -> dict:
    """As stored: the ids of rows may identify patients, so that examples name rows by number only."""
    joins = [report.without_keys() for report in imported.joins]
    return {**asdict(imported), "notes": note_rows(imported.notes, anonymous=True), "joins": joins}


def store_import(frame: pd.DataFrame, imported: ImportedScores) -> ImportedScores:
    """Store PREDICTIONS and their description under a name, in place of an older set of that name.

    The time and the hash of the predictions are set here. Until the new scores are in place the description includes
    the older ones, so that a process that is killed loses neither.
    """
    folder = imported.folder
    write_parquet(folder / NEW, frame, beside=False)  # the description has its hash
    imported = replace(
        imported,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        predictions_hash=file_hash(folder / NEW),
    )
    described = _described(imported)
    try:
        before = {"before": _described(read_imported(imported.name))}
    except OverreadError:
        before = {}
    for facts in ({**described, **before}, described):
        write_json(folder / DESCRIPTION, facts, indent=1)
        if (folder / NEW).exists():
            os.replace(folder / NEW, folder / SCORES)
    return imported


def read_imported(name: str) -> ImportedScores:
    """The description of an imported set. OverreadError lists the sets that exist."""
    file = imported_folder(name) / DESCRIPTION
    try:
        facts = read_json(file)
        before = facts.pop("before", None)
        if before and file_hash(file.with_name(SCORES)) == before["predictions_hash"]:
            facts = before  # a newer import was interrupted before its scores were in place
        facts |= {"notes": notes_of(facts.get("notes", []))}
        facts |= {"joins": [JoinReport(**report) for report in facts.get("joins", [])]}
        # The name is the folder's, so that a folder may be renamed or copied.
        return ImportedScores(**{**facts, "name": name})
    except FileNotFoundError:
        known = ", ".join(found.name for found in list_imported()) or "none yet"
        raise OverreadError(
            f"There are no imported scores {name!r} (imported: {known}). Import them with: "
            f"python -m core import-predictions FILE --name {name} --label COLUMN --score COLUMN",
            code="no-imported-scores",
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OverreadError(
            f"{file} is damaged ({reason_of(error)}); import the scores again.", code="import-damaged"
        ) from error


def imported_predictions(imported: ImportedScores) -> pd.DataFrame:
    """PREDICTIONS of an imported set, with its original probabilities. OverreadError where the file was altered."""
    file = imported.folder / SCORES
    if file.exists() and file_hash(file) != imported.predictions_hash:
        raise OverreadError(
            f"{file} does not have the hash recorded in {DESCRIPTION}: it was altered, or an import was interrupted. "
            "Import the scores again.",
            code="imported-scores-altered",
        )
    return read_file(file).assign(checkpoint=imported.reference)


def threshold_in_file(frame: pd.DataFrame, studies: pd.DataFrame, threshold: float) -> float | None:
    """The threshold in the numbers of the imported file: the lowest number that is called abnormal.

    None where a study has several radiographs, so that no single number decides, or nothing is called abnormal.
    """
    called = studies["score"].to_numpy() >= threshold
    if len(frame) != len(studies) or not called.any():
        return None
    # Each study has one radiograph, so both tables have the same order.
    name = next(name for name in ("given", "probability", "logit") if name in frame)
    return float(frame[name].to_numpy()[called].min())


def earlier_import(name: str) -> tuple[pd.DataFrame | None, StoredRule | None]:
    """Of the scores stored under this name: image_id and own label of the labelled radiographs, and the label rule.

    Both are None where there are none, or they cannot be read.
    """
    try:
        imported = read_imported(name)
        frame = imported_predictions(imported)
    except OverreadError:
        return None, None
    rule = StoredRule(imported.label_level, imported.study_rule, bool(conflicting_studies(frame)))
    named = imported.columns.get("image") or imported.columns.get("study")
    return (labelled_rows(frame, "image_id") if named else None), rule


def list_imported() -> list[ImportedScores]:
    """Every imported set that can be read, by name."""
    found = []
    for file in sorted((home() / "imported").glob(f"*/{DESCRIPTION}")):
        try:
            found.append(read_imported(file.parent.name))
        except OverreadError:
            continue  # broken_imports lists it
    return found


def broken_imports() -> dict[str, str]:
    """Imported sets whose description cannot be read, each with the reason."""
    found = {}
    for file in sorted((home() / "imported").glob(f"*/{DESCRIPTION}")):
        try:
            read_imported(file.parent.name)
        except OverreadError as error:
            found[file.parent.name] = str(error)
    return found
