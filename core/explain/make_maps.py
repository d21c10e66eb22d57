"""Make the records of a task: first the maps, which are kept at once, then the checks of each in parts."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from os import cpu_count

import numpy as np
import torch

from core.data.index import read_dataset
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.explain.attribution import attribute_study
from core.explain.faithfulness import CheckPart, check_parts
from core.explain.map_record import MapKey, MapRecord, MapTask
from core.explain.map_store import read_record, write_record
from core.explain.map_values import MapSettings
from core.explain.mean_radiograph import mean_radiograph
from core.explain.method_registry import MethodRefused
from core.explain.score_functions import StudyView
from core.scores.classifier import Classifier


@contextmanager
def bounded_threads():
    """Let torch use half of the cores, at most four, in this block: maps leave room for pages and for training.

    The number is part of what makes two runs on one machine give the same figures.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(4, (cpu_count() or 2) // 2)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class MapMaker:
    """Makes the records of one task. Reads the pixels once; each record is kept as soon as it is made."""

    def __init__(self, classifier: Classifier, task: MapTask, cancelled: Callable[[], bool] | None = None):
        self._classifier, self._task, self._cancelled = classifier, task, cancelled
        spec = InputSpec.from_json(task.spec)
        self.pixels = np.stack([spec.pixels(path) for path, _ in task.files])
        self._baseline = mean_radiograph(read_dataset(task.data), spec) if task.data else task.baseline
        self._done: dict[MapKey, list[CheckPart]] = {}

    def make_maps(self) -> None:
        """Make and keep the maps of all radiographs of the task that are not kept yet."""
        keys = [key for key in self._task.keys if read_record(key, None) is None]
        if not keys:
            return
        started = time.perf_counter()
        try:
            made = attribute_study(
                self._classifier,
                self.pixels,
                self._task.method,
                self._task.aggregation,
                self._settings(keys[0]),
                self._cancelled,
            )
        except MethodRefused as error:
            for key in keys:
                write_record(MapRecord(key, refused=str(error)))
            return
        seconds = time.perf_counter() - started
        for key, attribution in zip(self._task.keys, made):
            if key in keys:
                write_record(MapRecord(key, attribution, seconds=seconds))

    def make_part_of_checks(self, place: int) -> bool:
        """Make the next part of the checks of one radiograph's map; whether its record is now complete.

        MapCancelled leaves the parts that are made; the next call makes the cancelled part again. OverreadError where
        the map cannot be kept.
        """
        key = self._task.keys[place]
        record = read_record(key, None)
        if record is None:
            self.make_maps()
            record = read_record(key, None)
        if record is None:
            raise OverreadError("The map could not be kept; free some disk space.", code="map-not-kept")
        if record.complete or record.attribution is None:
            return True
        study = StudyView(self.pixels, place, self._task.aggregation) if self._task.aggregation else None
        settings, done = self._settings(key), self._done.setdefault(key, [])
        parts = check_parts(self._classifier, self.pixels[place], record.attribution, settings, study, self._cancelled)
        done.append(parts[len(done)]())
        if len(done) < len(parts):
            return False
        del self._done[key]
        checks = tuple(check for part in done for check in part.checks)
        write_record(replace(record, checks=checks, better_than_edges=done[0].better_than_edges, curves=done[0].curves))
        return True

    def _settings(self, key: MapKey) -> MapSettings:
        return MapSettings(key.layer, self._baseline, key.seed)


def make_records(
    classifier: Classifier,
    task: MapTask,
    network: tuple[float, float] | None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[MapRecord, ...]:
    """The complete records of a task, judged with the network's AUROC. Kept ones are read, the others made here."""
    if not all(record and record.complete for record in (read_record(key, network) for key in task.keys)):
        with bounded_threads():
            maker = MapMaker(classifier, task, cancelled)
            maker.make_maps()
            for place in range(len(task.files)):
                while not maker.make_part_of_checks(place):
                    pass
    return tuple(made for key in task.keys if (made := read_record(key, network)))
