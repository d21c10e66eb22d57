"""Names from data are shown as they were typed, on every page and in every element."""

import re

import numpy as np
import pytest
from google.protobuf.message import Message

from core.data.index import build_index, write_dataset
from core.models.checkpoint import read_checkpoint
from core.scores.predictions import store_predictions
from dashboard.shared.plain import plain
from tests.conftest import write_radiograph
from tests.dashboard.conftest import PAGES, House, enter, made_up_scores, open_page

HOSTILE = "![x](http://127.0.0.1:9/a.png) $x$ :red[a] **b** <b>c</b> :material_home: https://a.de"
# Fields of Streamlit's messages that the browser reads as Markdown; values, ids and codes are shown as they are.
MARKDOWN = {"label", "body", "help", "content", "text"}
# Characters that must not reach such a field without a backslash or a word joiner.
LIVE = re.compile(r"!\[x\]\(|(?<!\\)\$x|(?<!\\):red|(?<!\\)\*\*b|(?<!\\)<b>|:material_home:|https://a")


def markdown_texts(message: Message, place: str = "") -> list[tuple[str, str]]:
    """Every text of a message, with those within it, that the browser reads as Markdown."""
    found = []
    if message.DESCRIPTOR.name == "Html":
        # Escaped by the page: only its tags could be live.
        return [(place, text) for text in re.findall("<b>c</b>", message.body)]
    for field, value in message.ListFields():
        if field.name in ("html", "code", "arrow_data_frame", "plotly_chart", "bidi_component"):
            continue
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                found += markdown_texts(one, f"{place}.{field.name}")
            elif isinstance(one, str) and field.name in MARKDOWN:
                found.append((f"{place}.{field.name}", one))
    return found


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
    live = []
    seen = [app._tree]
    while seen:
        node = seen.pop()
        seen += list(getattr(node, "children", {}).values())
        if isinstance(proto := getattr(node, "proto", None), Message):
            live += [(where, text[:120]) for where, text in markdown_texts(proto) if LIVE.search(text)]
    assert not live
