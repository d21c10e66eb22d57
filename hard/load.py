"""Ten visitors at once on one server: how long each page takes, and whether any run ends in an exception."""

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.data.datasets import read_index
from core.models.checkpoint import read_checkpoint
from core.scores.predictions import store_predictions
from core.scores.stored_scores import read_predictions
from dashboard import page_list
from hard.session import Session, Turn, cpu_seconds, process_of, taken_by_others
from hard.trials import Trial, described
from hard.workspace import MODEL, enter, make_data, make_scores, make_verdicts
from tests.browser.server import serve

# Turns of each visitor.
COUNT = 30
VISITORS, OTHER = 10, "resnet-narrow-128"
# Seconds between the end of a turn and the next one; a person reads longer.
PAUSE = (0.2, 1.8)
# The aims, in seconds.
P95, WORST = 1.5, 5.0
# Lines for the report.
NOTES: list[str] = []


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Start a server on a workspace with scores and verdicts, and let VISITORS walk through it."""
    enter(folder)
    make_data(folder, patients=200)
    source = make_scores(folder)
    scores = read_predictions(source)
    other = read_checkpoint(OTHER)
    store_predictions(scores.assign(checkpoint=other.reference, logit=0.8 * scores["logit"]))
    make_verdicts(60)
    before = os.getloadavg()[0]
    with serve(folder) as address:
        with Session(address) as first:  # imports and caches are those of a server that runs already
            for page in pages():
                first.open(page, {"data": "demo", "model": MODEL})
        server = process_of(address.rpartition(":")[2])
        used, (ran, stolen) = cpu_seconds(server), taken_by_others()
        turns = walk_together(address, seed, count)
        used = cpu_seconds(server) - used
        ran, stolen = (after - then for after, then in zip(taken_by_others(), (ran, stolen)))
    NOTES.append(
        f"{summary(turns, before)} The server used {used / len(turns):.2f} s of processor a turn. Of the processor "
        f"time that was asked for, the host of this machine gave {stolen / max(ran + stolen, 1e-9):.0%} to others."
    )
    for turn in turns:
        yield Trial(shown_name(turn.page), "uncaught" if turn.exception else "shown", turn.exception)


def pages() -> list[str]:
    """The pages about a data set."""
    return [page.name for page in page_list.PAGES if page.needs_data]


def walk_together(address: str, seed: int, count: int, visitors: int = VISITORS) -> list[Turn]:
    """The turns of visitors who walk at the same time."""
    turns: list[Turn] = []
    walkers = [
        threading.Thread(target=walk, args=(address, random.Random(f"{seed} {place}"), count, turns))
        for place in range(visitors)
    ]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join()
    return turns


def walk(address: str, draw: random.Random, count: int, turns: list[Turn]) -> None:
    """One visitor: opens a page, or changes something on the one that is open."""
    page = "overview"
    try:
        with Session(address) as session:
            for _ in range(count):
                if draw.random() < 0.4:
                    page = draw.choice(pages())
                turns.append(session.open("" if page == "overview" else page, query(page, draw)))
                threading.Event().wait(draw.uniform(*PAUSE))
    except Exception as error:  # noqa: BLE001 - a connection that ends is a fault, too
        turns.append(Turn(page, 0.0, described(error)))


def shown_name(page: str) -> str:
    """The name of a page in the report."""
    return page or "overview"


def query(page: str, draw: random.Random) -> dict[str, str]:
    """An address as a visitor's clicks write it."""
    wanted = {"data": "demo", "model": MODEL, "threshold": f"{draw.uniform(0.1, 0.9):.2f}"}
    if draw.random() < 0.3:
        wanted["bone"] = draw.choice(sorted(read_index("demo")["bone"].unique()))
    more = {
        "errors": {"outcome": draw.choice(("Missed", "False alarm", "Found"))},
        "augmentation": {"spec": f"rotation:{draw.randrange(1, 30)},noise:0.05"},
        "compare": {"other": OTHER},
        "calibration": {"bins": str(draw.randrange(5, 20))},
    }
    return wanted | more.get(page, {})


def summary_of(turns: list[Turn]) -> str:
    """The median, the 95th percentile and the slowest of these turns, in words."""
    seconds = [turn.seconds for turn in turns]
    if not seconds:
        return "no turn ended"
    return f"median {np.median(seconds):.2f} s, p95 {np.percentile(seconds, 95):.2f} s, slowest {max(seconds):.1f} s"


def summary(turns: list[Turn], before: float) -> str:
    """The median, the 95th percentile and the slowest turn, with the load of the machine."""
    seconds = np.array([turn.seconds for turn in turns if not turn.exception])
    if not len(seconds):
        return "no turn ended"
    slowest = max((turn for turn in turns if not turn.exception), key=lambda turn: turn.seconds)
    median, p95 = np.median(seconds), np.percentile(seconds, 95)
    over = " Over the aim." if p95 > P95 or slowest.seconds > WORST else ""
    return (
        f"{VISITORS} visitors, {len(seconds)} turns: median {median:.2f} s, p95 {p95:.2f} s (aim {P95}), slowest "
        f"{slowest.seconds:.1f} s (aim {WORST:.0f}; {shown_name(slowest.page)}). Load average before: {before:.1f}."
        f"{over} {by_page(turns)}"
    )


def by_page(turns: list[Turn]) -> str:
    """The slowest turn of each page, the slowest page first."""
    slowest: dict[str, float] = {}
    for turn in turns:
        slowest[shown_name(turn.page)] = max(slowest.get(shown_name(turn.page), 0.0), turn.seconds)
    ordered = sorted(slowest.items(), key=lambda pair: -pair[1])
    return "Slowest by page: " + ", ".join(f"{page} {seconds:.1f}" for page, seconds in ordered) + "."
