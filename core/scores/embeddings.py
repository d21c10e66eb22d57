"""Feature vectors of radiographs, from the layer before a network's last, and the most similar studies by them.

Stored by the hashes of weights and index, so that a page reads vectors and never runs the network. Only computing them
imports torch.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from core.checksums import check_file, write_checked
from core.data.index import read_index
from core.data.references import hash_in
from core.errors import OverreadError
from core.parquet_files import read_parquet, write_parquet
from core.paths import home
from core.scores.source import Source
from core.scores.stored_scores import effective_splits

ROWS = ("image_id", "study_id", "group_id", "bone", "label", "split", "path", "sha1")
LEARNED = ("train", "tune")


@dataclass(frozen=True)
class Embeddings:
    """rows: one per radiograph (ROWS; `split` as the checkpoint sees it); vectors: float32 [rows, width], length 1."""

    rows: pd.DataFrame
    vectors: np.ndarray

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """The rows of each study's radiographs."""
        return dict(self.rows.groupby("study_id", sort=False).indices)

    @cached_property
    def of_bone(self) -> dict[str, slice]:
        """The rows of each bone, from first to last; `compute_embeddings` sorts the rows by bone."""
        found = self.rows.groupby("bone", sort=False).indices
        return {bone: slice(int(places[0]), int(places[-1]) + 1) for bone, places in found.items()}

    @cached_property
    def comparable(self) -> np.ndarray:
        """Whether each radiograph is labelled and was used to train the network, bool [rows]."""
        return (self.rows["split"].isin(LEARNED) & self.rows["label"].notna()).to_numpy(copy=True)

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Study, patient and bone as numbers, which compare faster than their names."""
        return {name: pd.factorize(self.rows[name])[0] for name in ("study_id", "group_id", "bone")}


def embeddings_files(source: Source) -> tuple[Path, Path]:
    """The vectors (.npy) and their rows (.parquet)."""
    references = (source.reference, source.indexed.reference)
    name = "-".join(hash_in(reference) for reference in references)
    folder = home() / "embeddings" / source.data
    return folder / f"{name}.npy", folder / f"{name}.parquet"


def read_embeddings(source: Source) -> Embeddings | None:
    """The stored vectors, memory-mapped; None if there are none, or if writing them was interrupted."""
    vectors, rows = embeddings_files(source)
    if not rows.exists() or not vectors.exists():
        return None
    try:
        check_file(vectors)
        found = Embeddings(read_parquet(rows), np.load(vectors, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError):
        return None
    whole = set(ROWS) <= set(found.rows) and found.vectors.ndim == 2 and len(found.rows) == len(found.vectors)
    return found if whole else None


def compute_embeddings(
    source: Source,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
) -> Embeddings:
    """Compute and store the vector of every radiograph of the index that can be decoded.

    OverreadError where none can be decoded.
    """
    from core.data.cache import pixel_cache
    from core.scores.classifier import load_classifier

    checkpoint, dataset = source.checkpoint, source.indexed
    # By bone, so that the vectors of one bone are contiguous on the disk.
    index = read_index(dataset.name).sort_values("bone", kind="stable").reset_index(drop=True)
    index["split"] = effective_splits(index, checkpoint)
    cache = pixel_cache(dataset, index, checkpoint.input_spec, progress)
    where = cache.rows_of(index["image_id"])
    rows, where = index.loc[where >= 0, list(ROWS)].reset_index(drop=True), where[where >= 0]
    if rows.empty:
        raise OverreadError(
            f"No radiograph of {dataset.name} can be decoded; index it again to see why.", code="nothing-decoded"
        )
    seen = features(load_classifier(checkpoint, device), cache.pixels, where, progress)
    length = np.linalg.norm(seen, axis=1, keepdims=True)
    vectors = seen / np.where(length > 0, length, 1)
    into, beside = embeddings_files(source)

    def save(path: Path) -> None:
        with path.open("wb") as out:
            np.save(out, vectors)

    # The rows are written last; their file means that the vectors are complete.
    write_checked(into, save)
    write_parquet(beside, rows)
    return Embeddings(rows, vectors)


def features(classifier, pixels: np.ndarray, rows: np.ndarray, progress=None, batch_size: int = 128) -> np.ndarray:
    """Input of the network's last layer, float32 [len(rows), width]; feature maps are averaged over their positions."""
    import torch

    from core.device import autocast, channels_last

    # A copy, since a hook on the shared network would also run for any page that scores with it now.
    model, caught = copy.deepcopy(classifier.model).eval(), []
    head = model.get_classifier()
    head = head[0] if isinstance(head, tuple) else head

    def take(module, inputs) -> None:
        seen = inputs[0].float()
        caught.append((seen.mean((2, 3)) if seen.ndim == 4 else seen.flatten(1)).cpu().numpy())

    head.register_forward_pre_hook(take)
    with torch.inference_mode(), autocast(classifier.device):
        for start in range(0, len(rows), batch_size):
            batch = classifier.tensor(pixels[rows[start : start + batch_size]])
            model(channels_last(batch))
            if progress:
                progress(min(start + batch_size, len(rows)), len(rows), "embedding")
    return np.concatenate(caught).astype(np.float32)


