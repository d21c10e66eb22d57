"""Data sets whose bones, patients, studies, columns and readers have names of markup: no page makes it live."""

import csv
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from google.protobuf.message import Message
from PIL import Image
from streamlit.testing.v1 import AppTest

from hard.addresses import PAGES, visit
from hard.trials import Trial, caught
from hard.workspace import MODEL, SHIPPED, enter

# Sets of names; each is shown on every page.
COUNT = 6
PAYLOADS = (
    "![x](http://127.0.0.1:9/a.png)", "[l](http://127.0.0.1:9/b)", "$x$", "$$\\frac{1}{2}$$", ":red[a]", ":badge[a]",
    "**b**", "`q`", "~~s~~", "<b>c</b>", "<img src=http://127.0.0.1:9/c.png>", "<script>alert(1)</script>", ":smile:",
    ":material_home:", "https://a.de", "<https://a.de>", "&lt;b&gt;", "# h", "- i", "1. n", "\\*b\\*", "a -> b",
)  # fmt: skip
# Fields of Streamlit's messages that the browser reads as Markdown; values, ids and codes are shown as they are.
MARKDOWN = {"label", "body", "help", "content", "text"}
# What must not reach such a field without a backslash or a word joiner.
LIVE = re.compile(
    r"!\[x\]\(|(?<!\\)\[l\]\(|(?<!\\)\$x|(?<!\\)\$\$|(?<!\\):red\[|(?<!\\):badge\[|(?<!\\)\*\*b|(?<!\\)`q|(?<!\\)~~s"
    r"|(?<!\\)<(?:b>|img |script>|https:)|:smile:|:material_home:|https://a"
)
# Escaped by the pages: in their HTML only a tag could be live.
TAGS = re.compile(r"<b>c</b>|<img src=http|<script>alert|<https:")


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Open every page on `count` data sets with other names."""
    draw = random.Random(seed)
    for number in range(count):
        names = [" ".join(draw.sample(PAYLOADS, draw.randrange(1, 5))) for _ in range(5)]
        make_hostile(enter(folder / str(number)), names)
        for page in PAGES:
            with caught("shown") as outcome:
                app = visit(page, {"outcome": "Missed"})
                if app.exception:
                    outcome.name, outcome.detail = "uncaught", str(app.exception[0].value)
                elif live := live_texts(app):
                    outcome.name, outcome.detail = "fetched", f"live markup in {live[0]}"
            name = "uncaught" if outcome.name == "refused" else outcome.name
            yield Trial(page, name, f"{names}: {outcome.detail}" if name != "shown" else "")


def make_hostile(home: Path, names: list[str]) -> None:
    """A scored data set `demo` with a walkthrough and verdicts; names: bone, patient, study, reader, further column."""
    from core.data.index import build_index, read_dataset, write_dataset
    from core.review.store import Verdict, add_verdict, open_store
    from core.scores.predict import predict
    from core.scores.predictions import store_predictions
    from core.scores.source import find_source
    from core.scores.view import View
    from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough

    bone, patient, study, reader, column = names
    folder, noise = home / "set", np.random.default_rng(1)
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "bone", "patient", "study", "split", f"{column} group"])
        for place in range(24):
            Image.fromarray(noise.integers(0, 255, (60, 50)).astype(np.uint8)).save(folder / f"{place}.png")
            split = "valid" if place < 16 else "train"
            table.writerow([f"{place}.png", place % 2, bone, f"{patient} {place}", f"{study} {place}", split, column])
    dataset = write_dataset("demo", build_index(folder))
    shutil.copytree(SHIPPED, home / "checkpoints" / MODEL)
    source = find_source(MODEL, read_dataset("demo"))
    store_predictions(predict(source, sorted({"train", "valid"})))
    store = open_store()
    add_verdict(store, Verdict(dataset.name, f"{study} 1", reader, reading="normal", note=column))
    view = View(source, "valid", threshold=1.0)
    make_walkthrough(store, view, f"{reader} reads", reader, candidates_of(view, "missed"), Draw(3))
    store.engine.dispose()


def live_texts(app: AppTest) -> list[tuple[str, str]]:
    """Every text of a page in which markup of PAYLOADS is live, with its place."""
    live, seen = [], [app._tree]
    while seen:
        node = seen.pop()
        seen += list(getattr(node, "children", {}).values())
        if isinstance(proto := getattr(node, "proto", None), Message):
            live += [(where, text[:200]) for where, text in markdown_texts(proto) if LIVE.search(text)]
    return live


def markdown_texts(message: Message, place: str = "") -> list[tuple[str, str]]:
    """Every text of a message, with those within it, that the browser reads as Markdown."""
    found = []
    if message.DESCRIPTOR.name == "Html":
        return [(place, text) for text in TAGS.findall(message.body)]
    for field, value in message.ListFields():
        if field.name in ("html", "code", "arrow_data_frame", "plotly_chart", "bidi_component"):
            continue
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                found += markdown_texts(one, f"{place}.{field.name}")
            elif isinstance(one, str) and field.name in MARKDOWN:
                found.append((f"{place}.{field.name}", one))
    return found
