"""The Runs page: runs are started, watched, stopped and resumed."""

import json
import shutil

import pandas as pd
import pytest

from core import jobs
from core.data.index import read_dataset
from core.data.radiograph_weights import write_weights
from core.jobs import records
from core.training.recipe import with_settings
from core.training.recipes import RECIPES
from core.training.run_estimate import RunEstimate, write_estimate
from core.workflows.runs import enqueue_run
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture
def idle(built, tmp_path, monkeypatch):
    """A separate workspace without a worker."""
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
    button = app.button(key="job_start")
    return app if button.disabled else button.click().run()


def test_a_run_is_queued_and_stopped(idle):
    app = open_page("runs", data="cold")
    app.text_area(key="job_settings").set_value("balance=weight").run()
    assert any("50.0% of the radiographs in training are abnormal" in part.value for part in app.markdown)
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


def test_the_fields_of_the_form_are_settings(idle):
    stored = write_weights("cold", "doubts", pd.DataFrame({"image_id": ["a"], "weight": [0.5]}))
    app = open_page("runs", data="cold", recipe="fast-cpu")
    app.number_input(key="set_fast-cpu_epochs").set_value(3)
    app.selectbox(key="set_fast-cpu_balance").set_value("sampler")
    app.selectbox(key="set_fast-cpu_architecture").set_value("resnet18")
    app.selectbox(key="set_fast-cpu_radiograph_weights").set_value(stored)
    app.number_input(key="set_fast-cpu_learning_rate").set_value(0.00025)
    app = start_run(app.run(), settings="seed=7")
    (job,) = jobs.list_jobs()
    assert not app.exception and job.arguments["recipe"] == "fast-cpu"
    assert set(job.arguments["settings"]) >= {
        "architecture=resnet18", "learning_rate=0.00025", "epochs=3", "balance=sampler", "seed=7",
        f"radiograph_weights={stored}",
    }  # fmt: skip


def test_a_setting_out_of_its_bounds_is_named_and_nothing_starts(idle):
    app = open_page("runs", data="cold", recipe="fast-cpu")
    app.number_input(key="set_fast-cpu_backbone_rate").set_value(2.0)
    app.run()
    assert "backbone_rate above 0 to 1" in app.error[0].value.replace("\\", "")
    assert app.button(key="job_start").disabled


def test_the_playground_sends_its_augmentation_to_the_form(idle):
    app = open_page("runs", data="cold", recipe="fast-cpu", augmentation="rotation:12,noise:0.02")
    app = start_run(app, settings="")
    assert not app.exception
    assert {"augmentation.rotation=12.0", "augmentation.noise=0.02"} <= set(jobs.list_jobs()[0].arguments["settings"])
    assert "cannot be used" in words(open_page("runs", data="cold", augmentation="spin:1"))


def test_a_finished_run_says_what_it_learned_and_is_opened_continued_and_compared(idle):
    shutil.copytree(idle.checkpoints / "alpha", idle.checkpoints / "other")
    job = enqueue_run("original-cnn-64", "cold", "done", ["epochs=3", "balance=weight"])
    (idle.home / "jobs" / f"{job.id}.state.json").write_text(json.dumps({"state": "done"}))
    shutil.copytree(idle.checkpoints / "alpha", idle.checkpoints / "done")
    app = open_page("runs", data="cold", model="other")
    assert not app.exception
    row = next(block.value for block in app.html if "<b>done</b>" in block.value)
    # The made-up history has .70 (.50-.90).
    assert "learned nothing" in row and "0.700 (0.500-0.900), n = 40" in row
    app.number_input(key=f"epochs_{job.id}").set_value(8).run()
    app.button(key=f"continue_{job.id}").click().run()
    more = jobs.list_jobs()[0]
    assert more.arguments["out"] == "done-more"
    assert more.arguments["settings"] == ["balance=weight", "epochs=8", "weights=done"]
    app.button(key=f"open_{job.id}").click().run()
    assert app.selectbox(key="model").value == "done"
    assert "has not shown that it learned anything" in words(app)


def test_an_estimate_is_measured_in_a_job_and_shown_with_its_basis(idle):
    app = open_page("runs", data="cold", recipe="fast-cpu")
    app.number_input(key="set_fast-cpu_epochs").set_value(20).run()
    app.button(key="job_estimate").click().run()
    (job,) = jobs.list_jobs("estimate")
    assert job.command()[3:] == ["estimate", "fast-cpu", "--data", "cold", "--set", "epochs=20"]
    dataset = read_dataset("cold")
    recipe = with_settings(RECIPES["fast-cpu"], ["epochs=20"])
    write_estimate(recipe, dataset, RunEstimate(20, 6.0, 3.0, 2.0, 1_300_000_000, 4, 64, "cpu, 2 threads", "float32"))
    app.run()
    shown = words(app)
    assert "About 2 min: 20 epochs of 6 s each, 3 s to decode; 1.3 GB of memory." in shown
    assert "Measured on 4 steps of 64 on this machine (cpu, 2 threads, float32)." in shown


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
    shutil.rmtree(idle.checkpoints / "alpha")
    app = open_page("runs", data="cold")
    assert "There is no checkpoint yet" in words(app)
    assert "mine" in words(start_run(app))
