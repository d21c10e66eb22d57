"""Pages over scores in shards: the same figures as over one file, and nothing read that is not shown."""

import shutil

import pytest

from core.data.index import read_dataset
from core.models.checkpoint import read_checkpoint
from core.scores import predictions, shards
from core.scores.shards import Shard, ShardedTable
from core.scores.source import source_of
from core.scores.stored_scores import read_predictions
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:
    own = House(tmp_path / "home", built.checkpoints)
    for folder in ("datasets", "predictions"):
        shutil.copytree(built.home / folder, own.home / folder)
    enter(own, monkeypatch)
    return own


def cut_into_shards(checkpoint, dataset, size: int = 50) -> None:
    frame, file = read_predictions(source_of(checkpoint, dataset)), source_of(checkpoint, dataset).scores_file
    file.unlink()
    file.mkdir()
    made = []
    for split, rows in frame.groupby("split"):
        for number, start in enumerate(range(0, len(rows), size)):
            name, part = f"{split}-{number:05}-00000000.parquet", rows.iloc[start : start + size]
            made.append(Shard(name, split, len(part), shards.write_shard(file / name, part)))
    facts = {"weights": checkpoint.weights_hash, "index": dataset.index_hash, "tta": "", "draws": 0, "shard_rows": size}
    facts |= {"checkpoint": checkpoint.reference, "dataset": dataset.reference}
    shards.write_table(ShardedTable(file, facts, tuple(made)))


@pytest.mark.parametrize("page", ["overview", "threshold", "errors"])
def test_a_page_over_shards_shows_the_same_and_reads_only_its_split(own, films, monkeypatch, page):
    before = words(open_page(page, model="alpha", split="valid"))
    cut_into_shards(read_checkpoint("alpha"), read_dataset("demo"))
    real, asked = shards.read_shards, []

    def read_shards(table, split="", bone="", columns=None):
        asked.append((split, columns))
        return real(table, split, bone, columns)

    monkeypatch.setattr(predictions, "read_shards", read_shards)
    app = open_page(page, model="alpha", split="valid")
    assert not app.exception and words(app) == before
    assert asked
    # Of other splits, only what the choice of a split and of an aggregation depends on is read.
    others = {columns for split, columns in asked if split != "valid"}
    assert others <= {("study_id", "label", "split"), ("attention", "pooling")}


def test_a_damaged_shard_is_named_on_the_page_with_the_way_to_make_it_again(own, films):
    cut_into_shards(read_checkpoint("alpha"), read_dataset("demo"))
    victim = next((own.home / "predictions" / "demo" / "alpha.parquet").glob("valid-00000-*"))
    victim.write_bytes(victim.read_bytes()[:-9])
    app = open_page("threshold", model="alpha", split="valid")
    assert not app.exception
    assert str(victim) in words(app) and "python -m core predict alpha --data demo" in words(app)
