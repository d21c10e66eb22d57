"""Mutated inputs for every reader of files and texts: each is read, or refused with a sentence."""

import random
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

from hard.inputs import Input, find_inputs
from hard.trials import Trial, caught
from hard.workspace import enter, make_data

# Of all readers together.
COUNT = 50_000
# A reader that takes longer is caught.
SECONDS = 20


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Make the workspace that readers look into, and divide `count` inputs among them."""
    enter(folder)
    make_data(folder, patients=12)
    inputs = find_inputs(folder)
    share = count / sum(0.1 if found.slow else 1 for found in inputs)
    for found in inputs:
        yield from fuzz_input(found, folder, seed, max(1, round(share * (0.1 if found.slow else 1))))


def fuzz_input(found: Input, folder: Path, seed: int, count: int) -> Iterator[Trial]:
    """Give `count` changed examples to one reader. Whole examples must be read."""
    draw, place = random.Random(f"{seed} {found.name}"), folder / "inputs"
    place.mkdir(exist_ok=True)
    file = place / f"input{found.ending}"
    for example in found.examples:
        file.write_bytes(example)
        found.read(file)
    signal.signal(signal.SIGALRM, too_long)
    for number in range(count):
        content, words = found.change(draw.choice(found.examples), draw)
        file.write_bytes(content)
        signal.alarm(SECONDS)
        with warnings.catch_warnings(), caught("read") as outcome:
            warnings.simplefilter("ignore")
            found.read(file)
        signal.alarm(0)
        detail = f"input {number}, {words}: {outcome.detail}" if outcome.name == "uncaught" else ""
        yield Trial(found.name, outcome.name, detail)


def too_long(*_: object) -> None:
    """The handler of the alarm."""
    raise TimeoutError(f"not read within {SECONDS} s")
