"""Maps with their verdicts, which pages, commands and exports share, and checks of methods on a sample.

`read_maps` reads the kept records of a task and `make_records` completes them in this process; both judge a map with
the network's AUROC by one rule. `keep_maps` makes the maps of some studies before anybody asks for them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from core import jobs
from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import Dataset, list_datasets, read_index
from core.errors import OverreadError
from core.explain import map_store
from core.explain.map_record import MapRecord, MapTask, map_task
from core.explain.map_values import MapSettings
from core.explain.network_auroc import network_auroc as _network_auroc
from core.explain.pointing_table import pointing_table
from core.explain.sample_choice import TrustSample, known_truth
from core.metrics.studies import own_aggregation
from core.models.checkpoint import read_checkpoint
from core.scores.source import Source, source_of
from core.scores.stored_scores import read_predictions
from core.scores.view import View

# The method of the maps over the films of a study.
FILM_METHOD = "hires_cam"


@dataclass(frozen=True)
class KnownRadiograph:
    """An image file, its SHA-1, its image_id, and the source on the data set that has it; '' where no index has it."""

    path: Path
    sha1: str
    source: Source
    image_id: str = ""


@lru_cache(maxsize=64)
def network_auroc(source: Source) -> tuple[float, float] | None:
    """`core.explain.network_auroc` of a source, which changes with its hashes and score files."""
    return _network_auroc(source)


def radiograph_task(source: Source, file: tuple[str, str], method: str, settings: MapSettings | None = None) -> MapTask:
    """The task of the map of one radiograph's own logit. file: path and SHA-1. settings.baseline may be 'mean'."""
    mean_of = source.dataset.reference if source.dataset else ""
    return map_task(source.checkpoint, [file], method, settings or MapSettings(), "", mean_of)


def study_task(source: Source, files: pd.DataFrame, method: str = FILM_METHOD, aggregation: str = "") -> MapTask:
    """The task of the maps of a study's views, for its score. files: path and sha1 of each; default: its own rule."""
    root = source.indexed.root
    pairs = [(str(Path(root) / path), sha1) for path, sha1 in zip(files["path"], files["sha1"])]
    return map_task(source.checkpoint, pairs, method, aggregation=aggregation or _own_aggregation(source))


def read_maps(source: Source, task: MapTask) -> dict[str, MapRecord | None]:
    """The kept record of each radiograph of a task by SHA-1; None where none is kept. Makes nothing."""
    return {key.sha1: map_store.read_record(key, network_auroc(source)) for key in task.keys}


def make_records(
    source: Source, task: MapTask, device: str = "", cancelled: Callable[[], bool] | None = None
) -> dict[str, MapRecord]:
    """The complete record of each radiograph of a task by SHA-1, in this process. Kept records need no network."""
    kept = read_maps(source, task)
    complete = {sha1: record for sha1, record in kept.items() if record and record.complete}
    if len(complete) == len(kept):
        return complete
    from core.explain.make_maps import make_records as make

    return {record.key.sha1: record for record in make(_network(task, device), task, network_auroc(source), cancelled)}


def keep_maps(
    view: View,
    study_ids: list[str],
    progress: Callable[[int, int, str], None] | None = None,
    checks: bool = True,
) -> int:
    """Make and keep the maps that the key S lays over the films of these studies; how many studies have them now.

    First all maps, then the checks of each, unless `checks` is False. Studies with a radiograph that cannot be read,
    or whose map is refused, count as done. Records that are kept already cost a look-up.
    """
    source = view.source
    if not source.has_network or source.dataset is None:
        return 0
    from core.explain.make_maps import MapMaker, bounded_threads

    index = read_index(source.dataset.name)
    tasks = [study_task(source, index[index["study_id"] == study], aggregation=view.aggregation) for study in study_ids]
    makers, total = {}, len(tasks) * (1 + checks)
    with bounded_threads():
        for number, task in enumerate(tasks * (1 + checks)):
            if progress:
                progress(number, total, "making saliency maps" if number < len(tasks) else "checking saliency maps")
            kept = read_maps(source, task)
            if all(record and (record.complete or number < len(tasks)) for record in kept.values()):
                continue
            try:
                if task not in makers:
                    makers[task] = MapMaker(_network(task, ""), task)
                makers[task].make_maps()
                for place in range(len(task.files) if number >= len(tasks) else 0):
                    while not makers[task].make_part_of_checks(place):
                        pass
            except OverreadError:
                continue  # the page that shows the study says why
    if progress:
        progress(total, total, "saliency maps kept")
    return len(tasks)


