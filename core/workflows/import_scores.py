"""Import the scores of any model: read, check and join them first, look at the outcome, and store it then. No torch."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
from filelock import FileLock

from core.checksums import file_hash
from core.data.datasets import read_dataset, study_label_counts
from core.data.earlier_index import check_labels_kept
from core.data.extra_columns import extra_names, kind_of
from core.data.identities import identity_notes
from core.data.joins import JoinReport
from core.data.label_levels import IMAGE_LABEL, LabelledRows, LabelRule, StoredRule, label_studies
from core.data.notes import Note
from core.data.tables import Table, read_table
from core.errors import OverreadError
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.paths import checkpoint_folder, imported_folder
from core.roles import needs
from core.schema import PREDICTIONS, check
from core.scores import score_checks
from core.scores.import_frame import NAMED, SCALES, Columns, read_frame, spelled
from core.scores.import_join import JoinOptions, collapse_repeated, match_to_dataset
from core.scores.imports import DESCRIPTION, ImportedScores, earlier_import, store_import

_SPLITS = ("train", "tune", "valid", "test")


@dataclass(frozen=True)
class ImportPreview:
    """Scores that were read, checked and joined, and are not stored yet.

    frame: PREDICTIONS. imported: their description, without the time and the hash of the predictions. replaces:
    whether scores of this name exist.
    """

    frame: pd.DataFrame
    imported: ImportedScores
    replaces: bool


@dataclass(frozen=True)
class FirstFigures:
    """The studies of one split by label, and their AUROC."""

    split: str
    abnormal: int
    normal: int
    unknown: int
    auroc: Estimate


def import_scores(
    file: Path | str,
    name: str,
    columns: Columns,
    scale: str = "probability",
    data: str = "",
    labels: LabelRule = LabelRule(),
    options: JoinOptions = JoinOptions(),
) -> ImportedScores:
    """Read, check and store a table of scores under a name, in place of older scores of that name.

    The arguments are those of `prepare_import`.
    """
    return keep_import(prepare_import(file, name, columns, scale, data, labels, options))


def prepare_import(
    file: Path | str,
    name: str,
    columns: Columns,
    scale: str = "probability",
    data: str = "",
    labels: LabelRule = LabelRule(),
    options: JoinOptions = JoinOptions(),
) -> ImportPreview:
    """Read and check a table of scores, and join it to a data set, without storing anything.

    scale: 'probability', 'logit' or 'raw'. With 'raw' only the order of the scores is kept, as dense ranks / (distinct
    values + 1). data: the indexed data set of the radiographs, matched by their ids; '' for none. labels: '' keeps what
    the name had before. OverreadError where a row cannot be interpreted: no value is guessed, and no row is left out
    without a note.
    """
    file = Path(file)
    folder = imported_folder(name)
    _check(name, scale)
    table = _table(file)
    columns = spelled(table, columns)
    notes: list[Note] = list(table.notes)
    joins: list[JoinReport] = []
    if key := columns.image or columns.study:
        used = [getattr(columns, option) for option in NAMED if getattr(columns, option)]
        table, repeated = collapse_repeated(table, used, columns.label, key)
        joins += [repeated] if repeated.duplicates or repeated.contradictions else []
    frame = read_frame(table, columns, scale, notes, needs_label=not data)
    notes += score_checks.softmax_notes(table, columns, scale)
    reference = ""
    if data:
        frame, reference, joined = match_to_dataset(frame, columns, data, table, notes, options)
        joins.append(joined)
    before, stored = earlier_import(name)
    own = _labels_of_dataset(frame, data) if data and not columns.label else None
    known = own or _labels_of_file(frame, labels, data, stored, file)
    frame = known.frame
    notes += known.notes
    if data:
        score_checks.note_label_differences(frame, data, notes)
    # Scores are identified by the hash of the source file; that of the predictions is known only once written.
    frame["checkpoint"], frame["dataset"] = name, reference or f"{name}@{file_hash(file)[:8]}"
    frame = check(
        frame[[*PREDICTIONS, *[column for column in frame if column not in PREDICTIONS]]], PREDICTIONS, str(file)
    )
    score_checks.note_doubts(frame, columns, notes)
    notes += identity_notes(frame)
    if key:  # numbers of rows name nothing
        notes += check_labels_kept(frame, before, f"the earlier scores {name}", options.allow_lost_labels)
    imported = ImportedScores(
        name=name,
        source=file.name,
        source_hash=file_hash(file),
        columns={option: value for option, value in asdict(columns).items() if value},
        scale=scale,
        dataset=reference,
        notes=notes,
        joins=joins,
        label_level=known.level,
        study_rule=known.rule,
        **_counts(frame),
    )
    return ImportPreview(frame, imported, (folder / DESCRIPTION).exists())


@needs("data")
def keep_import(preview: ImportPreview, replace_earlier: bool = True) -> ImportedScores:
    """Store scores as they were prepared. replace_earlier: in place of scores of that name.

    OverreadError for a name that is taken, also if it was taken meanwhile.
    """
    name = preview.imported.name
    folder = imported_folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{name}.lock")):
        if (folder / DESCRIPTION).exists() and not replace_earlier:
            raise OverreadError(
                f"There are imported scores {name!r} already. Choose another --name, or replace them.",
                code="name-taken",
            )
        return store_import(preview.frame, preview.imported)


def first_figures(frame: pd.DataFrame) -> list[FirstFigures]:
    """The studies of each split by label, with their AUROC, of PREDICTIONS that need not be stored."""
    figures = []
    for split in (split for split in _SPLITS if (frame["split"] == split).any()):
        rows = frame[frame["split"] == split]
        studies = labelled(study_table(rows))
        figures.append(FirstFigures(split, **study_label_counts(rows), auroc=auroc(studies["score"], studies["label"])))
    return figures


def _check(name: str, scale: str) -> None:
    if checkpoint_folder(name).exists():
        raise OverreadError(
            f"There is a checkpoint {name!r} already; give the imported scores another --name.", code="name-taken"
        )
    if scale not in SCALES:
        raise OverreadError(
            f"The scale of the scores is {scale[:40]!r}; expected one of {', '.join(SCALES)}.", code="scale-unknown"
        )


def _table(file: Path) -> Table:
    table = read_table(file)
    if table.frame.empty:
        raise OverreadError(
            f"{file} has the columns {', '.join(table.frame.columns)} and no rows; expected one per radiograph "
            "or study.",
            code="table-empty",
        )
    table.check_cells()
    return table


def _labels_of_dataset(frame: pd.DataFrame, data: str) -> LabelledRows:
    """Rows with the labels of the data set, as its own index made them."""
    dataset = read_dataset(data)
    return LabelledRows(frame, dataset.label_level, dataset.study_rule, [])


def _labels_of_file(
    frame: pd.DataFrame, labels: LabelRule, data: str, stored: StoredRule | None, file: Path
) -> LabelledRows:
    """Rows with the labels of their studies, made from those of the file."""
    asked = labels.level or (stored and stored.level)
    if data and not asked and read_dataset(data).kind == "mura":
        labels = replace(labels, level="study")  # MURA labels studies, so other labels of its radiographs are mistakes
    return label_studies(frame, labels, file.name, stored)


def _counts(frame: pd.DataFrame) -> dict:
    """The counts of a description."""
    studies = study_label_counts(frame)
    return {
        "rows": len(frame),
        "studies": sum(studies.values()),
        **studies,
        "patients": int(frame["patient_id"].nunique()),
        "splits": {split: int(count) for split, count in frame["split"].value_counts().items()},
        "bones": {bone: int(count) for bone, count in frame["bone"].value_counts().items()},
        "extra": {column: kind_of(frame[column]) for column in extra_names(frame) if column != IMAGE_LABEL},
    }