def neighbours(found: Embeddings, study_id: str, count: int = 10, same_bone: bool = True) -> pd.DataFrame:
    """The labelled training studies that are most similar to this one, the most similar first.

    One row per study: ROWS of its most similar radiograph, and `similarity`, its cosine to the nearest one of the
    given study. Studies of the same patient (or copies of its files) are left out. Empty if the study has no vectors.
    """
    own = found.places.get(study_id)
    if own is None:
        return found.rows.iloc[:0].assign(similarity=np.zeros(0))
    part = found.of_bone[found.rows["bone"].iat[own[0]]] if same_bone else slice(0, len(found.rows))
    group, bone = found.codes["group_id"], found.codes["bone"]
    allowed = found.comparable[part] & (group[part] != group[own[0]])
    if same_bone:
        allowed &= bone[part] == bone[own[0]]
    return _nearest(found, found.vectors[own], part, allowed, count)


def neighbours_of_vectors(found: Embeddings, vectors: np.ndarray, bone: str = "", count: int = 10) -> pd.DataFrame:
    """`neighbours` of radiographs that are in no index. vectors: float32 [views, width]. bone: '' for every bone."""
    part = found.of_bone.get(bone, slice(0, len(found.rows)))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return _nearest(found, vectors / np.where(lengths > 0, lengths, 1), part, found.comparable[part], count)


def _nearest(found: Embeddings, own: np.ndarray, part: slice, allowed: np.ndarray, count: int) -> pd.DataFrame:
    """The nearest of the allowed rows of a part, one row per study. own: float32 [views, width], of length 1."""
    study = found.codes["study_id"]
    alike = (found.vectors[part] @ own.T).max(axis=1)
    alike[~allowed] = -np.inf
    # Take more of the best radiographs until they belong to enough studies.
    enough, most = 4 * count, int(allowed.sum())
    while True:
        best = np.argpartition(-alike, min(enough, len(alike)) - 1)[:enough]
        best = best[np.isfinite(alike[best])]
        if enough >= most or len(np.unique(study[part][best])) >= count:
            break
        enough *= 4
    table = found.rows.iloc[best + part.start].assign(similarity=alike[best])
    table = table.sort_values(["similarity", "image_id"], ascending=[False, True])
    return table.drop_duplicates("study_id").head(count).reset_index(drop=True)


def neighbours_sentence(table: pd.DataFrame) -> str:
    """`9 of the 10 most similar training studies are labelled normal.`"""
    if table.empty:
        return "There is no labelled training study to compare with."
    abnormal = int((table["label"] == 1).sum())
    word, most = ("abnormal", abnormal) if 2 * abnormal > len(table) else ("normal", len(table) - abnormal)
    return f"{most} of the {len(table)} most similar training studies are labelled {word}."
