"""Each how-to is followed to the letter: its commands run in order, in a folder with the files that it names."""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from core import paths
from core.__main__ import app
from core.data.index import read_dataset, read_index
from core.models.checkpoint import read_checkpoint
from core.paths import home
from core.scores.source import source_of
from core.scores.stored_scores import read_predictions
from tests.browser.server import free_port
from tests.conftest import REPOSITORY, write_radiograph

HOW_TOS = REPOSITORY / "docs" / "how-to"
SHIPPED = REPOSITORY / "checkpoints"
pytestmark = pytest.mark.skipif(not (SHIPPED / "original-cnn-64").is_dir(), reason="no checkpoint ships here")
PATIENTS = 96
# Followed by tests of their own: a public record that breaks off, a server that stays up.
ELSEWHERE = {
    "get-fracatlas": "tests/workflows/test_download_set.py",
    "run-a-team-server": "test_the_server_of_a_team_starts_as_written",
    "serve-a-model": "test_a_model_is_served_as_written",
    "score-an-archive": "test_an_archive_is_scored",
    "add-your-own-checkpoint": "test_a_checkpoint_of_another_program_is_added",
}


def blocks(name: str, kind: str = "sh") -> list[str]:
    """The blocks of code of a how-to, of one kind."""
    return re.findall(rf"```{kind}\n(.*?)```", (HOW_TOS / f"{name}.md").read_text(), re.DOTALL)


def lines(name: str) -> list[str]:
    """The command lines of a how-to, in order."""
    joined = "\n".join(blocks(name)).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with what the how-tos name, and the data set `ours`, scored by a shipped model. Copied for each test."""
    folder = tmp_path_factory.mktemp("how-to")
    # Enough patients in valid that a threshold is chosen on one half of it.
    random, tree = np.random.default_rng(0), tmp_path_factory.mktemp("tree") / "MURA-v1.1"
    for number in range(PATIENTS):
        split, abnormal = "valid" if number % 3 else "train", number % 2 == 0
        study = f"{split}/XR_WRIST/patient{number:05}/study1_{'positive' if abnormal else 'negative'}"
        write_radiograph(tree / study / "image1.png", random, abnormal)
    shutil.make_archive(str(folder / "upload"), "zip", tree.parent, tree.name)
    write_radiograph(folder / "a.png", np.random.default_rng(5), True)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        run("python -m core index upload.zip --name ours --guess-columns")
        run("python -m core predict original-cnn-64 --data ours")
        index = read_index("ours")
    scores = pd.DataFrame({"image_id": index["image_id"], "score": np.linspace(0.05, 0.95, len(index))})
    scores.to_csv(folder / "scores.csv", index=False)
    abnormal = index[index["split"] == "valid"]["study_id"].unique()[:4]
    reads = pd.DataFrame({"study_id": abnormal, "reviewer": "A. Reader", "verdict": "label_wrong"})
    reads.to_csv(folder / "verdicts.csv", index=False)
    return folder


@pytest.fixture
def folder(begun, tmp_path, monkeypatch):
    copied = shutil.copytree(begun, tmp_path / "here")
    enter(copied, monkeypatch)
    return copied


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Work in this folder, with its workspace and the shipped checkpoints."""
    patch.chdir(folder)
    patch.setenv("OVERREAD_HOME", str(folder / "workspace"))
    patch.setattr(paths, "CHECKPOINTS", SHIPPED)


def run(line: str) -> str:
    """Run one line of a how-to. Commands of Overread run in this process, all others in a shell."""
    if line.startswith("python -m core "):
        result = CliRunner().invoke(app, shlex.split(line, comments=True)[3:])
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"
        return result.output
    line = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", line)
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True, timeout=60).stdout


def follow(name: str) -> list[str]:
    return [run(line) for line in lines(name)]


def test_every_how_to_is_followed_by_a_test():
    here = Path(__file__).read_text()
    for file in HOW_TOS.glob("*.md"):
        assert f'follow("{file.stem}")' in here or file.stem in ELSEWHERE, f"{file.name} is followed by no test"
    for where in ELSEWHERE.values():
        assert where in here and (not where.endswith(".py") or (REPOSITORY / where).is_file()), where


def test_radiographs_are_added(folder):
    shutil.rmtree(folder / "workspace")
    follow("add-data")
    assert len(read_index("ours")) == PATIENTS


def test_an_archive_is_scored(folder):
    """All but the lines for several processes, which tests of sharded scores start."""
    index, predict, accelerate, torchrun, decide = (
        line.replace("/archive", "upload.zip").replace("CHECKPOINT", "original-cnn-64")
        for line in lines("score-an-archive")
    )
    assert "-m core predict" in accelerate and "-m core predict" in torchrun
    run(index)
    run(predict)
    run('python -m core threshold original-cnn-64 --data archive --rule "threshold=0.5" --lock --author "A. Reader"')
    run(decide)
    (decided,) = (home() / "predictions" / "archive").glob("*.decisions.csv")
    assert len(pd.read_csv(decided))


