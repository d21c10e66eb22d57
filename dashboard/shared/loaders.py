"""What pages read, cached: each wraps one core call. The only home of st.cache_*.

Every key holds the stamp of the files behind it, so a new index, new scores or new weights are seen at once.
"""

import base64
import io
from pathlib import Path

import pandas as pd
import streamlit as st
from PIL import Image

from core.data.index import Dataset, list_datasets, read_dataset, read_index
from core.data.pixels import UnreadableImage, read_grey
from core.data.split import overlap_table
from core.data.thumbnails import thumbnail
from core.errors import OverreadError
from core.metrics.counts import counts_table
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import PREDICTIONS, Checkpoint, checkpoint_folders, list_checkpoints
from core.scores.imports import Imported
from core.scores.predictions import predictions_path, read_predictions
from dashboard.shared.cache import looked_up_once, one_look, stamp  # noqa: F401
from dashboard.shared.imported import imported_sets, predictions_of, score_stamp, scores_only  # noqa: F401
from dashboard.shared.imported import sources as _sources

TRUTH = ("abnormality", "true_label", "visible", "x0", "y0", "x1", "y1", "defects", "label_flipped")


@looked_up_once
def datasets() -> dict[str, Dataset]:
    """Every data set by name; a handful of small files, read once a run."""
    return {dataset.name: dataset for dataset in list_datasets()}


@looked_up_once
def checkpoints() -> tuple[dict[str, Checkpoint], dict[str, str]]:
    """The checkpoints that are whole, by name, and for each of the others what is wrong."""
    whole, broken = _checkpoints(
        tuple(stamp(file) for folder in checkpoint_folders() for file in sorted(folder.iterdir()))
    )
    return {checkpoint.name: checkpoint for checkpoint in whole}, broken


def sources(dataset: Dataset) -> dict[str, Checkpoint | Imported]:
    """What can be judged on a data set, by name: checkpoints, and the imported scores that belong to it."""
    return _sources(dataset, checkpoints()[0])


def preferred(dataset: Dataset) -> str | None:
    """The model to show first: one that was trained on this data set, else one that has scored it, else any."""
    found = sources(dataset)
    scored = [name for name, source in found.items() if _has_scored(dataset, source)]
    own = [name for name in scored if _trained_on(found[name]) == dataset.name]
    return next(iter([*own, *scored, *found]), None)


@looked_up_once
def choosable() -> dict[str, Dataset]:
    """What can be chosen as a data set: those that are indexed, then imported scores without radiographs."""
    return {**datasets(), **scores_only()}


def index(name: str) -> pd.DataFrame:
    """The Index of a data set."""
    return _index(name, stamp(read_dataset(name).folder / "index.parquet"))


def overlap(name: str) -> pd.DataFrame:
    """Patients on more than one side of a split."""
    return _overlap(name, stamp(read_dataset(name).folder / "index.parquet"))


def predictions(dataset: Dataset, checkpoint: Checkpoint | Imported) -> pd.DataFrame | None:
    """The stored scores of a checkpoint on a data set; None where there are none yet. Imported scores as they are."""
    if isinstance(checkpoint, Imported):
        return predictions_of(checkpoint)
    found = _predictions(
        dataset.name, dataset.index_hash, checkpoint.reference, _score_stamps(dataset, checkpoint), dataset, checkpoint
    )
    return None if found is None else found.copy(deep=False)


def studies(dataset: Dataset, checkpoint: Checkpoint | Imported, split: str, bone: str = "") -> pd.DataFrame:
    """STUDIES of one split, and of one bone if it is named."""
    found = _studies(
        dataset.name,
        dataset.index_hash,
        checkpoint.reference,
        _score_stamps(dataset, checkpoint),
        split,
        bone,
        dataset,
        checkpoint,
    )
    # Copied only where it is written to: a million rows cost nothing here, and nobody can change what is kept.
    return found.copy(deep=False)


def counts(dataset: Dataset, checkpoint: Checkpoint | Imported, split: str, bone: str = "") -> pd.DataFrame:
    """COUNTS of the labelled among these studies."""
    return _counts(
        dataset.name,
        dataset.index_hash,
        checkpoint.reference,
        _score_stamps(dataset, checkpoint),
        split,
        bone,
        dataset,
        checkpoint,
    )


