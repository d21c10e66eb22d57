"""A source and a view are values: what they are about decides whether they are equal."""

from dataclasses import replace

import pytest

from core.scores.source import Source
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
def test_a_source_differs_where_what_it_is_about_differs(change):
    other = replace(SOURCE, **change)
    assert other != SOURCE and len({SOURCE, other}) == 2
    assert replace(VIEW, source=other) != VIEW


def test_the_objects_behind_a_source_do_not_count():
    assert replace(SOURCE, model=object()) == SOURCE and hash(replace(SOURCE, model=object())) == hash(SOURCE)


@pytest.mark.parametrize("view", [VIEW, View(SOURCE, "tune"), View(SOURCE, "test", "", "max", 1 / 3)])
def test_a_view_is_read_back_from_its_record_and_its_address(view):
    assert view_from_record(view.record(), find) == view
    assert view_from_address({**view.address(), "aggregation": view.aggregation}, find) == view


def test_what_has_changed_since_a_record_is_said():
    record = VIEW.record()
    assert changes_since(record, VIEW) == []
    trained_again = replace(VIEW, source=replace(SOURCE, digest="5" * 64))
    assert [part for part in ("11111111", "55555555") if part in changes_since(record, trained_again)[0]] == [
        "11111111",
        "55555555",
    ]
    indexed_again = replace(VIEW, source=replace(SOURCE, index_hash="6" * 64))
    assert "wrists" in changes_since(record, indexed_again)[0]
