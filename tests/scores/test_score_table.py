"""Scores of a large data set: shards, the same after any interruption, read without what is not asked for."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from core import parquet_files
from core.data.index import build_index, read_index, write_dataset
from core.scores import unfinished
from core.scores.decisions import write_decisions
from core.scores.loading import find_scores, split_scores
from core.scores.operating_points import OperatingPoint
from core.scores.predict import predict
from core.scores.predictions import read_file, store_predictions
from core.scores.score_table import ScoringOrder, score_table
from core.scores.shards import LEFT_OUT, MANIFEST, read_table
from core.scores.source import source_of
from core.scores.stored_scores import read_predictions, stored_splits
from core.workflows.doctor import examine
from core.workflows.make_again import make_again
from tests.conftest import REPOSITORY
from tests.refusals import refused
from tests.scores.test_predict import RECIPE, learned_of, untrained

ROWS = 9  # 60 radiographs: 5 shards of train, 2 of valid


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def own_tree(mura, workspace, tmp_path):
    """The same radiographs in a folder that a test may damage."""
    return write_dataset("tree", build_index(shutil.copytree(mura, tmp_path / "MURA-v1.1"), folds=4))


@pytest.fixture
def checkpoint(tmp_path, workspace):
    return untrained(tmp_path / "checkpoints" / "tiny", RECIPE)


def sharded(checkpoint, dataset, splits=None, **more):
    return score_table(ScoringOrder(source_of(checkpoint, dataset), splits, shard_rows=ROWS, **more))


def contents(folder) -> dict[str, bytes]:
    """What a finished table consists of."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def flip_a_byte(file) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_shards_hold_the_scores_of_one_file(checkpoint, tree):
    expected = predict(source_of(checkpoint, tree))
    done = sharded(checkpoint, tree)
    table = read_table(done.file)
    assert (done.rows, done.splits, done.notes) == (60, ["train", "valid"], [])
    assert [shard.rows for shard in table.shards] == [9, 9, 9, 9, 8, 9, 7]
    found = read_predictions(source_of(checkpoint, tree))
    pd.testing.assert_frame_equal(by_id(found), by_id(expected), rtol=1e-5)
    assert pd.read_parquet(done.file)["image_id"].tolist() == found["image_id"].tolist()
    assert sorted(file.name for file in done.file.parent.iterdir()) == ["tiny.parquet"]


def by_id(frame):
    return frame.sort_values("image_id").reset_index(drop=True)


def test_a_small_data_set_becomes_one_file_in_the_order_of_its_index(checkpoint, tree):
    done = score_table(ScoringOrder(source_of(checkpoint, tree)))
    assert done.file == source_of(checkpoint, tree).scores_file and done.file.is_file()
    pd.testing.assert_frame_equal(read_file(done.file), predict(source_of(checkpoint, tree)), rtol=1e-5)
    assert read_file(done.file)["image_id"].tolist() == read_index("tree")["image_id"].tolist()


class Killed(BaseException):
    """Nothing catches it, as nothing can catch a kill."""


@pytest.mark.parametrize("rows", [0, 30], ids=["one file", "shards"])
def test_a_run_that_is_killed_before_any_of_its_writes_continues_to_the_same_bits(
    checkpoint, tree, tmp_path, monkeypatch, rows
):
    order = ScoringOrder(source_of(checkpoint, tree), out=tmp_path / "straight.parquet", shard_rows=rows)
    straight = score_table(order).file
    expected = contents(straight) if rows else straight.read_bytes()
    real, left = os.replace, [0]

    def replace(old, new):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    kills = 0
    while kills < 30:
        out = tmp_path / f"killed-{kills}.parquet"
        left[0] = kills + 1
        try:
            score_table(ScoringOrder(source_of(checkpoint, tree), out=out, shard_rows=rows))
        except Killed:
            kills += 1
            if rows:
                with refused("predictions-missing" if not out.exists() else "shards-unfinished"):
                    read_file(out)
            again = score_table(ScoringOrder(source_of(checkpoint, tree), out=out, shard_rows=rows)).file
            assert (contents(again) if rows else again.read_bytes()) == expected, kills
            assert not list(tmp_path.glob(".*"))
        else:
            break
    assert kills == (3 * 3 + 3 if rows else 8), "a write that is not tested, or a loop that tests nothing"


