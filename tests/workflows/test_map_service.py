"""The processes that make maps for many readers: they make them, survive a kill, and say what went wrong."""

import os
import signal
import threading

import pytest

from core.data.index import read_index
from core.explain.map_store import maps_folder
from core.workflows import trust
from core.workflows.map_service import MapService
from tests.workflows.test_maps import house  # noqa: F401  a fixture

# Waiting ends earlier in every case that is no fault; this is for a busy machine.
PATIENCE = 240


@pytest.fixture(scope="module")
def service(house):  # noqa: F811
    made = MapService()
    yield made
    made.close()


def task_of(source, place: int, method: str = "saliency", **settings):
    row = read_index(source.data).iloc[place]
    file = (f"{source.dataset.root}/{row['path']}", row["sha1"])
    return trust.radiograph_task(source, file, method, trust.MapSettings(**settings))


def until(service, task, reached) -> None:
    """Ask for a task until something is reached."""
    for _ in range(PATIENCE):
        service.want("anna", task)
        if reached():
            return
        service.wait(1.0)
    raise AssertionError("not reached")


def is_complete(source, task) -> bool:
    return all(record and record.complete for record in trust.read_maps(source, task).values())


def test_the_process_makes_what_a_reader_waits_for(house, service):  # noqa: F811
    task = task_of(house, 2)
    until(service, task, lambda: is_complete(house, task))
    (record,) = trust.read_maps(house, task).values()
    # Each process has a session of its own, among which Linux shares the cores.
    started = [lane.process._popen.pid for lane in service._lanes.values()]
    assert [os.getsid(pid) for pid in started] == started and len(started) == 2
    # Another process has made the same records as this one would have.
    for file in maps_folder().glob(f"*/{record.key.name}.*"):
        file.unlink()
    (here,) = trust.make_records(house, task, "cpu").values()
    assert here.to_dict() == record.to_dict() and (here.attribution.map == record.attribution.map).all()


def test_a_killed_process_is_replaced(house, service):  # noqa: F811
    first = task_of(house, 3)
    until(service, first, lambda: is_complete(house, first))
    for lane in service._lanes.values():
        os.kill(lane.process._popen.pid, signal.SIGKILL)
    second = task_of(house, 4)
    until(service, second, lambda: is_complete(house, second))
    assert not service.error(second)


def test_a_task_that_cannot_be_made_says_why(house, service):  # noqa: F811
    task = task_of(house, 5, "grad_cam", layer="layer44")
    until(service, task, lambda: service.error(task))
    assert "layer44" in service.error(task)
    other = task_of(house, 5)
    until(service, other, lambda: is_complete(house, other))  # the process goes on


def test_the_process_ends_with_its_server(house, service):  # noqa: F811
    task = task_of(house, 6)
    until(service, task, lambda: is_complete(house, task))
    started = [lane.process._popen for lane in service._lanes.values()]
    service.close()
    assert len(started) == 2 and all(popen.poll() is not None for popen in started)
    assert not any(thread.name == "map service" and not thread.daemon for thread in threading.enumerate())
