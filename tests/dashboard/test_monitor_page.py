"""The Monitor page: what to do without a log, the figures of one, its alarms, and a log that was altered."""

import json
import re
import shutil
from html import unescape
from urllib.parse import parse_qsl

import pytest

from core.data.datasets import read_dataset, read_index
from core.models.checkpoint import read_checkpoint
from core.scores.imports import read_imported
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


@pytest.fixture
def shadowed(own):
    """Decisions of alpha and of its shadow beta on studies of the data set demo, which is indexed."""
    readers = [load(read_checkpoint(own.checkpoints / name).folder) for name in ("alpha", "beta")]
    index, log = read_index("demo"), DecisionLog(default_folder())
    root = read_dataset("demo").root
    studies = [list(part["path"]) for _, part in index[index["split"] == "valid"].groupby("study_id")][:4]
    for files in studies:
        for reader, shadow in zip(readers, (False, True)):
            log.append(reader.read([f"{root}/{file}" for file in files]), shadow=shadow)
    return log


def test_compare_opens_on_the_answered_model_and_its_shadow(own, shadowed):
    app = open_page("monitor")
    (button,) = [button for button in app.button if button.label == "Import both scores of 4 studies"]
    button.click().run()
    assert not app.exception
    address = re.search(r'href="compare\?([^"]+)"', words(app)).group(1)
    query = dict(parse_qsl(unescape(address)))
    assert (query["data"], query["split"]) == ("demo", "valid")
    for name, model in (("model", "alpha"), ("other", "beta")):
        imported = read_imported(query[name])
        assert imported.name.startswith(model) and imported.dataset.startswith("demo@") and imported.studies == 4
    compared = open_page("compare", **query)
    assert not compared.exception and query["other"] in words(compared)


def test_without_labels_the_page_says_why_nothing_can_be_compared(own):
    readers = [load(read_checkpoint(own.checkpoints / name).folder) for name in ("alpha", "beta")]
    log = DecisionLog(default_folder())
    for reader, shadow in zip(readers, (False, True)):
        log.append(reader.read([Upload("1", png())]), shadow=shadow)
    app = open_page("monitor")
    assert "their labels are not known here" in words(app)
    assert not [button for button in app.button if button.label.startswith("Import both")]
