"""Imported scores: the PREDICTIONS of a model that was not trained here, under a name, and their origin. No torch.

`imported/<name>/` in the workspace has `predictions.parquet`, and `imported.json` with the source file, its hash, the
columns used, the counts, remarks (`notes`) and the hash of the predictions. The name is that of the folder.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.data.datasets import read_dataset, study_label_counts
from core.data.earlier_index import check_labels_kept
from core.data.extra_columns import extra_names, kind_of
from core.data.identities import identity_notes
from core.data.joins import JoinReport
from core.data.label_levels import IMAGE_LABEL, LabelledRows, LabelRule, label_studies
from core.data.notes import Note, note_rows, notes_of
from core.data.tables import read_table
from core.errors import OverreadError, reason_of
from core.models.checkpoint import file_hash
from core.paths import checkpoint_folder, home, imported_folder, write_atomically
from core.schema import PREDICTIONS, check
from core.scores import score_checks
from core.scores.import_frame import (
    NAMED,
    Columns,
    match_to_dataset,
    note_doubts,
    note_label_differences,
    read_frame,
    spelled,
)
from core.scores.import_join import JoinOptions, collapse_repeated
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
    created: str
    predictions_hash: str
    dataset: str
    rows: int
    studies: int
    abnormal: int
    patients: int
    splits: dict
    bones: dict
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
        return imported_folder(self.name)

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the predictions' hash."""
        return f"{self.name}@{self.predictions_hash[:8]}"


def import_scores(
    file: Path | str,
    name: str,
    columns: Columns,
    is_logit: bool = False,
    data: str = "",
    raw: bool = False,
    labels: LabelRule = LabelRule(),
    options: JoinOptions = JoinOptions(),
) -> ImportedScores:
    """Read and check a table of scores and store it under a name, in place of an older one of that name.

    data: the indexed data set of the radiographs, matched by image id. raw: the scores are neither probabilities nor
    logits; only their order is kept, as dense ranks / (distinct values + 1). OverreadError where a row cannot be
    interpreted: no value is guessed and no row is left out silently. options: of the join to the data set.
    """
    file, folder = Path(file), imported_folder(name)
    if checkpoint_folder(name).exists():
        raise OverreadError(
            f"There is a checkpoint {name!r} already; give the imported scores another --name.", code="name-taken"
        )
    if is_logit and raw:
        raise OverreadError("Pass --logit or --raw, not both.", code="options-exclusive")
    table = read_table(file)
    if table.frame.empty:
        raise OverreadError(
            f"{file} has the columns {', '.join(table.frame.columns)} and no rows; expected one per radiograph "
            "or study.",
            code="table-empty",
        )
    table.check_cells()
    columns = spelled(table, columns)
    notes: list[Note] = list(table.notes)
    joins: list[JoinReport] = []
    if key := columns.image or columns.study:
        used = [getattr(columns, option) for option in NAMED if getattr(columns, option)]
        table, repeated = collapse_repeated(table, used, columns.label, key)
        joins += [repeated] if repeated.duplicates or repeated.contradictions else []
    scale = "raw" if raw else "logit" if is_logit else "probability"
    frame = read_frame(table, columns, scale, notes, needs_label=not data)
    notes += score_checks.softmax_notes(table, columns, scale)
    reference = ""
    if data:
        frame, reference, joined = match_to_dataset(frame, columns, data, table, notes, options)
        joins.append(joined)
    labelled = _labelled(frame, labels, data, bool(columns.label), file)
    frame = labelled.frame
    notes += labelled.notes
    if data:
        note_label_differences(frame, data, notes)
    # Scores are identified by the hash of the source file; that of the predictions is known only once written.
    frame["checkpoint"], frame["dataset"] = name, reference or f"{name}@{file_hash(file)[:8]}"
    frame = check(
        frame[[*PREDICTIONS, *[column for column in frame if column not in PREDICTIONS]]], PREDICTIONS, str(file)
    )
    note_doubts(frame, columns, notes)
    notes += identity_notes(frame)
    before = _labels_before(name) if columns.image or columns.study else None  # numbers of rows name nothing
    notes += check_labels_kept(frame, before, f"the earlier scores {name}", options.allow_lost_labels)
    # A new file first; `_switch` puts it in place of the older scores, together with the description.
    write_atomically(folder / NEW, lambda path: frame.to_parquet(path, index=False))
    studies = study_label_counts(frame)
    imported = ImportedScores(
        name=name,
        source=file.name,
        source_hash=file_hash(file),
        columns={key: value for key, value in asdict(columns).items() if value},
        scale=scale,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        predictions_hash=file_hash(folder / NEW),
        dataset=reference,
        rows=len(frame),
        studies=sum(studies.values()),
        **studies,
        patients=int(frame["patient_id"].nunique()),
        splits={key: int(count) for key, count in frame["split"].value_counts().items()},
        bones={key: int(count) for key, count in frame["bone"].value_counts().items()},
        notes=notes,
        label_level=labelled.level,
        study_rule=labelled.rule,
        extra={column: kind_of(frame[column]) for column in extra_names(frame) if column != IMAGE_LABEL},
        joins=joins,
    )
    return _switch(imported)


def _labelled(frame: pd.DataFrame, labels: LabelRule, data: str, own: bool, file: Path) -> LabelledRows:
    """The rows with the labels of their studies. own: the labels are those of the file, not of the data set."""
    dataset = read_dataset(data) if data else None
    if dataset and not own:
        return LabelledRows(frame, dataset.label_level, dataset.study_rule, [])
    if dataset and dataset.kind == "mura" and not labels.level:
        labels = replace(labels, level="study")  # MURA labels studies, so other labels of its radiographs are mistakes
    return label_studies(frame, labels, file.name)


def _labels_before(name: str) -> pd.DataFrame | None:
    """image_id and label of the labelled radiographs of the scores stored under this name."""
    try:
        frame = imported_predictions(read_imported(name))
    except OverreadError:
        return None
    return frame.loc[frame["label"].notna(), ["image_id", "label"]]


def _described(imported: ImportedScores) -> dict:
    """As stored: the ids of rows may identify patients, so that examples name rows by number only."""
    joins = [report.without_keys() for report in imported.joins]
    return {**asdict(imported), "notes": note_rows(imported.notes, anonymous=True), "joins": joins}


def _switch(imported: ImportedScores) -> ImportedScores:
    """Put new scores in place. Until that is done the description includes the older ones, so a kill loses neither."""
    folder, described = imported.folder, _described(imported)
    try:
        before = {"before": _described(read_imported(imported.name))}
    except OverreadError:
        before = {}
    for facts in ({**described, **before}, described):
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        write_atomically(folder / DESCRIPTION, lambda path, text=text: path.write_text(text, encoding="utf-8"))
        if (folder / NEW).exists():
            os.replace(folder / NEW, folder / SCORES)
    return imported


def read_imported(name: str) -> ImportedScores:
    """The description of an imported set. OverreadError lists the sets that exist."""
    file = imported_folder(name) / DESCRIPTION
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
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


def list_imported() -> list[ImportedScores]:
    """Every imported set that can be read, by name."""
    found = []
    for file in sorted((home() / "imported").glob(f"*/{DESCRIPTION}")):
        try:
            found.append(read_imported(file.parent.name))
        except OverreadError:
            continue  # asking for it by name raises the error
    return found
