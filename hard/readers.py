"""Twenty-five readers give verdicts by keys at once on one server: each press is one entry, on its own study."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.data.datasets import read_index
from core.review.cases import neutral_name
from hard.load import summary_of
from hard.session import Session, Turn
from hard.trials import Trial, described
from hard.workspace import MODEL, enter, make_data, make_scores
from tests.browser.reading import stored_verdicts
from tests.browser.server import serve

# Verdicts of each reader.
COUNT = 20
READERS = 25
# Seconds between two verdicts of a reader, who looks at the study in between.
PAUSE = (1.0, 5.0)
KEYS = ("1", "2")
FILMS = "overread.films"
NOTES: list[str] = []


@dataclass
class Read:
    """What one reader pressed. cases: the study on screen at each press, by its neutral name. refused: said so."""

    name: str
    cases: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    fault: str = ""


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Start a server, let READERS read at the same time, and compare their presses with the entries in the database."""
    enter(folder)
    make_data(folder, patients=200)
    make_scores(folder)
    index = read_index("demo")
    studies = sorted(index["study_id"][(index["split"] == "valid") & (index["label"] == 1)].unique())
    reads = [Read(f"Reader {place}") for place in range(READERS)]
    with serve(folder) as address:
        threads = [
            threading.Thread(target=read, args=(address, random.Random(f"{seed} {one.name}"), studies, count, one))
            for one in reads
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = stored_verdicts(folder, history=True)
    for one in reads:
        kept = stored["study_id"][stored["reviewer"] == one.name].map(neutral_name)
        yield from compared(one, kept.tolist())
    turns = [turn for one in reads for turn in one.turns]
    NOTES.append(f"{READERS} readers, {len(stored):,} entries stored. A verdict: {summary_of(turns)}.")


def read(address: str, draw: random.Random, studies: list[str], count: int, own: Read) -> None:
    """One reader: opens a study of the Errors page, presses keys, and follows to the study that opens next."""
    try:
        with Session(address, reader=own.name) as session:
            query = {"data": "demo", "model": MODEL, "threshold": "0.99"}
            session.open("errors", query | {"study": draw.choice(studies)})
            for number in range(count):
                films = session.components[FILMS]
                press = {"id": uuid.UUID(int=draw.getrandbits(128)).hex, "token": films.data["press"]["token"]}
                own.cases.append(films.data["case"])
                sent = {"presses": [press | {"key": draw.choice(KEYS)}], "sent": number + 1}
                own.turns.append(turn := session.set_state(films, {"outbox": sent}))
                answer = session.components[FILMS].data["press"]
                if press["id"] in answer["refused"]:
                    own.refused.append(own.cases.pop())
                elif turn.exception or press["id"] not in answer["taken"]:
                    own.fault = turn.exception or "a press was not taken"
                    return
                threading.Event().wait(draw.uniform(*PAUSE))
    except Exception as error:  # noqa: BLE001 - a connection that ends is a fault, too
        own.fault = described(error)


def compared(own: Read, kept: list[str]) -> Iterator[Trial]:
    """One trial for each press: kept as one entry, lost, or silent where an entry is on another study or doubled."""
    pressed, found = Counter(own.cases), Counter(kept)
    for _ in range((pressed & found).total()):
        yield Trial("a verdict", "kept")
    for case in (pressed - found).elements():
        yield Trial("a verdict", "lost", f"{own.name}: the press on {case} is not stored")
    for case in (found - pressed).elements():
        yield Trial("a verdict", "silent", f"{own.name}: an entry on {case} that was not pressed there")
    for case in own.refused:
        yield Trial("a verdict", "refused", case)
    if own.fault:
        yield Trial("a reader's session", "uncaught", f"{own.name}: {own.fault}")