def truth(dataset: Dataset) -> pd.DataFrame | None:
    """What is known of a phantom set, by image_id; None for real radiographs."""
    file = Path(dataset.root) / "truth.parquet"
    return _truth(str(file), stamp(file)) if dataset.phantom and file.exists() else None


@st.cache_data(max_entries=20_000, max_size="300MB", show_spinner=False)
def thumbnail_uri(_dataset: Dataset, path: str, sha1: str) -> str:
    """A radiograph's thumbnail as a data URI; '' where it cannot be decoded. Keyed by the file's content."""
    try:
        return _uri(thumbnail(_dataset, path, sha1))
    except UnreadableImage:
        return ""


@st.cache_data(max_entries=64, show_spinner=False)
def film_uri(root: str, path: str, sha1: str) -> str:
    """The radiograph at its full resolution as a data URI. UnreadableImage where it cannot be decoded."""
    return picture_uri(read_grey(Path(root) / path))


def picture_uri(grey) -> str:
    """Grey levels uint8 [height, width] as a JPEG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=90)
    return _uri(buffer.getvalue())


def overlay_uri(png: bytes) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@st.cache_resource(max_entries=2, show_spinner="Loading the network")
def classifier(reference: str, _checkpoint: Checkpoint):
    """The network, ready to score. Imports torch, so only pages that run a model call it."""
    from core.scores.classifier import load_classifier

    return load_classifier(_checkpoint)


@st.cache_data(max_entries=1, show_spinner="Checking the checkpoints")
def _checkpoints(stamps):
    return list_checkpoints()


@st.cache_data(max_entries=8, show_spinner="Reading the index")
def _index(name: str, stamp) -> pd.DataFrame:
    return read_index(name)


@st.cache_data(max_entries=8, show_spinner=False)
def _overlap(name: str, stamp) -> pd.DataFrame:
    return overlap_table(_index(name, stamp))


@st.cache_resource(max_entries=16, show_spinner="Reading the scores")
def _predictions(
    dataset_name: str, index_hash: str, reference: str, stamps, _dataset: Dataset, _checkpoint: Checkpoint
):
    return read_predictions(_checkpoint, _dataset)


@st.cache_resource(max_entries=64, show_spinner=False)
def _studies(
    dataset_name: str,
    index_hash: str,
    reference: str,
    stamps,
    split: str,
    bone: str,
    _dataset: Dataset,
    _checkpoint: Checkpoint,
) -> pd.DataFrame:
    rows = predictions(_dataset, _checkpoint)
    return study_table(rows[(rows["split"] == split) & (rows["bone"].eq(bone) if bone else True)])


@st.cache_data(max_entries=64, show_spinner=False)
def _counts(
    dataset_name: str,
    index_hash: str,
    reference: str,
    stamps,
    split: str,
    bone: str,
    _dataset: Dataset,
    _checkpoint: Checkpoint,
) -> pd.DataFrame:
    known = labelled(_studies(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _checkpoint))
    return counts_table(known["score"], known["label"])


@st.cache_data(max_entries=4, show_spinner=False)
def _truth(file: str, stamp) -> pd.DataFrame:
    try:
        return pd.read_parquet(file).set_index("image_id")[list(TRUTH)]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise OverreadError(f"{file} cannot be read ({reason}); draw the phantoms again to see their truth.") from error


def _has_scored(dataset: Dataset, source: Checkpoint | Imported) -> bool:
    return any(modified for _, _, modified, _ in _score_stamps(dataset, source))


def _trained_on(source: Checkpoint | Imported) -> str:
    return "" if isinstance(source, Imported) else source.manifest.get("dataset", "")


def _score_stamps(dataset: Dataset, checkpoint: Checkpoint | Imported) -> tuple:
    if isinstance(checkpoint, Imported):
        return (score_stamp(checkpoint),)
    return stamp(predictions_path(checkpoint, dataset)), stamp(checkpoint.folder / PREDICTIONS)


def _uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