def test_a_damaged_shard_is_named_and_only_it_is_made_again(checkpoint, tree):
    done = sharded(checkpoint, tree)
    before, whole = contents(done.file), read_table(done.file).digest
    victim = next(done.file.glob("valid-00001-*"))
    flip_a_byte(victim)
    others = {file: file.stat().st_ino for file in done.file.iterdir() if file.name[0] != "_" and file != victim}
    with refused("shard-altered", victim, "python -m core predict tiny --data tree"):
        read_predictions(source_of(checkpoint, tree))
    assert len(read_predictions(source_of(checkpoint, tree), split="train")) == 44
    again = sharded(checkpoint, tree)
    assert any(str(victim) in note for note in again.notes)
    assert {file: file.stat().st_ino for file in others} == others
    assert contents(done.file) == before and read_table(done.file).digest == whole
    victim.unlink()
    with refused("shard-missing", victim) as caught:
        split_scores(find_scores("tiny", "tree"), "valid")
    assert damaged() == [str(done.file)]
    make_again(caught.value.file)
    assert contents(done.file) == before and not damaged()
    assert "nothing was scored again" in score_table(ScoringOrder(source_of(checkpoint, tree))).notes[0]


def damaged() -> list[str]:
    return [finding.path for finding in examine().findings if finding.kind == "damaged"]


def test_a_shard_that_is_damaged_while_the_run_is_interrupted_is_made_again(checkpoint, tree, monkeypatch):
    expected = contents(sharded(checkpoint, tree).file)
    shutil.rmtree(source_of(checkpoint, tree).scores_file)
    interrupt_after(monkeypatch, 7, lambda: sharded(checkpoint, tree))
    folder = unfinished.unfinished_for(source_of(checkpoint, tree).scores_file).folder
    flip_a_byte(next(folder.glob("train-00002-*.parquet")))
    (next(folder.glob("train-00003-*.json"))).write_text('{"shard": {"na')
    done = sharded(checkpoint, tree)
    assert "5 of 7 shards" in done.notes[0]
    assert contents(done.file) == expected


def test_other_weights_begin_anew_and_say_so(checkpoint, tree, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 2, lambda: sharded(checkpoint, tree))
    other = untrained(tmp_path / "others" / "tiny", RECIPE, learned_of(read_index("tree")))
    done = sharded(other, tree, ["train", "valid", "tune"])
    assert "the checkpoint has changed" in done.notes[0] and "began again" in done.notes[0]
    assert set(read_predictions(source_of(other, tree))["checkpoint"]) == {other.reference}
    pd.testing.assert_frame_equal(
        by_id(read_file(done.file)), by_id(predict(source_of(other, tree), ["train", "valid", "tune"])), rtol=1e-5
    )


def interrupt_after(monkeypatch, count: int, run) -> None:
    """Run until `count` shards are written, and stop as Ctrl-C does."""
    real, left = unfinished.Unfinished.add, [count]

    def add(self, shard, left_out):
        real(self, shard, left_out)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "add", add)
        with pytest.raises(KeyboardInterrupt):
            run()


def test_an_index_that_changes_meanwhile_stops_the_run(checkpoint, tree, mura):
    seen = []

    def progress(done, total, what):
        seen.append(done)
        if len(seen) == 3:
            write_dataset("tree", build_index(mura, folds=5))

    with refused("index-changed", "tree"):
        score_table(ScoringOrder(source_of(checkpoint, tree), shard_rows=ROWS), progress)
    assert not source_of(checkpoint, tree).scores_file.exists()
    with refused("index-changed", "tree"):
        sharded(checkpoint, tree)  # with the description of the earlier index
    from core.data.index import read_dataset

    done = sharded(checkpoint, read_dataset("tree"))
    assert "the index" in done.notes[0] and len(read_predictions(source_of(checkpoint, read_dataset("tree")))) == 60


def test_a_full_disk_keeps_the_finished_shards(checkpoint, tree, monkeypatch):
    expected = contents(sharded(checkpoint, tree).file)
    shutil.rmtree(source_of(checkpoint, tree).scores_file)
    real, left = parquet_files.write_table, [3]

    def write_table(table, path):
        left[0] -= 1
        if not left[0]:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(table, path)

    with refused("file-unwritable", "2 finished shards"), monkeypatch.context() as patched:
        patched.setattr(parquet_files, "write_table", write_table)
        sharded(checkpoint, tree)
    done = sharded(checkpoint, tree)
    assert "2 of 7 shards" in done.notes[0] and contents(done.file) == expected


def test_radiographs_that_are_away_stop_the_run_and_are_not_left_out(checkpoint, own_tree, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 3, lambda: sharded(checkpoint, own_tree))
    os.rename(tmp_path / "MURA-v1.1", tmp_path / "away")
    with refused("radiographs-gone", "MURA-v1.1"):
        sharded(checkpoint, own_tree)
    os.rename(tmp_path / "away", tmp_path / "MURA-v1.1")
    done = sharded(checkpoint, own_tree)
    assert (done.rows, done.left_out) == (60, []) and "3 of 7 shards" in done.notes[0]