def test_scores_are_imported_and_compared(folder):
    printed = follow("import-scores")
    assert "other" in printed[1] and "original-cnn-64" in printed[2]


def test_the_import_of_the_readme_runs_as_printed(folder):
    (line,) = re.findall(r"`(python -m core import-predictions [^`]+)`", (REPOSITORY / "README.md").read_text())
    assert "other" in run(line.replace("mura", "ours"))


def test_a_threshold_is_chosen_locked_and_verified(folder):
    printed = follow("choose-a-threshold")
    assert len(printed) == 4 and "valid:verify" in printed[2]
    decided = pd.read_csv(folder / "screened.csv")
    assert len(decided)


def test_a_walkthrough_is_made_and_has_minutes(folder):
    printed = follow("walk-through-errors")
    assert "Monday" in printed[1] and (folder / "verdicts.csv").is_file()
    # Nobody has led the reading yet.
    assert "left out: still read blind" in (folder / "monday.html").read_text()


def test_a_run_is_trained(folder):
    printed = follow("train-a-run")
    assert "fast-cpu" in printed[0] and (home() / "checkpoints" / "first").is_dir()


def test_a_checkpoint_of_another_program_is_added(folder):
    import torch

    from core.models.networks import build

    torch.manual_seed(3)
    torch.save(build("resnet10t", {}).state_dict(), folder / "theirs.pth")
    first, *others = lines("add-your-own-checkpoint")
    exec(compile(blocks("add-your-own-checkpoint", "python")[0], "add-your-own-checkpoint.md", "exec"), {})
    assert "theirs" in run(first)
    for line in others:
        run(line)
    assert len(pd.read_csv(folder / "theirs.csv")) == PATIENTS


def test_labels_are_audited_accepted_and_trained_on(folder):
    follow("audit-labels")
    assert len(pd.read_csv(folder / "suspects.csv")) and (home() / "checkpoints" / "corrected").is_dir()


def test_a_backup_is_restored(folder, monkeypatch):
    run("python -m core verdicts import verdicts.csv --data ours")
    follow("back-up-the-workspace")
    assert not list((folder / "restored").rglob("cache"))
    monkeypatch.setenv("OVERREAD_HOME", str(folder / "restored" / "workspace"))
    assert read_predictions(source_of(read_checkpoint("original-cnn-64"), read_dataset("ours"))) is not None
    with sqlite3.connect(home() / "review.sqlite") as database:
        assert database.execute("select count(*) from verdicts").fetchone()[0] == 4


def test_the_server_and_its_login_are_written_as_streamlit_takes_them():
    login = tomllib.loads(blocks("run-a-team-server", "toml")[0])["auth"]
    assert {"redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url"} == set(login)
    words = shlex.split(lines("run-a-team-server")[0])
    from streamlit import config

    assert words[1:3] == ["streamlit", "run"] and (REPOSITORY / words[3]).is_file()
    assert {word[2:] for word in words if word.startswith("--")} <= set(config._config_options_template)


@pytest.mark.slow
def test_the_server_of_a_team_starts_as_written(folder):
    line = lines("run-a-team-server")[0].replace("8501", str(free_port()))
    port = re.search(r"server.port (\d+)", line)[1]
    command = re.sub(
        r"(?<=OVERREAD_HOME=)\S+ streamlit", rf"{folder}/bones {Path(sys.executable).parent}/streamlit", line
    )
    with running(command, REPOSITORY):
        assert fetch(f"http://127.0.0.1:{port}/_stcore/health") == "ok"


@pytest.mark.slow
def test_a_model_is_served_as_written(folder):
    token, serve, ask, read, verify = lines("serve-a-model")
    for command in lines("choose-a-threshold"):
        run(command)
    secret, line = re.findall(r"^(?:token|line): +(.+)$", run(token), re.MULTILINE)
    (folder / "tokens.txt").write_text(line + "\n")
    port = str(free_port())
    with running(serve.replace("8000", port).replace("python", sys.executable), folder):
        fetch(f"http://127.0.0.1:{port}/health/ready")
        answer = run(ask.replace("8000", port).replace("TOKEN", secret))
    assert json.loads(answer)["study"]["decision"] in ("abnormal", "normal")
    assert f"study: score {json.loads(answer)['study']['score']:.3f}, {json.loads(answer)['study']['decision']}" in run(
        read
    )
    run(verify)


@contextmanager
def running(command: str, folder: Path):
    """A command that stays up, as a group of its own that is ended afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def fetch(address: str, seconds: float = 90) -> str:
    """The answer of a server that is about to start."""
    until = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).read().decode().strip()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
