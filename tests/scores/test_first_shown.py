"""The source that a reader sees first: last used, else decided, else best; never by the alphabet."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from core.data.index import Dataset
from core.models.checkpoint import list_checkpoints
from core.scores import first_shown
from core.scores.first_shown import LastUsed, last_used, preferred_dataset, preferred_source, remember_use, tuning_bound
from core.scores.source import Source, source_of

DATA = Dataset("wrists", "", "mura", False, "2026-01-01", "a" * 64, True, "the folders")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path))
    monkeypatch.setattr(first_shown, "tuning_bound", lambda one: one.model.bound)
    return tmp_path


def source(name: str, bound: float, trained_on: str = "wrists", scored: bool = True) -> Source:
    """A source of a made-up checkpoint whose tuning AUROC has this lower bound."""
    model = SimpleNamespace(manifest={"dataset": trained_on}, bound=bound)
    stamps = (("scores", 1 if scored else 0, 0),)
    return Source("checkpoint", name, name, DATA.name, DATA.index_hash, "", stamps, model, DATA)


def chosen(data: str, model: str = "") -> Source:
    """The source that a reader chose: a model of this name on a data set of that name."""
    return replace(source(model, 0.5) if model else source_of(None, DATA), data=data)


def lock(monkeypatch, points: dict[str, list[tuple[str, str]]]) -> None:
    """Operating points by the name of their source: (date, data set)."""
    found = {
        name: [SimpleNamespace(date=date, dataset=dataset) for date, dataset in rows] for name, rows in points.items()
    }
    monkeypatch.setattr(first_shown, "usable_points", lambda one: found.get(one.name, []))


def test_without_any_decision_the_best_model_comes_first_and_not_the_first_by_name(monkeypatch):
    lock(monkeypatch, {})
    found = [source("a-weak", 0.52), source("m-strong", 0.81), source("z-weak", 0.6)]
    assert preferred_source(DATA, "", found).name == "m-strong"
    assert preferred_source(DATA, "", found[::-1]).name == "m-strong"


def test_a_model_that_has_not_scored_the_set_comes_after_one_that_has(monkeypatch):
    lock(monkeypatch, {})
    assert preferred_source(DATA, "", [source("new", 0.9, scored=False), source("old", 0.6)]).name == "old"


def test_a_bound_measured_on_other_patients_does_not_beat_one_of_this_set(monkeypatch):
    lock(monkeypatch, {})
    assert preferred_source(DATA, "", [source("guest", 0.9, "other"), source("own", 0.6)]).name == "own"


def test_a_locked_model_comes_before_a_better_one_and_the_last_lock_wins(monkeypatch):
    here, there = DATA.reference, "hands@bbbbbbbb"
    found = [source("best", 0.9), source("first", 0.6), source("second", 0.5), source("elsewhere", 0.8)]
    lock(
        monkeypatch,
        {"first": [("2026-01-01", here)], "second": [("2026-02-01", here)], "elsewhere": [("2026-03-01", there)]},
    )
    assert preferred_source(DATA, "", found).name == "second"
    lock(monkeypatch, {"elsewhere": [("2026-03-01", there)]})
    assert preferred_source(DATA, "", found).name == "elsewhere"


def test_what_a_reader_used_last_comes_first_for_that_reader_only(monkeypatch):
    lock(monkeypatch, {"best": [("2026-01-01", DATA.reference)]})
    found = [source("best", 0.9), source("odd", 0.5)]
    remember_use("reader:ana", chosen("wrists", "odd"))
    assert preferred_source(DATA, "reader:ana", found).name == "odd"
    assert preferred_source(DATA, "reader:ben", found).name == preferred_source(DATA, "", found).name == "best"
    remember_use("reader:ana", chosen("wrists", "deleted since"))
    assert preferred_source(DATA, "reader:ana", found).name == "best"


def test_the_choice_of_a_data_set_keeps_the_models_chosen_before():
    remember_use("reader:ana", chosen("wrists", "odd"))
    remember_use("reader:ana", chosen("hands"))
    assert last_used("reader:ana") == LastUsed("hands", {"wrists": "odd"})
    for number in range(first_shown.MOST_MODELS + 5):
        remember_use("reader:ana", chosen(f"set{number}", "m"))
    assert (
        len(last_used("reader:ana").models) == first_shown.MOST_MODELS
        and "wrists" not in last_used("reader:ana").models
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"data": 1}', '{"data": "a", "models": []}', "[" * 99_999])
def test_a_damaged_file_of_a_reader_is_as_if_there_were_none(workspace, content):
    remember_use("reader:ana", chosen("wrists", "odd"))
    next((workspace / "readers").glob("*.json")).write_text(content)
    assert last_used("reader:ana") == LastUsed()
    remember_use("reader:ana", chosen("wrists", "odd"))
    assert last_used("reader:ana").models == {"wrists": "odd"}


def test_no_reader_has_no_file_and_no_name_is_in_the_name_of_a_file(workspace):
    remember_use("", chosen("wrists", "odd"))
    assert last_used("") == LastUsed() and not (workspace / "readers").exists()
    remember_use("reader:../ana", chosen("wrists"))
    assert [file.parent.name for file in workspace.rglob("*.json")] == ["readers"]
    assert not [file for file in workspace.rglob("*ana*")]


def test_the_first_data_set_is_used_last_else_locked_on_else_real_else_new(monkeypatch):
    demo = replace(DATA, name="demo", phantom=True, created="2026-05-01", index_hash="d" * 64)
    newer = replace(DATA, name="a-newer", created="2026-03-01", index_hash="e" * 64)
    sets = {"demo": demo, "wrists": DATA, "a-newer": newer}
    monkeypatch.setattr(first_shown, "list_sources", lambda: [source("m", 0.7)])
    lock(monkeypatch, {})
    assert preferred_dataset(sets) == "a-newer"
    lock(monkeypatch, {"m": [("2026-01-01", demo.reference)]})
    assert preferred_dataset(sets) == "demo"
    remember_use("reader:ana", chosen("wrists"))
    assert preferred_dataset(sets, "reader:ana") == "wrists" and preferred_dataset(sets, "reader:ben") == "demo"


def test_the_shipped_models_are_compared_by_the_bound_of_their_kept_epoch(monkeypatch):
    monkeypatch.setattr(first_shown, "tuning_bound", tuning_bound)
    shipped = {model.name: source_of(model) for model in list_checkpoints()[0]}
    bounds = {name: tuning_bound(one) for name, one in shipped.items()}
    for name, one in shipped.items():
        history = one.model.history()
        assert bounds[name] == history.loc[history["best"].astype(bool), "tune_auroc_low"].iloc[-1]
    assert preferred_source(DATA, "", shipped.values()).name == max(bounds, key=bounds.get)
