"""Every page with every parameter it reads, each with values that no page wrote: the page stands and says so."""

import ast
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import page_list
from dashboard.shared import login
from dashboard.shared.address_kinds import Choice
from tests.dashboard.conftest import HOME, PAGES, words

DASHBOARD = HOME.parent
TITLES = {page.name: page.title for page in page_list.PAGES}
HOSTILE = (
    "",
    "inf",
    "-1e309",
    "nan",
    "1e30",
    "-7",
    "9" * 400,
    "![x](http://localhost:1/a.png) :red[a] $x$ <b>",
    "\x00'\";--",
    ["", "inf"],
)


@pytest.fixture
def visit(house, monkeypatch):
    """Open a page as a new visitor does: visit(page, query)."""
    passed = login.passed

    def visit_page(page: str, query: dict) -> AppTest:
        app = AppTest.from_file(HOME, default_timeout=120)
        # The first run only makes the pages known to the tester, which opens them by their files.
        monkeypatch.setattr(login, "passed", lambda: False)
        app.run()
        monkeypatch.setattr(login, "passed", passed)
        for name, value in {"data": "demo", **query}.items():
            app.query_params[name] = value
        app = app.run() if page == PAGES[0] else app.switch_page(f"{page}/page.py").run()
        return app

    return visit_page


def parameters(visit, page: str) -> dict[str, dict]:
    """Every parameter of a page with an address that reaches it: {name: the query}.

    A page shows other widgets for other choices, so each option of a short choice is visited as well.
    """
    first = visit(page, {})
    kinds = dict(first.session_state["address_kinds"])
    found: dict[str, dict] = {name: {} for name in kinds}
    for name, kind in kinds.items():
        if isinstance(kind, Choice) and 1 < len(kind.options) <= 6 and name not in ("data", "model", "split"):
            for option in kind.options[1:]:
                query = {name: option}
                for other in visit(page, query).session_state["address_kinds"]:
                    found.setdefault(other, query)
    return found


# Every run tries these; the others, which take longer, are tried by make test-all.
QUICK = ("overview", "errors", "threshold", "walkthroughs", "bones")


@pytest.mark.parametrize(
    "page", [page if page in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
)
def test_no_value_of_any_parameter_breaks_a_page(visit, page):
    found = parameters(visit, page)
    assert {"data", "model", "split", "bone", "threshold", "point", "aggregation"} <= set(found)
    bases = [dict(query) for query in {tuple(query.items()) for query in found.values()}]
    for base in bases:
        names = [name for name, query in found.items() if query == base and name not in base]
        for turn in range(len(HOSTILE) if not base else 3):
            # Each parameter has another value, so that all pairs are tried once in as many visits as there are values.
            values = {name: HOSTILE[(place + turn) % len(HOSTILE)] for place, name in enumerate(names)}
            app = visit(page, {**base, **values})
            assert not app.exception, (base, values, app.exception[0].value)
            assert app.title[0].value == TITLES[page], (base, values)


def test_a_note_names_each_value_that_was_not_used(visit):
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
        if name in ("shared/address.py", "shared/selection.py", "Home.py"):
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
