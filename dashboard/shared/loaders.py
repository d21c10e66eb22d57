"""Cached data of several pages. Each function wraps one call into `core`.

Keys are the arguments themselves: a source changes with its hashes and score files, a data set with its index, so a
new index, new scores or new weights are seen at once. `dashboard.shared.cache` says how they are hashed.
"""

import base64
import io
from functools import lru_cache
from pathlib import Path

import pandas as pd
from PIL import Image

from core.data.film_box import FilmBox, film_box
from core.data.index import Dataset, list_datasets, read_index
from core.data.pixels import UnreadableImage, read_grey
from core.data.split import overlap_table
from core.data.thumbnails import thumbnail
from core.errors import OverreadError, reason_of
from core.metrics.counts import counts_table
from core.metrics.studies import aggregations_of, labelled, study_table
from core.models.checkpoint import Checkpoint, checkpoint_folders, list_checkpoints
from core.parquet_files import read_parquet
from core.scores.first_shown import preferred_source
from core.scores.halves import in_split, whole_of
from core.scores.index_columns import study_groups as study_groups_of
from core.scores.loading import scores_if_stored
from core.scores.shards import OF_STUDIES, is_sharded
from core.scores.source import Source, source_of
from core.scores.stored_scores import read_predictions, stored_splits
from core.scores.view import View
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, looked_up_once, one_look, stamp  # noqa: F401
from dashboard.shared.imported import imported_models, imported_scores, imported_sets, scores_only  # noqa: F401

TRUTH = ("abnormality", "true_label", "visible", "x0", "y0", "x1", "y1", "defects", "label_flipped")


@looked_up_once
def datasets() -> dict[str, Dataset]:
    """Every data set by name; a handful of small files, read once per run."""
    return {dataset.name: dataset for dataset in list_datasets()}


@looked_up_once
def checkpoints() -> tuple[dict[str, Checkpoint], dict[str, str]]:
    """The complete checkpoints by name, and for each of the others the reason why it cannot be used."""
    whole, broken = _checkpoints(
        tuple(stamp(file) for folder in checkpoint_folders() for file in sorted(folder.iterdir()))
    )
    return {checkpoint.name: checkpoint for checkpoint in whole}, broken


def sources(dataset: Dataset) -> dict[str, Source]:
    """The sources on a data set, by name: checkpoints, then the imported scores that belong to it."""
    own = {} if dataset.kind == "scores" else checkpoints()[0]
    imported = {name: found for name, found in imported_models(dataset).items() if name not in own}
    return {name: source_of(model, dataset) for name, model in {**own, **imported}.items()}


def preferred(dataset: Dataset, reader: str) -> str | None:
    """The name of the model that this reader sees first; None where there is none."""
    found = preferred_source(dataset, reader, sources(dataset).values())
    return found.name if found else None


@looked_up_once
def choosable() -> dict[str, Dataset]:
    """The options of the data set selector: indexed data sets, then imported scores without radiographs."""
    return {**datasets(), **scores_only()}


def index(dataset: Dataset) -> pd.DataFrame:
    """The Index of a data set."""
    # A shallow copy, as in `predictions`.
    return _index(dataset, stamp(index_file(dataset))).copy(deep=False)


def index_file(dataset: Dataset) -> Path:
    """The file of the Index."""
    return dataset.folder / "index.parquet"


def file_hash(dataset: Dataset, image_id: str) -> str:
    """The SHA-1 of a radiograph's file."""
    rows = index(dataset)
    found = rows.loc[rows["image_id"] == image_id, "sha1"]
    if found.empty:
        raise OverreadError(
            f"The scores contain the radiograph {image_id}, which the index of {dataset.name} lacks. Score the data "
            "set again.",
            code="radiograph-not-indexed",
        )
    return found.iloc[0]


def overlap(dataset: Dataset) -> pd.DataFrame:
    """Patients on more than one side of a split."""
    return _overlap(dataset, stamp(index_file(dataset)))


def predictions(source: Source, split: str = "", columns: tuple[str, ...] = ()) -> pd.DataFrame | None:
    """The stored scores of a source; None where there are none yet.

    split, columns: what the caller needs, by default all. Of scores in shards only that is read, of a half its whole
    split; scores in one file are kept in memory as they are, so there may be more.
    """
    if source.kind == "imported":
        found = imported_scores(source)
    elif _in_shards(source):
        found = _part_of_shards(source, whole_of(split), columns)
    else:
        found = _predictions(source)
    # A shallow copy: a million rows cost nothing, and callers cannot change the shared table.
    return None if found is None else found.copy(deep=False)


def is_scored(source: Source) -> bool:
    """Whether a source has stored scores. Reads no row of scores in shards."""
    if source.kind == "imported" or not _in_shards(source):
        return predictions(source) is not None
    return bool(stored_splits(source))


def aggregations(source: Source) -> list[str]:
    """The aggregations that apply to the scores of a source, the default first; empty without scores."""
    split = stored_splits(source)[:1] if _in_shards(source) else [""]
    rows = predictions(source, split[0], ("attention", "pooling")) if split else None
    return [] if rows is None else aggregations_of(rows)


