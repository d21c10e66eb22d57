"""The demo: phantoms drawn, indexed and scored by the shipped checkpoints, so that a first start needs nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from core.data.index import Dataset, build_index, list_datasets, read_dataset, read_index, write_dataset
from core.models.checkpoint import Checkpoint, list_checkpoints
from core.paths import home
from core.phantom import write_phantoms
from core.scores.predictions import read_predictions, store_predictions

# Most patients in valid, since nothing is learned from the demo and every bone should have enough studies to show.
NAME, PATIENTS, SEED, VALID = "demo", 260, 2026, 0.7
Tell = Callable[[float, str], None]


def demo_ready() -> bool:
    """Whether the demo set is there and every whole shipped checkpoint has scored it."""
    if NAME not in {dataset.name for dataset in list_datasets()}:
        return False
    dataset = read_dataset(NAME)
    return not any(_lacking(checkpoint, dataset) for checkpoint in list_checkpoints()[0])


def ensure_demo(tell: Tell = lambda fraction, what: None) -> Dataset:
    """Make what the demo lacks; tell(fraction done, what is going on). A demo that is complete returns at once."""
    if demo_ready():
        return read_dataset(NAME)
    # torch takes seconds to load and phantoms take seconds to draw in processes of their own: both at once.
    with ThreadPoolExecutor(1) as aside:
        loading = aside.submit(_load_torch)
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

    checkpoints = [checkpoint for checkpoint in list_checkpoints()[0] if _lacking(checkpoint, dataset)]
    for number, checkpoint in enumerate(checkpoints):
        low = 0.6 + 0.4 * number / len(checkpoints)
        part = _part(tell, low, low + 0.4 / len(checkpoints), f"scoring with {checkpoint.name}")
        store_predictions(predict(checkpoint, dataset, progress=part), checkpoint, dataset)
    tell(1.0, "ready")
    return dataset


def _lacking(checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether a split has not been scored yet."""
    scores = read_predictions(checkpoint, dataset)
    return scores is None or not set(read_index(dataset.name)["split"]) <= set(scores["split"])


def _load_torch() -> None:
    pass


def _part(tell: Tell, low: float, high: float, what: str):
    """A progress callable (done, total, ...) that covers a part of the whole."""
    return lambda done, total, _what: tell(low + (high - low) * done / max(total, 1), what)
