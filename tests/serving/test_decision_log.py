"""The log of decisions: each line follows the one before it, and every change to it is found."""

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from core.commands.serving import verify
from core.scores.decisions import decisions
from core.serving import decision_log
from core.serving.decision_log import HEAD, LINES, DecisionLog, log_table, verify_log, write_log_table
from core.serving.decoding import Upload
from core.serving.reader import load
from tests.refusals import refused
from tests.serving.conftest import png


@pytest.fixture
def answer(checkpoint):
    """The answer for one radiograph."""
    return load(checkpoint.folder).read([Upload("1.png", png())])


@pytest.fixture
def log(checkpoint, point, tmp_path):
    """Five decisions."""
    reader, made = load(checkpoint.folder), DecisionLog(tmp_path / "log")
    for seed in range(5):
        made.append(reader.read([Upload("Planted.png", png(seed)), Upload("text", b"text")]), bone="wrist")
    return made


def test_a_log_as_written_is_whole(log):
    assert verify_log(log.folder) == type(verify_log(log.folder))(5)


def test_decisions_can_be_recomputed_from_the_log(log, point):
    table = log_table(log.folder)
    again = decisions(point, table.rename(columns={"decision": "logged"}))
    assert list(again) == list(table["decision"]) and set(table["point"]) == {point.id}
    assert list(table["unusable"]) == [["image-unreadable"]] * 5
    assert "Planted" not in (log.folder / LINES).read_text()


def damaged(log, change):
    lines = (log.folder / LINES).read_text().splitlines(keepends=True)
    (log.folder / LINES).write_text("".join(change(lines)))
    return verify_log(log.folder).problem


@pytest.mark.parametrize("place", range(5))
def test_an_altered_line_is_found(log, place):
    def alter(lines):
        record = json.loads(lines[place])
        lines[place] = json.dumps(record | {"score": record["score"] + 1e-9}) + "\n"
        return lines

    assert f"line {place + 1} was altered" in damaged(log, alter)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: lines[:-1],
        lambda lines: lines[:-3],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [],
        lambda lines: [*lines[:-1], lines[-1][:40]],
        lambda lines: [*lines[:2], "[" * 100_000 + "\n", *lines[2:]],
    ],
)
def test_missing_moved_added_and_broken_lines_are_found(log, change):
    assert damaged(log, change)


def test_a_kill_between_line_and_head_loses_nothing(log, checkpoint):
    before = (log.folder / HEAD).read_text()
    log.append(load(checkpoint.folder).read([Upload("1", png())]))
    (log.folder / HEAD).write_text(before)
    assert verify_log(log.folder).problem == "" and verify_log(log.folder).lines == 6
    log.append(load(checkpoint.folder).read([Upload("1", png())]))
    assert verify_log(log.folder).lines == 7 and not verify_log(log.folder).problem


def test_a_kill_within_a_line_leaves_a_whole_log(log, checkpoint):
    with open(log.folder / LINES, "a") as file:
        file.write('{"number": 6, "ti')
    log.append(load(checkpoint.folder).read([Upload("1", png())]))
    assert verify_log(log.folder).lines == 6 and not verify_log(log.folder).problem


def test_threads_append_one_after_the_other(log, checkpoint):
    answer = load(checkpoint.folder).read([Upload("1", png())])
    other = DecisionLog(log.folder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: (log, other)[number % 2].append(answer), range(40)))
    assert verify_log(log.folder).lines == 45 and not verify_log(log.folder).problem


def test_the_log_as_a_table(log, tmp_path):
    assert write_log_table(log.folder, tmp_path / "log.parquet") == 5
    table = pd.read_parquet(tmp_path / "log.parquet")
    assert len(table) == 5 and str(table["time"].dtype).startswith("datetime64")
    write_log_table(log.folder, tmp_path / "log.csv")
    assert len(pd.read_csv(tmp_path / "log.csv")) == 5
    with refused("decision-log-missing"):
        log_table(tmp_path / "nothing")


def test_lines_of_earlier_versions_are_read_and_verified(answer, tmp_path, monkeypatch):
    earlier = tuple(name for name in decision_log._FIELDS if name not in ("runtime", "side"))
    with monkeypatch.context() as before:
        before.setattr(decision_log, "_FIELDS", earlier)
        DecisionLog(tmp_path / "old").append(answer, bone="hand")
    old = DecisionLog(tmp_path / "old")
    old.append(answer)
    assert verify_log(old.folder).problem == ""
    table = log_table(old.folder)
    assert list(table["runtime"]) == ["torch", answer.model["runtime"]]
    assert table["side"].isna().tolist() == [True, False]
    assert damaged(old, lambda lines: [lines[0].replace("hand", "foot"), *lines[1:]])


def test_the_command_names_the_log_and_what_to_do(log):
    lines = (log.folder / LINES).read_text().splitlines(keepends=True)
    (log.folder / LINES).write_text("".join(lines[1:]))
    with refused("decision-log-altered", log.folder / LINES, "line 1", "Restore the log"):
        verify(log.folder)
