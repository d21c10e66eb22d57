"""Every page with every parameter of its address, each with values that no page wrote: the page opens and says so."""

import random
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from streamlit.logger import set_log_level
from streamlit.testing.v1 import AppTest

from core.paths import REPOSITORY
from dashboard import page_list
from dashboard.shared import login
from dashboard.shared.address_kinds import Choice
from hard.trials import Trial, caught
from hard.workspace import enter, make_data, make_scores, make_verdicts

# Visits of each page.
COUNT = 25
HOME = REPOSITORY / "dashboard" / "Home.py"
PAGES = tuple(page.name for page in page_list.PAGES if page.needs_data)
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
MORE = (
    " ", "0", "-0", "None", "null", "true", "[]", "{}", "1,2", "../../etc/passwd", "é", "\u202eabc", "%00", "%F0%9F",
    "a" * 20_000, "1e-400", "0x1f", "½", "٣", ["a", "b", "c"], "javascript:alert(1)", "'; DROP TABLE verdicts; --",
    "{{7*7}}", "\r\nSet-Cookie: a=b",
)  # fmt: skip


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Make a workspace with scores and verdicts, and visit each page `count` times."""
    enter(folder)
    make_data(folder)
    make_scores(folder)
    make_verdicts(30)
    for page in PAGES:
        yield from visits(page, random.Random(f"{seed} {page}"), count)


def visits(page: str, draw: random.Random, count: int) -> Iterator[Trial]:
    """Visit a page with hostile values for some or all of its parameters."""
    found = parameters(page)
    bases = [dict(query) for query in {tuple(query.items()) for query in found.values()}]
    for _ in range(count):
        base = draw.choice(bases)
        names = [name for name, query in found.items() if query in ({}, base) and name not in base]
        chosen = draw.sample(names, draw.choice((1, 2, len(names) // 2, len(names))))
        query = {**base, **{name: draw.choice((*HOSTILE, *MORE)) for name in chosen}}
        yield opened(page, query)


def opened(page: str, query: dict) -> Trial:
    """Visit a page once: it stands, or an exception came through."""
    with caught("shown") as outcome:
        app = visit(page, query)
        if app.exception:
            outcome.name, outcome.detail = "uncaught", str(app.exception[0].value)
        elif not app.title or app.title[0].value != TITLES[page]:
            outcome.name, outcome.detail = "uncaught", f"the title is {app.title[0].value if app.title else ''!r}"
    # A page that refuses its address as a whole is no page.
    name = "uncaught" if outcome.name == "refused" else outcome.name
    return Trial(page, name, f"{str(query)[:300]}: {outcome.detail}" if name == "uncaught" else "")


def visit(page: str, query: dict) -> AppTest:
    """Open a page as a new visitor does."""
    set_log_level("ERROR")  # the tester warns that it is no server
    app = AppTest.from_file(HOME, default_timeout=120)
    # The first run only makes the pages known to the tester, which opens them by their files.
    with patch.object(login, "passed", lambda: False):
        app.run()
    for name, value in {"data": "demo", **query}.items():
        app.query_params[name] = value
    return app.run() if page == PAGES[0] else app.switch_page(f"{page}/page.py").run()


def parameters(page: str) -> dict[str, dict]:
    """Every parameter of a page with an address that reaches it: {name: the query}.

    A page shows other widgets for other choices, so each option of a short choice is visited as well.
    """
    kinds = dict(visit(page, {}).session_state["address_kinds"])
    found: dict[str, dict] = {name: {} for name in kinds}
    for name, kind in kinds.items():
        if isinstance(kind, Choice) and 1 < len(kind.options) <= 6 and name not in ("data", "model", "split"):
            for option in kind.options[1:]:
                query = {name: option}
                for other in visit(page, query).session_state["address_kinds"]:
                    found.setdefault(other, query)
    return found
