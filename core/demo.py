"""The demo: phantoms, indexed, scored by the shipped checkpoints, audited and with a walkthrough and saliency maps.

The first start needs no data, and no page of the demo is empty.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from core.audit.audit import read_audit
from core.data.index import Dataset, build_index, list_datasets, read_dataset, read_index, write_dataset
from core.errors import OverreadError
from core.models.checkpoint import list_checkpoints
from core.paths import home
from core.phantom import write_phantoms
from core.scores.predictions import store_predictions
from core.scores.source import Source, source_of
from core.scores.stored_scores import read_predictions
from core.scores.view import View
from core.workflows.audit_job import enqueue_audit, find_audit_job
from core.workflows.walkthroughs import Candidates, Draw, candidates_of, make_walkthrough

# Most patients are in valid, since no network is trained on the demo and every bone should have enough studies.
NAME, PATIENTS, SEED, VALID = "demo", 260, 2026, 0.7
# The walkthrough of the demo: the most confident misses of the first model, with some correct studies among them.
WALKTHROUGH, AUTHOR, CASES, CONTROLS = "First misses", "Overread", 8, 2
# So many cases of each model have their saliency maps kept.
MAPS = 4
Tell = Callable[[float, str], None]  # (fraction done, activity)


def demo_ready() -> bool:
    """Whether the demo set exists and every whole shipped checkpoint has scored it."""
    if NAME not in {dataset.name for dataset in list_datasets()}:
        return False
    dataset = read_dataset(NAME)
    return not any(map(_lacks_scores, _sources(dataset)))


def ensure_demo(tell: Tell = lambda fraction, what: None, wait: bool = True) -> Dataset:
    """Make the missing parts of the demo. A complete demo returns at once.

    The audit is a job of its own, which begins while the demo is being scored; the Audit page shows its progress.
    wait: return only when it has ended.
    """
    dataset = read_dataset(NAME) if demo_ready() else _scored_demo(lambda fraction, what: tell(0.8 * fraction, what))
    _begin_audit(dataset)
    _fill_pages(dataset, lambda fraction, what: tell(0.8 + 0.15 * fraction, what))
    while wait and (job := find_audit_job(dataset)) and job.active:
        progress = job.progress or {"done": 0, "total": 1}
        tell(0.95 + 0.05 * progress["done"] / max(progress["total"], 1), "auditing")
        time.sleep(0.3)
    tell(1.0, "ready")
    return dataset


def _begin_audit(dataset: Dataset) -> None:
    """Queue the audit, unless it is stored, under way, or was stopped by somebody."""
    if read_audit(dataset) is None and find_audit_job(dataset) is None:
        with suppress(OverreadError):  # another process has just queued it
            enqueue_audit(dataset)


def _fill_pages(dataset: Dataset, tell: Tell) -> None:
    """The walkthrough, and the maps of each model's first cases; their checks are made when a map is opened.

    What cannot be made is left out, and its page says why.
    """
    from core.workflows.trust import keep_maps

    views = [View(source, "valid") for source in _sources(dataset)]
    for number, view in enumerate(views):
        with suppress(OverreadError):
            candidates = candidates_of(view, "missed")
            if not number:
                _make_walkthrough(view, candidates)
            part = _part(tell, number / len(views), (number + 1) / len(views), "making saliency maps")
            keep_maps(view, list(candidates.listed[:MAPS]), part, checks=False)


def _make_walkthrough(view: View, candidates: Candidates) -> None:
    """The walkthrough of the demo, where the data set has none."""
    from core.review.database import open_store
    from core.review.walkthroughs import list_walkthroughs

    store = open_store()
    if list_walkthroughs(store, view.source.data).empty:
        make_walkthrough(store, view, WALKTHROUGH, AUTHOR, candidates, Draw(CASES, CONTROLS))


def _scored_demo(tell: Tell) -> Dataset:
    """The demo set with the scores of every whole checkpoint."""
    # Loading torch and drawing phantoms (in other processes) each take seconds, so they run at the same time.
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(_load_torch)
        drawing = _part(tell, 0.0, 0.7, "drawing phantoms")
        report = write_phantoms(home() / "phantoms" / NAME, PATIENTS, SEED, drawing, valid_fraction=VALID)
        if NAME in {dataset.name for dataset in list_datasets()}:
            dataset = read_dataset(NAME)
        else:
            dataset = write_dataset(
                NAME, build_index(report.folder, progress=_part(tell, 0.7, 0.75, "indexing phantoms"))
            )
        _begin_audit(dataset)
        loading.result()
    from core.scores.predict import predict

    sources = [source for source in _sources(dataset) if _lacks_scores(source)]
    for number, source in enumerate(sources):
        low = 0.75 + 0.25 * number / len(sources)
        part = _part(tell, low, low + 0.25 / len(sources), f"scoring with {source.name}")
        store_predictions(predict(source, progress=part))
    return dataset


def _sources(dataset: Dataset) -> list[Source]:
    """Every whole checkpoint, on the demo set."""
    return [source_of(checkpoint, dataset) for checkpoint in list_checkpoints()[0]]


def _lacks_scores(source: Source) -> bool:
    """Whether a split has no scores yet."""
    scores = read_predictions(source)
    return scores is None or not set(read_index(source.data)["split"]) <= set(scores["split"])


def _load_torch() -> None:
    import core.scores.classifier  # noqa: F401  the module imports torch


def _part(tell: Tell, low: float, high: float, what: str):
    """A progress callable (done, total, activity) for the part of the whole from low to high."""
    return lambda done, total, _what: tell(low + (high - low) * done / max(total, 1), what)
