"""The samples of the playground, and what is learned from: cached by the files' content and the augmentation."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.augment import Augmentation
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.models.checkpoint import Checkpoint
from dashboard.shared import loaders


@st.cache_data(max_entries=256, show_spinner=False)
def square(sha1: str, _spec: InputSpec, spec_json: str, _root: str, _path: str) -> np.ndarray:
    """A radiograph as the network is given it, uint8 [s, s]."""
    return _spec.pixels(f"{_root}/{_path}")


@st.cache_data(max_entries=4, show_spinner=False)
def company(dataset_name: str, index_hash: str, reference: str, _checkpoint: Checkpoint | None) -> list[str]:
    """Who takes part in an epoch: what the checkpoint learned from where that is here, else the labelled of train."""
    index = loaders.index(dataset_name)
    if _checkpoint is not None:
        learned = index[index["sha1"].map(_checkpoint.learned()) == "train"]
        if len(learned):
            return learned["image_id"].tolist()
    return index.loc[(index["split"] == "train") & index["label"].notna(), "image_id"].tolist()


def radiographs(dataset: Dataset) -> pd.DataFrame:
    """Who may be the original: image_id, path, sha1, study_id, bone. Shared by all sessions: not to be changed."""
    return _radiographs(dataset.name, dataset.index_hash)


@st.cache_resource(max_entries=4, show_spinner=False)
def _radiographs(name: str, index_hash: str) -> pd.DataFrame:
    # Not copied with each move of a slider, as cached data would be: an archive has tens of thousands of rows.
    return loaders.index(name)[["image_id", "path", "sha1", "study_id", "bone"]]


def samples(
    dataset: Dataset, spec: InputSpec, checkpoint, row: pd.Series, augmentation: Augmentation, seed: int, count: int
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """The original uint8 [s, s], its samples float32 [n, s, s] as training would have them, and their draws."""
    return _samples(
        dataset.name, dataset.index_hash, row["sha1"], row["image_id"], spec.to_json(), augmentation.to_text(), seed,
        count, checkpoint.reference if checkpoint and augmentation.mixes else "", dataset, spec, checkpoint,
        row["path"],
    )  # fmt: skip


@st.cache_data(max_entries=64, max_size="300MB", show_spinner=False)
def _samples(
    name: str, index_hash: str, sha1: str, image_id: str, spec_json: str, text: str, seed: int, count: int,
    reference: str, _dataset: Dataset, _spec: InputSpec, _checkpoint, _path: str,
):  # fmt: skip
    from core.data.augment import preview
    from core.device import pick_device

    augmentation = Augmentation.from_text(text)
    files = {image_id: (_path, sha1)}
    if augmentation.mixes:
        index = radiographs(_dataset)
        files |= dict(zip(index["image_id"], zip(index["path"], index["sha1"])))

    def read(wanted: str) -> np.ndarray:
        path, content = files[wanted]
        return square(content, _spec, spec_json, _dataset.root, path)

    everyone = company(name, index_hash, reference, _checkpoint) if augmentation.mixes else ()
    # Where training would compute, since only there the samples are training's to the bit.
    units, draws = preview(augmentation, read, image_id, seed, range(count), everyone, pick_device()[0])
    return read(image_id), units[:, 0].cpu().numpy(), draws


@st.cache_data(max_entries=256, show_spinner=False)
def scores(
    reference: str, sha1: str, image_id: str, text: str, seed: int, company_of: str, _checkpoint, _original, _samples
) -> np.ndarray:
    """Logits of the original and of its samples, float64 [1 + n]; `company_of` names whom they may be mixed with."""
    import torch

    from core.scores.augmentation_stability import logits_of

    classifier = loaders.classifier(reference, _checkpoint)
    return np.concatenate(
        [classifier.logits(_original[None]), logits_of(classifier, torch.from_numpy(_samples)[:, None])]
    )


@st.cache_data(max_entries=1024, show_spinner=False)
def draw_logits(
    reference: str, sha1: str, image_id: str, text: str, seed: int, first: int, last: int, _checkpoint, _original
) -> np.ndarray:
    """Logits of some epochs' draws of one radiograph, nothing mixed, float64 [last - first]."""
    from core.scores import augmentation_stability

    classifier = loaders.classifier(reference, _checkpoint)
    augmentation = Augmentation.from_text(text)
    return augmentation_stability.draw_logits(classifier, augmentation, _original, image_id, seed, range(first, last))


def judged(checkpoint: Checkpoint, dataset: Dataset, augmentation: Augmentation, seed: int) -> pd.DataFrame:
    """The stored draws of a sample of radiographs: `core.scores.augmentation_stability.stability_rows`."""
    from core.scores.augmentation_stability import DRAWS, stability_file, stored_rows

    return stored_rows(stability_file(checkpoint, dataset, augmentation, DRAWS, seed))


def ids_of(dataset: Dataset, checkpoint: Checkpoint, split: str) -> set[str]:
    """The radiographs of a split as this checkpoint sees it."""
    return _ids_of(dataset.name, dataset.index_hash, checkpoint.reference, split, checkpoint)


@st.cache_data(max_entries=16, show_spinner=False)
def _ids_of(name: str, index_hash: str, reference: str, split: str, _checkpoint: Checkpoint) -> set[str]:
    from core.scores.predictions import effective_splits

    index = loaders.index(name)
    return set(index.loc[effective_splits(index, _checkpoint) == split, "image_id"])


def lesions(dataset: Dataset, spec: InputSpec, augmentation: Augmentation, seed: int) -> dict:
    """`core.data.lesion_retention.retention_facts` over a sample of the data set."""
    return _lesions(dataset.name, dataset.index_hash, spec.to_json(), augmentation.to_text(), seed, dataset, spec)


MASKS, DRAWS = 100, 16


@st.cache_data(max_entries=128, show_spinner=False)
def _lesions(name: str, index_hash: str, spec_json: str, text: str, seed: int, _dataset: Dataset, _spec: InputSpec):
    from core.data.lesion_retention import retention_facts, retention_table

    masks = _masks(name, index_hash, spec_json, _dataset, _spec)
    return retention_facts(retention_table(Augmentation.from_text(text), masks, seed, DRAWS))


@st.cache_resource(max_entries=4, show_spinner="Reading where abnormalities lie")
def _masks(name: str, index_hash: str, spec_json: str, _dataset: Dataset, _spec: InputSpec):
    from core.data.lesion_retention import known_masks

    return known_masks(_dataset, _spec, most=MASKS)