def scored_on(source: Source) -> str:
    """`name@hash8` of the data set of the stored scores. Needs scores."""
    if source.kind == "imported":
        return str(predictions(source)["dataset"].iloc[0])
    return source.dataset.reference


def studies(view: View) -> pd.DataFrame:
    """STUDIES of a view. Needs scores."""
    return _studies(view.cohort).copy(deep=False)


def study_groups(view: View) -> pd.DataFrame:
    """The groups of each study of a split by its further columns (age, sex, ...), by study_id. Needs scores."""
    return _study_groups(view.cohort.every_bone)


def counts(view: View) -> pd.DataFrame:
    """COUNTS of the labelled studies of a view. Needs scores."""
    return _counts(view.cohort).copy(deep=False)


def truth(dataset: Dataset) -> pd.DataFrame | None:
    """The known truth of a phantom set, by image_id; None for real radiographs."""
    file = Path(dataset.root) / "truth.parquet"
    return _truth(stamp(file)).copy(deep=False) if dataset.phantom and file.exists() else None


def thumbnail_uri(dataset: Dataset, path: str, sha1: str) -> str:
    """A radiograph's thumbnail as a data URI; '' where it cannot be decoded."""
    return _thumbnail_uri(dataset.folder, dataset, path, sha1)


# A page asks for some hundred: Streamlit's cache takes longer to find one than to draw its card. 20,000 of them take
# some 150 MB.
@lru_cache(maxsize=20_000)
def _thumbnail_uri(folder: Path, dataset: Dataset, path: str, sha1: str) -> str:
    try:
        return _uri(thumbnail(dataset, path, sha1))
    except UnreadableImage:
        return ""


@cached_data(max_entries=64)
def film_uri(root: str, path: str, sha1: str) -> tuple[str, FilmBox]:
    """The radiograph at its full resolution as a data URI, and the part inside its borders.

    UnreadableImage where it cannot be decoded.
    """
    grey = read_grey(Path(root) / path)
    return picture_uri(grey), film_box(grey)


def picture_uri(grey) -> str:
    """Grey levels uint8 [height, width] as a JPEG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=90)
    return _uri(buffer.getvalue())


def overlay_uri(png: bytes) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@cached_resource(max_entries=2, show_spinner="Loading the network")
def classifier(checkpoint: Checkpoint):
    """The network, ready to score. Imports torch, so only pages that run a model call it."""
    from core.scores.classifier import load_classifier

    return load_classifier(checkpoint)


@cached_data(max_entries=1, show_spinner="Checking the checkpoints")
def _checkpoints(files: tuple[FileStamp, ...]):
    return list_checkpoints()


@cached_resource(max_entries=8, show_spinner="Reading the index")
def _index(dataset: Dataset, file: FileStamp) -> pd.DataFrame:
    return read_index(dataset.name)


@cached_data(max_entries=8)
def _overlap(dataset: Dataset, file: FileStamp) -> pd.DataFrame:
    return overlap_table(_index(dataset, file))


@cached_resource(max_entries=16, show_spinner="Reading the scores")
def _predictions(source: Source) -> pd.DataFrame | None:
    return scores_if_stored(source)


def _in_shards(source: Source) -> bool:
    own = source.kind == "checkpoint" and source.dataset is not None and source.dataset.kind != "scores"
    return own and is_sharded(source.scores_file)


@cached_resource(max_entries=16, show_spinner="Reading the scores")
def _part_of_shards(source: Source, split: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    return read_predictions(source, split, columns=columns or None)


@cached_resource(max_entries=64)
def _studies(cohort: View) -> pd.DataFrame:
    rows = predictions(cohort.source, cohort.split, OF_STUDIES)
    chosen = in_split(rows, cohort.split) & (rows["bone"].eq(cohort.bone) if cohort.bone else True)
    # Scores in one file have more columns, and names of files are the largest of them.
    return study_table(rows.loc[chosen, [name for name in OF_STUDIES if name in rows]], cohort.aggregation)


@cached_resource(max_entries=8)
def _study_groups(cohort: View) -> pd.DataFrame:
    rows = predictions(cohort.source, cohort.split, ("image_id", *OF_STUDIES))
    return study_groups_of(rows[in_split(rows, cohort.split)])


@cached_data(max_entries=64)
def _counts(cohort: View) -> pd.DataFrame:
    known = labelled(_studies(cohort))
    return counts_table(known["score"], known["label"])


@cached_data(max_entries=4)
def _truth(file: FileStamp) -> pd.DataFrame:
    try:
        return read_parquet(file.path).set_index("image_id")[list(TRUTH)]
    except (OSError, ValueError, KeyError) as error:
        reason = reason_of(error)
        raise OverreadError(
            f"{file.path} cannot be read ({reason}). Draw the phantoms again to see their truth.",
            code="truth-unreadable",
        ) from error


def _uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
