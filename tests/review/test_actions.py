"""Open actions of a walkthrough."""

from core.review.actions import add_action, close_action, list_actions
from core.review.walkthroughs import WalkthroughCase, create_walkthrough
from tests.refusals import refused


def test_an_action_has_an_owner_and_a_date_and_keeps_its_row_when_closed(store):
    walk = create_walkthrough(store, "demo", "Monday", "Ana", [WalkthroughCase("s0")])
    other = create_walkthrough(store, "demo", "Tuesday", "Ana", [WalkthroughCase("s0")])
    first = add_action(store, walk.id, "<b>Ask</b> for the report", "Ben", "2026-12-01", "Ana")
    second = add_action(store, walk.id, "Correct the label", "Cleo")
    add_action(store, other.id, "Something else", "Ana")
    assert list_actions(store, walk.id) == [first, second] and second.due == ""
    close_action(store, first.id, "Ana")
    close_action(store, first.id, "Ben")
    closed, still_open = list_actions(store, walk.id)
    assert closed.closed.endswith(", Ana") and (closed.text, closed.due) == (first.text, "2026-12-01")
    assert still_open == second


def test_an_action_without_text_owner_or_with_no_date_is_refused(store):
    walk = create_walkthrough(store, "demo", "Monday", "Ana", [WalkthroughCase("s0")])
    with refused("text-missing", "action"):
        add_action(store, walk.id, "  ", "Ana")
    with refused("text-missing", "owner"):
        add_action(store, walk.id, "Ask", "")
    with refused("date-invalid", "'soon'"):
        add_action(store, walk.id, "Ask", "Ana", "soon")
    with refused("action-missing", "'x'"):
        close_action(store, "x", "Ana")
    assert list_actions(store, walk.id) == []