def test_a_radiograph_that_could_not_be_decoded_is_tried_again(checkpoint, own_tree, tmp_path):
    file = tmp_path / "MURA-v1.1" / "valid/XR_ELBOW/patient00022/study1_negative/image1.png"
    name, data = "valid/XR_ELBOW/patient00022/study1_negative/image1.png", file.read_bytes()
    file.write_bytes(b"gone")
    done = sharded(checkpoint, own_tree)
    assert done.rows == 59 and [row["path"] for row in done.left_out] == [name]
    assert json.loads((done.file / LEFT_OUT).read_text())["image_id"] == name
    again = sharded(checkpoint, own_tree)
    assert again.left_out == done.left_out and "whole" in again.notes[0]
    file.write_bytes(data)
    done = sharded(checkpoint, own_tree)
    assert (done.rows, done.left_out) == (60, []) and name in set(read_file(done.file)["image_id"])


def test_only_the_asked_rows_and_columns_are_read(checkpoint, tree, monkeypatch):
    folder = sharded(checkpoint, tree).file
    for file in folder.glob("train-*"):
        file.write_bytes(b"nobody reads this")
    assert stored_splits(source_of(checkpoint, tree)) == ["train", "valid"]
    frame, used = split_scores(find_scores("tiny", "tree"))
    assert used == "valid" and len(frame) == 16
    assert len(split_scores(find_scores(str(folder)), split="valid")[0]) == 16
    half, _ = split_scores(find_scores("tiny", "tree"), "valid:choose", columns=["logit"])
    assert set(half["group_id"]) < set(frame["group_id"]) and "path" not in half
    wrists = read_predictions(source_of(checkpoint, tree), "valid", "wrist", ["bone", "logit", "attention"])
    assert list(wrists) == ["bone", "logit"] and set(wrists["bone"]) == {"wrist"}
    assert wrists["logit"].tolist() == frame.loc[frame["bone"] == "wrist", "logit"].tolist()
    assert read_predictions(source_of(checkpoint, tree), "tune").empty


def test_another_split_is_added_without_scoring_the_first_again(checkpoint, tree):
    folder = sharded(checkpoint, tree, ["valid"]).file
    first = contents(folder)
    score_table(ScoringOrder(source_of(checkpoint, tree), ["train"]))  # of the same size, without being asked for
    assert {name: contents(folder)[name] for name in first if name[0] != "_"} == {
        name: data for name, data in first.items() if name[0] != "_"
    }
    assert read_table(folder).splits == ["train", "valid"] and len(read_file(folder)) == 60


def test_one_file_becomes_shards_and_keeps_its_other_splits(checkpoint, tree):
    stored = predict(source_of(checkpoint, tree), ["train"]).assign(logit=7.0)
    file = store_predictions(stored)
    assert sharded(checkpoint, tree, ["valid"]).file == file
    found = read_predictions(source_of(checkpoint, tree))
    assert len(found) == 60 and set(found.loc[found["split"] == "train", "logit"]) == {7.0}
    assert not (found.loc[found["split"] == "valid", "logit"] == 7.0).any()
    store_predictions(predict(source_of(checkpoint, tree)))
    assert file.is_file() and len(read_file(file)) == 60


def test_a_place_of_something_else_is_refused(checkpoint, tree, tmp_path):
    (tmp_path / "mine.parquet").mkdir()
    (tmp_path / "mine.parquet" / "notes.txt").write_text("mine")
    pd.DataFrame({"note": ["mine"]}).to_parquet(tmp_path / "notes.parquet")
    for name in ("mine.parquet", "notes.parquet"):
        with refused("not-predictions", name):
            sharded(checkpoint, tree, out=tmp_path / name)
    with refused("scores-file-unknown", "x.xlsx"):
        sharded(checkpoint, tree, out=tmp_path / "x.xlsx")
    assert (tmp_path / "mine.parquet" / "notes.txt").exists()
    folder = sharded(checkpoint, tree).file
    (folder / MANIFEST).write_text("{}")
    with refused("shards-manifest-unreadable", MANIFEST):
        read_predictions(source_of(checkpoint, tree))


