"""The repository is only read: `git status` stays empty after any work on pages and by command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import paths
from core.models.checkpoint import checkpoint_folders, read_checkpoint
from core.scores.halves import DataSplit
from core.scores.operating_points import POINTS, read_points, withdraw
from core.scores.source import find_source
from core.scores.verification_log import LOOKS, record_verification, verifications
from tests.conftest import REPOSITORY

PARTS = ("core", "dashboard", "checkpoints", "pyproject.toml", ".gitignore")
SHIPPED = REPOSITORY / "checkpoints"
OLD = REPOSITORY / "tests" / "fixtures" / "workspace-0.1" / "checkpoint"
WALK = """
import json, sys
from typer.testing import CliRunner
from core.__main__ import app
def run(*arguments, status=0):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == status, (arguments, done.output, done.exception)
    return json.loads(done.stdout)
out = sys.argv[1]
run("phantom", "--out", f"{out}/phantoms", "--patients", 16, "--seed", 3)
run("index", f"{out}/phantoms", "--name", "demo")
for model in ("original-cnn-64", "resnet-narrow-128"):
    run("predict", model, "--data", "demo")
csv = run("predict", "original-cnn-64", "--data", "demo", "--split", "valid", "--out", f"{out}/scores.csv")
lock = ("--data", "demo", "--rule", "youden", "--split", "valid", "--lock", "--author", "Ana")
file = run("threshold", "original-cnn-64", *lock)["file"]
run("verify", "original-cnn-64", "--data", "demo", "--split", "train")
run("compare", "original-cnn-64", "resnet-narrow-128", "--data", "demo")
run("audit", "demo", status=0)
run("export", "original-cnn-64", "--out", f"{out}/model.onnx")
trained = run("train", "fast-cpu", "--data", "demo", "--out", "mine", "--set", "epochs=1", "--set", "size=32")
names = [row["name"] for row in run("checkpoints")["checkpoints"]]
from streamlit.testing.v1 import AppTest
from dashboard.page_list import PAGES
walk = AppTest.from_file("dashboard/Home.py", default_timeout=120)
walk.query_params["data"] = "demo"
walk.run()
for page in PAGES:
    if page is not PAGES[0]:
        walk.switch_page(f"{page.name}/page.py").run()
    assert not walk.exception, (page.name, walk.exception)
print(json.dumps({"file": file, "trained": trained["checkpoint"], "names": names}))
"""


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the repository with a history of its own."""
    copy = tmp_path / "repository"
    for name in PARTS:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (REPOSITORY / name).exists():
            copy.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / name, copy / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it was"]):
        git(copy, *command)
    return copy


def git(folder: Path, *arguments: str) -> str:
    """Git in this folder, without the settings of the person who runs the tests."""
    person = ("-c", "user.name=Ana", "-c", "user.email=ana@clinic.example", "-c", "commit.gpgsign=false")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *person, *arguments], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_walk_through_commands_and_pages_leaves_git_status_empty(copied, tmp_path):
    environment = {**os.environ, "OVERREAD_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(tmp_path)], cwd=copied, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    # Ignored files count too: a checkpoint, a lock file or scores beside the shipped models would be ignored.
    assert git(copied, "status", "--porcelain", "--ignored") == ""
    home = (tmp_path / "home").resolve()
    assert Path(found["file"]).is_relative_to(home / "records" / "original-cnn-64")
    assert found["trained"] == str(home / "checkpoints" / "mine")
    assert found["names"] == ["mine", "original-cnn-64", "resnet-narrow-128"]


def test_old_places_are_read_and_their_chain_goes_on_in_the_workspace(workspace, tmp_path):
    beside = paths.CHECKPOINTS / "original-cnn-64"
    shutil.copytree(SHIPPED / "original-cnn-64", beside)
    for name in (POINTS, LOOKS):
        shutil.copy(OLD / name, beside)
    before = {file: file.read_bytes() for file in beside.iterdir()}
    source = find_source("original-cnn-64")
    (old,) = read_points(source)
    on_train = DataSplit(old.dataset, "train")
    (look,) = verifications(source, on_train)
    assert record_verification(source, old.id, on_train, {"n": 3}) == [look]
    assert [entry.get("figures") for entry in verifications(source, on_train)] == [None, {"n": 3}]
    ended = withdraw(source, old.id, "replaced", "Ana")
    assert [point.withdrawn for point in read_points(source)] == [ended] and ended.previous == old.hash
    assert {file: file.read_bytes() for file in beside.iterdir()} == before
    assert source.file_to_write(POINTS).is_relative_to(workspace)


def test_a_checkpoint_trained_beside_the_shipped_ones_is_still_found(workspace):
    shutil.copytree(SHIPPED / "original-cnn-64", paths.CHECKPOINTS / "earlier")
    assert read_checkpoint("earlier").folder == paths.CHECKPOINTS / "earlier"
    shutil.copytree(SHIPPED / "resnet-narrow-128", workspace / "checkpoints" / "earlier")
    # The workspace's own checkpoint wins, in the list and by name.
    assert read_checkpoint("earlier").folder == workspace / "checkpoints" / "earlier"
    assert checkpoint_folders() == [workspace / "checkpoints" / "earlier"]
    assert paths.checkpoint_folder("new") == workspace / "checkpoints" / "new"
