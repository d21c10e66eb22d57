"""The demo of the first start: no page of it is empty, and a second start makes nothing again."""

import pytest

from core import demo, jobs, paths
from core.data.index import read_index
from core.models.checkpoint import list_checkpoints
from core.review.database import open_store
from core.review.walkthroughs import list_walkthroughs, read_walkthrough
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.audit_job import find_audit_job
from core.workflows.trust import read_maps, study_task
from core.workflows.walkthroughs import candidates_of


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small demo with the shipped checkpoints and without a worker."""
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(demo, "PATIENTS", 24)
    monkeypatch.setattr(demo, "MAPS", 1)
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    return demo.ensure_demo(wait=False)


def test_the_demo_is_scored_has_a_walkthrough_and_maps_and_its_audit_is_queued(small):
    checkpoints = list_checkpoints()[0]
    assert {one.name for one in checkpoints} == {"original-cnn-64", "resnet-narrow-128"} and demo.demo_ready()
    assert find_audit_job(small).state == "waiting"
    store, index = open_store(), read_index(small.name)
    (row,) = list_walkthroughs(store, small.name).itertuples()
    walkthrough = read_walkthrough(store, row.id)
    assert walkthrough.name == demo.WALKTHROUGH and 0 < len(walkthrough.cases) <= demo.CASES + demo.CONTROLS
    for checkpoint in checkpoints:
        view = View(source_of(checkpoint, small), "valid")
        study = candidates_of(view, "missed").listed[0]
        task = study_task(view.source, index[index["study_id"] == study])
        assert all(record is not None for record in read_maps(view.source, task).values())


def test_a_second_start_makes_nothing_again(small, monkeypatch):
    told = []
    monkeypatch.setattr(demo, "write_phantoms", lambda *given, **more: pytest.fail("drawn again"))
    jobs.stop(find_audit_job(small).id)
    demo.ensure_demo(lambda fraction, what: told.append(fraction))
    assert told[-1] == 1.0 and len(jobs.list_jobs("audit")) == 1
    assert len(list_walkthroughs(open_store(), small.name)) == 1
    assert paths.home().name == "home"
