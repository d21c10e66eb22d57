"""Every page with every parameter it reads, each with values that no page wrote: the page stands and says so."""

import ast
import re
from pathlib import Path

import pytest

from hard.addresses import HOME, HOSTILE, PAGES, opened, parameters, visit
from tests.dashboard.conftest import words

DASHBOARD = HOME.parent

# Every run tries these, and only the parameters that they show at first; make test-all and make hard try everything.
QUICK = ("errors", "threshold", "walkthroughs")


@pytest.mark.parametrize("page", QUICK)
def test_no_value_of_a_parameter_breaks_a_page(house, page):
    names = [*visit(page, {}).session_state["address_kinds"]]
    assert {"data", "model", "split", "bone", "threshold", "point", "aggregation"} <= set(names)
    for turn in range(0, len(HOSTILE), 4):
        values = {name: HOSTILE[(place + turn) % len(HOSTILE)] for place, name in enumerate(names)}
        trial = opened(page, values)
        assert trial.outcome == "shown", trial.detail


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_no_value_of_any_parameter_breaks_any_page(house, page):
    found = parameters(page)
    bases = [dict(query) for query in {tuple(query.items()) for query in found.values()}]
    for base in bases:
        names = [name for name, query in found.items() if query == base and name not in base]
        for turn in range(len(HOSTILE) if not base else 3):
            # Each parameter has another value, so that all pairs are tried once in as many visits as there are values.
            values = {name: HOSTILE[(place + turn) % len(HOSTILE)] for place, name in enumerate(names)}
            trial = opened(page, {**base, **values})
            assert trial.outcome == "shown", trial.detail


def test_a_note_names_each_value_that_was_not_used(house):
    app = visit("calibration", {"bins": "inf", "method": "", "fit_split": "nowhere", "bone": "wirst"})
    text = words(app)
    assert not app.exception and app.number_input(key="bins").value == 10
    for part in (
        "bins=&#x27;inf&#x27;",
        "method without a value",
        "fit_split=&#x27;nowhere&#x27;",
        "bone &#x27;wirst&#x27;",
    ):
        assert part in text, part


def test_widgets_reach_the_address_by_one_way_only():
    """`address.bound` checks a value before Streamlit reads it; only it and the shared selectors may bind."""
    for file in DASHBOARD.rglob("*.py"):
        name = file.relative_to(DASHBOARD).as_posix()
        # pending compares texts of an address with those before, and uses none as a value.
        if name in ("shared/address.py", "shared/selection.py", "shared/pending.py", "Home.py"):
            continue
        text = file.read_text()
        assert not re.search(r"""["']query-params["']|\bst\.query_params""", text), name


def test_the_shared_selectors_are_checked_before_they_are_bound():
    tree = ast.parse((DASHBOARD / "shared/selection.py").read_text())
    checked = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "address.key" and hasattr(call.args[0], "value")
    }
    assert checked == {"split", "bone", "threshold", "point", "aggregation"}
    assert "address.key(name, Choice(options" in Path(DASHBOARD / "shared/selection.py").read_text()
