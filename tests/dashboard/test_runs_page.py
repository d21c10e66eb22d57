"""The Runs page: runs are started, watched, stopped and resumed."""

import json

import pandas as pd
import pytest

from core import jobs
from core.jobs import records
from core.workflows.runs import enqueue_run
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture
def idle(built, tmp_path, monkeypatch):
    """A separate workspace without a worker."""
    import shutil

    shutil.copytree(built.home / "datasets", tmp_path / "home" / "datasets")
    house = House(tmp_path / "home", tmp_path / "checkpoints")
    shutil.copytree(built.checkpoints / "alpha", house.checkpoints / "alpha")
    enter(house, monkeypatch)
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    return house


def start_run(app, settings="epochs=2\nbalance=weight", out="mine"):
    app.text_input(key="job_out").set_value(out)
    app.text_area(key="job_settings").set_value(settings)
    app.run()
    return app.button(key="job_start").click().run()


def test_a_run_is_queued_and_stopped(idle):
    app = open_page("runs", data="cold")
    app.text_area(key="job_settings").set_value("balance=weight").run()
    assert any("Training sees 50.0% abnormal" in part.value for part in app.markdown)
    app = start_run(app)
    assert not app.exception and "waiting" in words(app) and "mine" in words(app)
    job = jobs.list_jobs()[0]
    assert job.arguments["settings"] == ["epochs=2", "balance=weight"] and job.arguments["data"] == "cold"
    app.button(key=f"stop_{job.id}").click().run()
    assert not app.exception and jobs.list_jobs()[0].state == "stopped"


def test_only_the_latest_job_of_a_checkpoint_can_be_resumed(idle):
    app = start_run(open_page("runs", data="cold"))
    first = jobs.list_jobs()[0]
    app.button(key=f"stop_{first.id}").click().run()
    app.button(key=f"resume_{first.id}").click().run()
    second = jobs.list_jobs()[0]
    assert not app.exception and second.id != first.id and second.arguments["out"] == first.arguments["out"]
    keys = {button.key for button in app.button}
    assert f"stop_{second.id}" in keys and f"resume_{first.id}" not in keys


@pytest.mark.parametrize(
    ("settings", "out", "reason"),
    [
        ("epocs=2", "mine", "there is no such setting"),
        ("", "alpha", "already holds a checkpoint"),
        ("", "a b", "cannot be a folder"),
    ],
)
def test_a_run_that_cannot_start_shows_the_reason(idle, settings, out, reason):
    app = start_run(open_page("runs", data="cold"), settings, out)
    assert not app.exception and reason in app.error[0].value and not jobs.list_jobs()


def test_a_running_job_shows_its_curves_and_a_failed_one_its_reason(idle):
    for number, state in enumerate(("running", "failed")):
        job = enqueue_run("original-cnn-64", "cold", f"run{number}", ["epochs=3"])
        file = idle.home / "jobs" / f"{job.id}.state.json"
        file.write_text(json.dumps({"state": state, "message": "<b>no space</b>"}))
    (idle.checkpoints / "run0").mkdir()
    rows = {
        "epoch": [1, 2],
        "train_loss": [0.7, 0.6],
        "tune_loss": [0.7, 0.6],
        "tune_auroc": [0.5, 0.6],
        "tune_recall": [0.2, 0.3],
    }
    pd.DataFrame(rows).to_csv(idle.checkpoints / "run0" / "history.csv")
    first = jobs.list_jobs()[-1].id
    (idle.home / "jobs" / f"{first}.progress.json").write_text('{"done": 3, "total": 9, "what": "epoch 2 of 3"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "is_alive", lambda job_id: True)
        app = open_page("runs", data="cold")
    shown = words(app)
    assert not app.exception and "epoch 2 of 3: 3 of 9" in shown and "Rates at threshold 0.5" in shown
    assert "&lt;b&gt;no space&lt;/b&gt;" in shown and "<b>no space</b>" not in shown


def test_a_run_can_be_started_without_a_checkpoint(idle):
    import shutil

    shutil.rmtree(idle.checkpoints / "alpha")
    app = open_page("runs", data="cold")
    assert "There is no checkpoint yet" in words(app)
    assert "mine" in words(start_run(app))
