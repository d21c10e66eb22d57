"""Scores of a model that was not trained here: a named table of PREDICTIONS and where it came from. No torch.

`imported/<name>/predictions.parquet`, and `imported.json` with the source file, its hash, the columns used, the counts,
what is worth knowing (`notes`) and the hash of the predictions. The name is the folder's.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core import paths
from core.errors import OverreadError
from core.models.checkpoint import file_hash
from core.paths import home, imported_folder, write_atomically
from core.schema import PREDICTIONS, check
from core.scores import import_table
from core.scores.import_frame import Columns, frame_of, matched, note_doubts
from core.scores.predictions import read_file

DESCRIPTION, SCORES, NEW = "imported.json", "predictions.parquet", "predictions.new.parquet"


@dataclass(frozen=True)
class Imported:
    """The description of an imported set."""

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

    @property
    def folder(self) -> Path:
        return imported_folder(self.name)

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the predictions' hash."""
        return f"{self.name}@{self.predictions_hash[:8]}"


def import_scores(
    file: Path | str, name: str, columns: Columns, is_logit: bool = False, data: str = "", raw: bool = False
) -> Imported:
    """Read, check and keep a table of scores under a name; an older one of that name is replaced.

    data: an indexed data set whose radiographs these are, matched by image id. raw: the scores are neither
    probabilities nor logits, and only their order is kept, as dense ranks / (distinct values + 1). OverreadError
    where a row cannot be meant: nothing is guessed and nothing is left out silently.
    """
    file, folder = Path(file), imported_folder(name)
    if (paths.CHECKPOINTS / name).exists():
        raise OverreadError(f"There is a checkpoint {name!r} already; give the imported scores another --name.")
    if is_logit and raw:
        raise OverreadError("--logit and --raw exclude each other; give the one that the scores are.")
    table = import_table.read_table(file)
    notes: list[str] = []
    scale = "raw" if raw else "logit" if is_logit else "probability"
    frame = frame_of(table, columns, scale, file, notes)
    reference = ""
    if data:
        frame, reference = matched(frame, columns, data, file, notes)
    # The source's hash says which scores these are; the predictions' own hash is taken once they are written.
    frame["checkpoint"], frame["dataset"] = name, reference or f"{name}@{file_hash(file)[:8]}"
    optional = [extra for extra in ("probability", "given") if extra in frame]
    frame = check(frame[[*PREDICTIONS, *optional]], PREDICTIONS, str(file))
    note_doubts(frame, columns, notes)
    # Beside the scores there are, and put in their place below, when both files can be switched.
    write_atomically(folder / NEW, lambda path: frame.to_parquet(path, index=False))
    per_study = frame.groupby("study_id", sort=False)["label"].agg(["min", "max"])
    imported = Imported(
        name=name,
        source=file.name,
        source_hash=file_hash(file),
        columns={key: value for key, value in asdict(columns).items() if value},
        scale=scale,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        predictions_hash=file_hash(folder / NEW),
        dataset=reference,
        rows=len(frame),
        studies=len(per_study),
        abnormal=int(((per_study["min"] == 1) & (per_study["max"] == 1)).sum()),
        patients=int(frame["patient_id"].nunique()),
        splits={key: int(count) for key, count in frame["split"].value_counts().items()},
        bones={key: int(count) for key, count in frame["bone"].value_counts().items()},
        notes=notes,
    )
    return _put(imported)


def _put(imported: Imported) -> Imported:
    """Switch to new scores. Until they are in place the description tells of the older ones too: a kill leaves one."""
    folder, described = imported.folder, asdict(imported)
    try:
        before = {"before": asdict(read_imported(imported.name))}
    except OverreadError:
        before = {}
    for facts in ({**described, **before}, described):
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        write_atomically(folder / DESCRIPTION, lambda path, text=text: path.write_text(text, encoding="utf-8"))
        if (folder / NEW).exists():
            os.replace(folder / NEW, folder / SCORES)
    return imported


def read_imported(name: str) -> Imported:
    """The description of an imported set. OverreadError names the ones there are."""
    file = imported_folder(name) / DESCRIPTION
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        before = facts.pop("before", None)
        if before and file_hash(file.with_name(SCORES)) == before["predictions_hash"]:
            facts = before  # a newer import was cut off before its scores were in place
        # The name is the folder's, so that a folder may be renamed or copied.
        return Imported(**{**facts, "name": name})
    except FileNotFoundError:
        there = ", ".join(found.name for found in list_imported()) or "none yet"
        raise OverreadError(
            f"There are no imported scores {name!r} (there: {there}). Import them with: "
            f"python -m core import-predictions FILE --name {name} --label COLUMN --score COLUMN"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OverreadError(f"{file} is damaged ({error}); import the scores again.") from error


def imported_predictions(imported: Imported) -> pd.DataFrame:
    """PREDICTIONS of an imported set, with its probabilities as they came. OverreadError where the file was altered."""
    file = imported.folder / SCORES
    if file.exists() and file_hash(file) != imported.predictions_hash:
        raise OverreadError(
            f"{file} does not have the hash noted in {DESCRIPTION}: it was altered, or an import was cut off. "
            "Import the scores again."
        )
    return read_file(file).assign(checkpoint=imported.reference)


def given_at(frame: pd.DataFrame, studies: pd.DataFrame, threshold: float) -> float | None:
    """A threshold in the numbers of the file: the lowest of them that is called abnormal; None where a study has
    several radiographs, so that no one number decides, or nothing is called abnormal."""
    called = studies["score"].to_numpy() >= threshold
    if len(frame) != len(studies) or not called.any():
        return None
    # One radiograph a study, so both stand in the same order.
    name = next(name for name in ("given", "probability", "logit") if name in frame)
    return float(frame[name].to_numpy()[called].min())


def list_imported() -> list[Imported]:
    """Every imported set that can be read, by name."""
    found = []
    for file in sorted((home() / "imported").glob(f"*/{DESCRIPTION}")):
        try:
            found.append(read_imported(file.parent.name))
        except OverreadError:
            continue  # named when it is asked for
    return found
