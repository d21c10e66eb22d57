"""Sources and views are values: equal exactly if they mean the same scores."""

from dataclasses import replace

import pytest

from core.data.index import Dataset
from core.scores.source import Source, source_of
from core.scores.view import View, changes_since, view_from_address, view_from_record


class Model:
    reference = "net@12345678"


SOURCE = Source("checkpoint", "net", "1" * 64, "wrists", "2" * 64, "/home", (("a", 1, 2),), Model())
VIEW = View(SOURCE, "valid", "wrist", "mean", 0.125, "abc")


def find(data: str, model: str) -> Source:
    return replace(SOURCE, data=data, name=model)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "imported"},
        {"name": "other"},
        {"digest": "3" * 64},
        {"data": "hands"},
        {"index_hash": "4" * 64},
        {"workspace": "/elsewhere"},
        {"stamps": (("a", 2, 2),)},
    ],
)
def test_sources_of_other_scores_are_not_equal(change):
    other = replace(SOURCE, **change)
    assert other != SOURCE and len({SOURCE, other}) == 2
    assert replace(VIEW, source=other) != VIEW


def test_the_objects_behind_a_source_do_not_count():
    assert replace(SOURCE, model=object()) == SOURCE and hash(replace(SOURCE, model=object())) == hash(SOURCE)


@pytest.mark.parametrize("view", [VIEW, View(SOURCE, "tune"), View(SOURCE, "test", "", "max", 1 / 3)])
def test_a_view_is_read_back_from_its_record_and_its_address(view):
    assert view_from_record(view.record(), find) == view
    assert view_from_address({**view.address(), "aggregation": view.aggregation}, find) == view


def test_changes_since_a_record_are_listed():
    record = VIEW.record()
    assert changes_since(record, VIEW) == []
    trained_again = replace(VIEW, source=replace(SOURCE, digest="5" * 64))
    assert [part for part in ("11111111", "55555555") if part in changes_since(record, trained_again)[0]] == [
        "11111111",
        "55555555",
    ]
    indexed_again = replace(VIEW, source=replace(SOURCE, index_hash="6" * 64))
    assert "wrists" in changes_since(record, indexed_again)[0]


def test_a_data_set_without_a_model_is_a_source_too(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path))
    dataset = Dataset("wrists", "/films", "mura", False, "", "2" * 64, 0, "")
    alone = source_of(None, dataset)
    assert (alone.kind, alone.name, alone.reference, alone.data) == ("none", "", "", "wrists")
    assert not alone.is_scored and not alone.has_network and alone.has_images
    assert View(alone, "valid").address() == {
        "data": "wrists",
        "split": "valid",
        "bone": "all bones",
        "threshold": "0.5",
    }


def test_a_key_is_what_equality_compares():
    assert replace(SOURCE, model=object()).key == SOURCE.key
    assert replace(SOURCE, stamps=(("a", 2, 2),)).key != SOURCE.key
    assert replace(VIEW, threshold=0.5).key != VIEW.key and replace(VIEW, source=replace(SOURCE)).key == VIEW.key


def test_a_cohort_is_the_same_at_every_threshold_and_differs_by_its_studies():
    assert VIEW.cohort == replace(VIEW, threshold=0.9, point="").cohort
    assert VIEW.cohort != replace(VIEW, bone="").cohort == VIEW.every_bone.cohort
