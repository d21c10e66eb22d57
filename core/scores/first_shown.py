"""The data set and model that a reader sees first: last used, else decided, else best.

The choice of each reader is one small file of the workspace, named by a hash of the reader.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.checksums import read_json, write_json
from core.data.index import Dataset
from core.data.references import hash_in
from core.errors import OverreadError
from core.paths import home
from core.scores.imports import list_imported
from core.scores.learning import learned
from core.scores.operating_points import OperatingPoint, usable_points
from core.scores.source import Source, list_sources, same_dataset, source_of

MOST_MODELS = 200  # data sets that the file of one reader keeps


@dataclass(frozen=True)
class LastUsed:
    """The data set that a reader chose last, and the model chosen last on each data set, by their names."""

    data: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


def last_used(reader: str) -> LastUsed:
    """This reader's last choice; empty for an unknown reader, or where the file cannot be used."""
    if not reader:
        return LastUsed()
    try:
        stored = read_json(_file(reader))
        models = {str(data): str(model) for data, model in stored["models"].items()}
        return LastUsed(str(stored["data"]), models)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return LastUsed()


def remember_use(reader: str, source: Source) -> None:
    """Store that this reader chose the data set of a source, and its model where it has one."""
    if not reader:
        return
    models = dict(last_used(reader).models)
    if source.name:
        models.pop(source.data, None)
        models[source.data] = source.name  # the newest last
    kept = dict(list(models.items())[-MOST_MODELS:])
    write_json(_file(reader), {"data": source.data, "models": kept})


def preferred_source(dataset: Dataset, reader: str = "", found: Iterable[Source] | None = None) -> Source | None:
    """The source to show first on a data set; None where there is none.

    The one that this reader used last; else, among those that have scored the data set, the one whose operating point
    was locked last (those of this data set first); else the one with the highest lower bound of its tuning AUROC.
    """
    sources = list(_sources_on(dataset) if found is None else found)
    used = last_used(reader).models.get(dataset.name)
    return next((source for source in sources if source.name == used), None) or max(sources, key=_worth, default=None)


def preferred_dataset(datasets: Mapping[str, Dataset], reader: str = "") -> str:
    """The name of the data set to show first.

    Last used; else the one that an operating point was locked on last; else real before phantom, the newest first.
    """
    used = last_used(reader).data
    if used in datasets:
        return used
    locked = {hash_in(reference): date for date, reference in sorted(_locked())}
    hashes = {name: hash_in(dataset.reference) for name, dataset in datasets.items()}

    def worth(name: str) -> tuple:
        return locked.get(hashes[name], ""), not datasets[name].phantom, datasets[name].created

    return max(datasets, key=worth)


def tuning_bound(source: Source) -> float:
    """The lower bound of the tuning AUROC of the epoch that was kept; NaN where none was recorded."""
    found = learned(source.model)
    return found.tuning.low if found else math.nan


def standing_points(source: Source) -> list[OperatingPoint]:
    """The operating points of a source that can be used, oldest first; empty where the list was altered."""
    try:
        return usable_points(source)
    except OverreadError:
        return []


def _worth(source: Source) -> tuple:
    """A key to sort the sources of a data set by; the one with the largest is shown first."""
    points = standing_points(source)
    here = [point.date for point in points if same_dataset(source, point.dataset)]
    locked = (2, max(here)) if here else (1, max(point.date for point in points)) if points else (0, "")
    bound, manifest = tuning_bound(source), getattr(source.model, "manifest", {})
    trained_here = bool(source.data) and manifest.get("dataset") == source.data
    created = str(manifest.get("created") or getattr(source.model, "created", ""))
    return source.is_scored, locked, trained_here, -math.inf if math.isnan(bound) else bound, created


def _locked() -> list[tuple[str, str]]:
    """The date and the data set of every operating point."""
    return [(point.date, point.dataset) for source in list_sources() for point in standing_points(source)]


def _sources_on(dataset: Dataset) -> list[Source]:
    if dataset.kind == "scores":
        return [source_of(found, dataset) for found in list_imported() if found.predictions_hash == dataset.index_hash]
    fitting = [source_of(source.model, dataset) for source in list_sources()]
    return [source for source in fitting if source.kind == "checkpoint" or same_dataset(source, source.belongs_to)]


def _file(reader: str) -> Path:
    return home() / "readers" / f"{hashlib.sha256(reader.encode(errors='surrogatepass')).hexdigest()[:32]}.json"
