"""Saliency maps on pages: records read from the workspace, and requests for those that are missing."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.explain.map_record import MapRecord, MapTask
from core.models.checkpoint import Checkpoint
from core.scores.source import Source
from core.workflows import trust
from core.workflows.map_service import map_service
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data

# Radiographs are shown with at least this many pixels a side.
SHOWN_SIDE = 640
# Seconds between two checks for finished maps while a page waits.
_LOOK_EVERY = 0.2


@dataclass(frozen=True)
class FoundMaps:
    """The state of a task: the record of each radiograph by SHA-1, None until its map is made, or an error."""

    records: dict[str, MapRecord | None]
    error: str = ""

    @property
    def stage(self) -> tuple:
        """Changes each time more is known."""
        return self.error, *(record.verdict if record else "" for record in self.records.values())

    def is_waiting(self, hashes: set[str] | None = None) -> bool:
        """Whether anything is missing: the maps of all, or the checks of these radiographs (None: of all)."""
        return not self.error and any(
            record is None or (not record.complete and (hashes is None or sha1 in hashes))
            for sha1, record in self.records.items()
        )


def find_maps(source: Source, task: MapTask) -> FoundMaps:
    """The present state of a task."""
    return FoundMaps(trust.read_maps(source, task), map_service().error(task))


def want_maps(task: MapTask, places: list[int] | None = None, ahead: bool = False) -> None:
    """Ask for the records of a task. The request lasts for seconds, so it ends with the visit.

    places: of the radiographs whose maps are checked, by default all. ahead: made where there is nothing else to do.
    """
    reader = st.session_state.setdefault("map_reader", uuid.uuid4().hex)
    map_service().want(reader, task, places, ahead)


def load_ahead(source: Source) -> None:
    """Start the process that makes maps and load the network in it, before the first map is asked for."""
    if source.has_network:
        map_service().load(str(source.folder))


def follow_maps(
    source: Source, tasks: list[MapTask], places: list[int] | None = None
) -> Iterator[dict[MapTask, FoundMaps]]:
    """Yield what is known of the tasks now, and again each time more is made, until nothing is missing.

    This run of the page ends at once where the visitor changes something, and with it the requests end.
    """
    found = {task: find_maps(source, task) for task in tasks}
    yield found
    hashes = {task: None if places is None else {task.files[place][1] for place in places} for task in tasks}
    while waiting := [task for task in tasks if found[task].is_waiting(hashes[task])]:
        for task in waiting:
            want_maps(task, places)
        wait()
        now = {task: find_maps(source, task) for task in waiting}
        if any(now[task].stage != found[task].stage for task in waiting):
            found = {**found, **now}
            yield found


def wait() -> None:
    """Wait a moment until something is made; ends this run where the visitor has changed something."""
    map_service().wait(_LOOK_EVERY)
    end_outdated_run()


def end_outdated_run() -> bool:
    """End this run with Streamlit's own exception if the visitor has changed something meanwhile; else return False."""
    # Streamlit has no public name for this check. Without it, the run waits for its maps first.
    from streamlit.runtime.scriptrunner_utils import script_run_context

    if check := getattr(script_run_context, "get_run_yield_check", lambda: None)():
        check()
    return False


@cached_data(max_entries=64)
def large_pixels(root: str, path: str, sha1: str, fit: str, size: int) -> np.ndarray:
    """The radiograph fitted as for the network, with at least SHOWN_SIDE pixels a side."""
    from core.data.pixels import read_grey, to_square

    return to_square(read_grey(Path(root) / path), max(size, SHOWN_SIDE), fit)


@cached_data(max_entries=16)
def cam_maps(checkpoint: Checkpoint, pixels: np.ndarray, method: str) -> np.ndarray:
    """HiRes-CAM or Grad-CAM of many radiographs uint8 [n, s, s] in one pass, float16 [n, s, s]."""
    from core.explain.grid_cam import cam_grid

    network = loaders.classifier(checkpoint)
    return cam_grid(network, pixels, fine=method == "hires_cam", cancelled=end_outdated_run).astype(np.float16)


@cached_data(max_entries=8, ttl=10)
def known_findings(dataset: Dataset):
    """The known places of abnormalities, AbnormalityMasks, with the boxes that readers drew up to seconds ago."""
    return trust.known_findings(dataset)


def checked_rows(checkpoint: Checkpoint) -> pd.DataFrame:
    """The stored checks of a checkpoint's maps; a file of a few hundred lines, read each time."""
    from core.explain.cohort import trust_rows

    return trust_rows(checkpoint)