def test_decisions_of_shards_are_those_of_one_file(checkpoint, tree, tmp_path, monkeypatch):
    monkeypatch.setattr("core.scores.decisions._ROWS_AT_ONCE", 13)
    one = score_table(ScoringOrder(source_of(checkpoint, tree), out=tmp_path / "one.parquet")).file
    many = sharded(checkpoint, tree, out=tmp_path / "many.parquet").file
    tables = []
    for scores in (one, many):
        file, counts = write_decisions(POINT, scores, ["train", "valid"])
        table = pd.read_csv(file)
        assert counts == table["decision"].value_counts().to_dict() and len(table) == 30
        tables.append(table.sort_values("study_id").reset_index(drop=True))
    pd.testing.assert_frame_equal(*tables)


POINT = OperatingPoint(
    reference="tiny@0",
    kind="checkpoint",
    digest="0",
    dataset="tree@0",
    split="valid",
    studies_hash="",
    aggregation="mean",
    precision="float32",
    threshold=0.5,
    threshold_high=None,
    rule="",
    bound="",
    prevalence=None,
    figures={},
    author="",
    date="",
    note="",
    previous="",
)


def test_two_processes_share_the_shards(checkpoint, tree, tmp_path):
    """In threads here; `test_a_launcher_splits_the_work` starts real processes."""
    expected = contents(sharded(checkpoint, tree, out=tmp_path / "alone.parquet").file)
    value, ready, makers = [], threading.Barrier(2, timeout=60), {}

    class Member:
        def __init__(self, leads):
            self.leads = leads

        def broadcast(self, sent):
            if self.leads:
                value.append(sent)
            ready.wait()
            return value[-1]

    real = unfinished.Unfinished.add

    def add(self, shard, left_out):
        makers.setdefault(threading.get_ident(), []).append(shard.name)
        time.sleep(0.05)
        real(self, shard, left_out)

    order = ScoringOrder(source_of(checkpoint, tree), out=tmp_path / "both.parquet", shard_rows=ROWS)
    done = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "add", add)
        other = threading.Thread(target=lambda: done.append(score_table(order, team=Member(False))))
        other.start()
        done.append(score_table(order, team=Member(True)))
        other.join()
    assert contents(tmp_path / "both.parquet") == expected
    assert len(makers) == 2 and sorted(chain(*makers.values())) == sorted(n for n in expected if n[0] != "_")
    assert {one.rows for one in done} == {60}


def test_processes_that_would_score_differently_are_refused(checkpoint, tree):
    class Stranger:
        leads = False

        def broadcast(self, sent):
            return "0badc0de", []

    with refused("processes-differ"):
        score_table(ScoringOrder(source_of(checkpoint, tree), shard_rows=ROWS), team=Stranger())


def predict_command(workspace, *more: str, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, "-m", "core", "predict", "tiny", "--data", "tree", "--device", "cpu", *more]


@pytest.mark.slow
def test_a_launcher_splits_the_work(checkpoint, tree, workspace, tmp_path):
    shutil.copytree(checkpoint.folder, workspace / "checkpoints" / "tiny")
    expected = contents(sharded(checkpoint, tree, out=tmp_path / "alone.parquet").file)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    for rows, out in (("9", "both.parquet"), ("0", "one.parquet")):
        done = subprocess.run(
            predict_command(workspace, "--shard-rows", rows, "--out", str(tmp_path / out), "--json", launcher=launcher),
            cwd=REPOSITORY,
            env={**os.environ, "OVERREAD_HOME": str(workspace), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout)["radiographs"] == 60
    assert contents(tmp_path / "both.parquet") == expected
    straight = score_table(ScoringOrder(source_of(checkpoint, tree), out=tmp_path / "straight.parquet")).file
    assert (tmp_path / "one.parquet").read_bytes() == straight.read_bytes()


@pytest.mark.slow
def test_a_command_that_is_killed_at_any_moment_continues(checkpoint, tree, workspace, tmp_path):
    shutil.copytree(checkpoint.folder, workspace / "checkpoints" / "tiny")
    expected = contents(sharded(checkpoint, tree, out=tmp_path / "straight.parquet").file)
    environment = {**os.environ, "OVERREAD_HOME": str(workspace), "OMP_NUM_THREADS": "1"}
    random, folder = np.random.default_rng(0), tmp_path / ".killed.parquet.unfinished"
    command = predict_command(workspace, "--shard-rows", "9", "--out", str(tmp_path / "killed.parquet"))
    for _ in range(6):
        started = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)
        while started.poll() is None and not folder.exists():
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.2))
        started.kill()
        started.wait()
        if (tmp_path / "killed.parquet" / MANIFEST).exists():
            assert contents(tmp_path / "killed.parquet") == expected
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    assert contents(tmp_path / "killed.parquet") == expected
