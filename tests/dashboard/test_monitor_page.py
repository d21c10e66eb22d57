"""The Monitor page: what to do without a log, the figures of one, its alarms, and a log that was altered."""

import json
import shutil

import pytest

from core.models.checkpoint import read_checkpoint
from core.serving.decision_log import LINES, DecisionLog, default_folder
from core.serving.decoding import Upload
from core.serving.reader import load
from tests.dashboard.conftest import House, enter, open_page, words
from tests.serving.conftest import png


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:
    """The workspace of the tests, in a copy that may be written to."""
    house = House(shutil.copytree(built.home, tmp_path / "home"), built.checkpoints)
    enter(house, monkeypatch)
    return house


@pytest.fixture
def logged(own):
    """Five decisions of one checkpoint, one of them about an unusable file."""
    reader, log = load(read_checkpoint(own.checkpoints / "alpha").folder), DecisionLog(default_folder())
    for seed in range(4):
        log.append(reader.read([Upload("1", png(seed))]))
    log.append(reader.read([Upload("1", b"text")]))
    return log


def test_without_a_log_the_page_says_how_to_start_one(own):
    assert "Start the service with --log" in words(open_page("monitor"))


def test_the_page_counts_what_is_in_the_log(logged):
    app = open_page("monitor")
    assert not app.exception
    shown = words(app)
    assert "Studies" in shown and ">5<" in shown and "no reference" in shown and "No alarm" in shown


def test_an_altered_log_is_said_to_be_altered(logged):
    file = default_folder() / LINES
    lines = file.read_text().splitlines()
    record = json.loads(lines[1])
    lines[1] = json.dumps(record | {"score": 0.123})
    file.write_text("\n".join(lines) + "\n")
    app = open_page("monitor")
    assert "line 2 was altered" in app.error[0].value