def known_findings(dataset: Dataset) -> AbnormalityMasks:
    """The known places of the findings of a data set: its masks or truth, and the boxes that readers drew.

    Without the boxes where the database of verdicts cannot be read; the pages that need it say so.
    """
    from core.review.database import open_store
    from core.review.reader_boxes import reader_boxes

    try:
        boxes = reader_boxes(open_store(), dataset.name)
    except OverreadError:
        boxes = None
    return AbnormalityMasks.of(dataset, boxes)


def known_finding(source: Source, image_id: str) -> np.ndarray | None:
    """The mask of a radiograph's known finding in the network's input, bool [s, s]; None where none is known."""
    if not source.dataset or not image_id:
        return None
    return known_findings(source.dataset).mask(image_id, source.checkpoint.input_spec)


def find_radiograph(image: Path, source: Source) -> KnownRadiograph:
    """The indexed radiograph of an image file, by its bytes.

    It is looked for in the data set of the source; where the source has none, in that of the training, then in all.
    """
    try:
        sha1 = hashlib.sha1(image.read_bytes()).hexdigest()
    except OSError:
        return KnownRadiograph(image, "", source)  # reading its pixels says what is wrong
    trained_on = source.checkpoint.manifest.get("dataset")
    named = [source.dataset] if source.dataset else sorted(list_datasets(), key=lambda one: one.name != trained_on)
    for dataset in named:
        if dataset.kind == "scores":
            continue
        index = read_index(dataset.name)
        if len(found := index.loc[index["sha1"] == sha1, "image_id"]):
            return KnownRadiograph(image, sha1, source_of(source.checkpoint, dataset), found.iloc[0])
    return KnownRadiograph(image, sha1, source)


def check_methods(
    source: Source,
    sample: TrustSample,
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """The rows of `core.explain.cohort.check_cohort` over the sample. Maps checked before are not checked again.

    A job that every page can see and stop. OverreadError where another process checks maps of this checkpoint.
    """
    from core.explain.trust_sample import check_sample  # torch

    with jobs.at_work("trust", _arguments(source, sample), source.record()) as reporter:

        def report(done: int, total: int, what: str) -> None:
            reporter.report(done, total, what)
            if progress:
                progress(done, total, what)

        return check_sample(source, sample, device, report, reporter.stop_requested)


def compare_pointing(
    sources: list[Source],
    sample: TrustSample,
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Check maps of each source where the truth is known, and return `pointing_table` of all of them.

    The truth of each data set decides what is sampled (`known_truth`). OverreadError where one has no truth.
    """
    from core.explain.trust_sample import pointed_maps  # torch

    found = []
    samples = [replace(sample, truth=known_truth(source.indexed)) for source in sources]
    for source, own in zip(sources, samples):
        rows = check_methods(source, own, device, progress)
        # Described again, since the checks have scored the split where it was not scored yet.
        found.append(pointed_maps(source_of(source.checkpoint, source.indexed), own, rows))
    return pointing_table(found)


def enqueue_check(source: Source, sample: TrustSample) -> jobs.Job:
    """Queue `python -m core trust`. OverreadError where a job checks maps of this checkpoint already."""
    return jobs.enqueue("trust", _arguments(source, sample), source.record())


def find_check_job(source: Source) -> jobs.Job | None:
    """The newest job that checks maps of these weights, running or ended; None without one."""
    return jobs.find("trust", digest=source.digest)


def _arguments(source: Source, sample: TrustSample) -> dict:
    return {
        "checkpoint": str(source.folder),
        "data": source.indexed.name,
        "split": sample.split,
        "sample": sample.count,
        "methods": list(sample.methods),
    }


@lru_cache(maxsize=64)
def _own_aggregation(source: Source) -> str:
    scores = read_predictions(source)
    return own_aggregation(scores) if scores is not None else source.checkpoint.pooling or "mean"


def _network(task: MapTask, device: str):
    return _load_network(task.folder, task.digest, device)


@lru_cache(maxsize=2)
def _load_network(folder: str, digest: str, device: str):
    """The Classifier of a checkpoint. digest: so that new weights in the same folder are loaded."""
    from core.scores.classifier import load_classifier

    return load_classifier(read_checkpoint(folder), device)
