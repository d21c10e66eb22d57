"""A service of maps that makes them in this process, as far as a test wants."""

from core.explain.make_maps import MapMaker
from core.explain.map_record import MapTask
from core.models.checkpoint import read_checkpoint
from core.scores.classifier import load_classifier


class MapsHere:
    """Takes the place of MapService. checks: whether checks are made, too. failure: the error after the maps."""

    def __init__(self, checks: bool = True, failure: str = ""):
        self.checks, self.failure = checks, failure
        self._failed: set[MapTask] = set()

    def load(self, folder: str) -> None:
        """Networks are loaded when they are needed."""

    def want(self, reader: str, task: MapTask, places: list[int] | None = None, ahead: bool = False) -> None:
        """Make the records at once."""
        maker = MapMaker(load_classifier(read_checkpoint(task.folder), "cpu"), task)
        maker.make_maps()
        for place in range(len(task.files) if self.checks else 0):
            while not maker.make_part_of_checks(place):
                pass
        if self.failure:
            self._failed.add(task)

    def error(self, task: MapTask) -> str:
        """The failure, once the maps are made."""
        return self.failure if task in self._failed else ""

    def wait(self, seconds: float) -> None:
        """Nothing to wait for."""
