"""Names from data are shown as they were typed, on every page and in every element."""

import re
from html import escape

import numpy as np
import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import read_checkpoint
from core.scores.predictions import store_predictions
from dashboard.shared.case import cards
from dashboard.shared.plain import plain
from hard.names import LIVE, PAYLOADS, TAGS, live_texts
from tests.conftest import REPOSITORY, write_radiograph
from tests.dashboard.conftest import PAGES, House, enter, made_up_scores, open_page

HOSTILE = "![x](http://127.0.0.1:9/a.png) $x$ :red[a] **b** <b>c</b> :material_home: https://a.de"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("resnet-narrow-128", "resnet-narrow-128"),
        ("Missing: 3 of 4, and 95%.", "Missing: 3 of 4, and 95%."),
        ("valid/elbow/patient1", "valid/elbow/patient1"),
        ("![x](http://h/a.png)", "!\\[x\\](http:\N{WORD JOINER}//h/a.png)"),
        ("$x$ **b** <b>", "\\$x\\$ \\*\\*b\\*\\* \\<b\\>"),
        (":red[a]", "\\:red\\[a\\]"),
        (":smile:", ":\N{WORD JOINER}smile:"),
        ("a -> b", "a -\N{WORD JOINER}\\> b"),
        ("- a\n# b", "\\- a # b"),
        ("12. a", "12\\. a"),
        ("&amp; & c", "\\&amp; & c"),
        ("a\\*b", "a\\\\\\*b"),
    ],
)
def test_text_is_escaped_only_where_markdown_would_change_it(typed, shown):
    assert plain(typed) == shown


@pytest.fixture(scope="module")
def hostile(built, tmp_path_factory):
    """A workspace whose bone, patients, further column and files have hostile names, scored and with a walkthrough."""
    house = House(tmp_path_factory.mktemp("home"), built.checkpoints)
    folder = house.home / "set"
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        rows = []
        for place in range(24):
            write_radiograph(folder / f"{place}.png", np.random.default_rng(place), place % 2 == 0)
            split = "valid" if place < 16 else "train"
            rows.append(f'{place}.png,{place % 2},"{HOSTILE}",p{place} {HOSTILE},s{place},{split},"{HOSTILE}"')
        (folder / "labels.csv").write_text("path,label,bone,patient,study,split,**b** group\n" + "\n".join(rows) + "\n")
        dataset = write_dataset("hostile", build_index(folder))
        scored = read_checkpoint(built.checkpoints / "alpha")
        store_predictions(made_up_scores(scored, dataset))
    return house


@pytest.mark.parametrize("page", PAGES)
def test_no_element_of_any_page_gets_live_markup_from_a_name(hostile, monkeypatch, page):
    enter(hostile, monkeypatch)
    app = open_page(page, data="hostile", outcome="Missed")
    assert not app.exception
    assert not live_texts(app)


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("![x](http://127.0.0.1:9/a.png)", True),
        ("[l](http://127.0.0.1:9/b)", True),
        (":smile:", True),
        ("$x$", True),
        ("<img src=http://127.0.0.1:9/c.png>", True),
        ("https://a.de", True),
        ("resnet-narrow-128, 95%", False),
    ],
)
def test_markup_is_seen_before_it_is_escaped_and_not_after(text, live):
    assert bool(LIVE.search(text)) == live and not LIVE.search(plain(text))


def test_every_payload_is_escaped():
    assert not [text for text in PAYLOADS if LIVE.search(plain(text)) or TAGS.search(escape(text))]


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.1234, "+0.123"), (-0.0004, "-4e-04"), (0.0, "+0.000"), (-1e-9, "-1e-09"), (0.0005, "+0.001")],
)
def test_a_distance_from_the_threshold_has_a_sign_and_is_no_zero_with_one(difference, text):
    assert cards._signed(difference) == text


def test_no_text_is_escaped_twice():
    """These functions write HTML and escape it themselves; `plain` is for what Streamlit reads as Markdown."""
    twice = re.compile(r"widgets\.(note|caption|empty|heading|facts)\(\s*plain\(")
    files = (REPOSITORY / "dashboard").rglob("*.py")
    assert [file.name for file in files if twice.search(file.read_text())] == []
