"""The mirrored view is kept in the database, its sequence grows, and only known parts of it pass."""

import pytest

from core.review.database import open_store
from core.review.stage import read_stage, set_stage
from core.review.walkthroughs import WalkthroughCase, create_walkthrough
from tests.refusals import refused

VIEW = {
    "case": "case-1", "window": 80, "level": 40, "zoom": 250.5, "x": 0.25, "y": 0.5, "inverted": True, "whole": False,
    "fill": False, "wide": True, "count": 0, "first": 1, "pointer": {"film": 1, "x": 0.5, "y": 0.75},
    "boxes": [{"film": 0, "box": [0.1, 0.2, 0.3, 0.4]}],
}  # fmt: skip


@pytest.fixture
def walkthrough(store):
    return create_walkthrough(store, "demo", "Monday", "Ana", [WalkthroughCase("s1")])


def test_the_newest_view_is_kept_and_found_after_a_restart(url, store, walkthrough):
    assert read_stage(store, walkthrough.id) is None
    first = set_stage(store, walkthrough.id, "Ana", VIEW)
    second = set_stage(store, walkthrough.id, "Ana", {**VIEW, "zoom": 100})
    assert second.sequence == first.sequence + 1
    again = open_store(url)
    found = read_stage(again, walkthrough.id)
    assert found == second and found.view == {**VIEW, "zoom": 100.0}
    set_stage(store, walkthrough.id, "Ana", None)
    assert read_stage(again, walkthrough.id).view is None
    again.engine.dispose()


def test_values_out_of_range_are_limited_and_unknown_ones_left_out(store, walkthrough):
    sent = {**VIEW, "zoom": 1e9, "window": -5, "pointer": None, "html": "<script>", "boxes": [VIEW["boxes"][0]] * 200}
    kept = set_stage(store, walkthrough.id, "Ana", sent).view
    assert (kept["zoom"], kept["window"], kept["pointer"]) == (800, 5, None)
    assert "html" not in kept and len(kept["boxes"]) == 100


@pytest.mark.parametrize(
    "wrong", [{"zoom": "x"}, {"zoom": 10**400}, {"x": float("nan")}, {"pointer": "here"}, {"boxes": [{"film": 0}]}]
)
def test_a_view_that_is_none_is_refused(store, walkthrough, wrong):
    with refused("view-not-mirrored"):
        set_stage(store, walkthrough.id, "Ana", {**VIEW, **wrong})
    assert read_stage(store, walkthrough.id) is None
