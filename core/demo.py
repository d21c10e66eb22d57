"""The demo: phantoms, indexed and scored by the shipped checkpoints, so that the first start needs no data."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from core.data.index import Dataset, build_index, list_datasets, read_dataset, read_index, write_dataset
from core.models.checkpoint import Checkpoint, list_checkpoints
from core.paths import home
from core.phantom import write_phantoms
from core.scores.predictions import read_predictions, store_predictions

# Most patients are in valid, since no network is trained on the demo and every bone should have enough studies.
NAME, PATIENTS, SEED, VALID = "demo", 260, 2026, 0.7
Tell = Callable[[float, str], None]  # (fraction done, activity)


def demo_ready() -> bool:
    """Whether the demo set exists and every whole shipped checkpoint has scored it."""
    if NAME not in {dataset.name for dataset in list_datasets()}:
        return False
    dataset = read_dataset(NAME)
    return not any(_lacks_scores(checkpoint, dataset) for checkpoint in list_checkpoints()[0])


def ensure_demo(tell: Tell = lambda fraction, what: None) -> Dataset:
    """Make the missing parts of the demo. A complete demo returns at once."""
    if demo_ready():
        return read_dataset(NAME)
    # Loading torch and drawing phantoms (in other processes) each take seconds, so they run at the same time.
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(_load_torch)
        drawing = _part(tell, 0.0, 0.55, "drawing phantoms")
        report = write_phantoms(home() / "phantoms" / NAME, PATIENTS, SEED, drawing, valid_fraction=VALID)
        if NAME in {dataset.name for dataset in list_datasets()}:
            dataset = read_dataset(NAME)
        else:
            dataset = write_dataset(
                NAME, build_index(report.folder, progress=_part(tell, 0.55, 0.6, "indexing phantoms"))
            )
        loading.result()
    from core.scores.predict import predict

    checkpoints = [checkpoint for checkpoint in list_checkpoints()[0] if _lacks_scores(checkpoint, dataset)]
    for number, checkpoint in enumerate(checkpoints):
        low = 0.6 + 0.4 * number / len(checkpoints)
        part = _part(tell, low, low + 0.4 / len(checkpoints), f"scoring with {checkpoint.name}")
        store_predictions(predict(checkpoint, dataset, progress=part), checkpoint, dataset)
    tell(1.0, "ready")
    return dataset


def _lacks_scores(checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether a split has no scores yet."""
    scores = read_predictions(checkpoint, dataset)
    return scores is None or not set(read_index(dataset.name)["split"]) <= set(scores["split"])


def _load_torch() -> None:
    import core.scores.classifier  # noqa: F401  the module imports torch


def _part(tell: Tell, low: float, high: float, what: str):
    """A progress callable (done, total, activity) for the part of the whole from low to high."""
    return lambda done, total, _what: tell(low + (high - low) * done / max(total, 1), what)
