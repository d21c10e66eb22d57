"""Count key presses in real browsers against the entries that are stored, under load and with the server killed.

Run: `python -m bench.presses` (needs Chromium; `--store URL` uses that review database, such as PostgreSQL). Several
browsers read walkthroughs on one server: first each alone, at an own pace, then together, led by the first one. In each
browser a script presses a random verdict key within 300 ms after another case is shown, and records the case on screen.
Each press must be one entry on that case, by that reader, in that round; each arrow of the lead must be one step. With
`--kills`, the server is killed (-9) and started again that often. A row is appended to bench/results/presses.csv:
presses, entries that are missing, doubled or on another case, presses that the page refused in words, and the load.
"""

import argparse
import csv
import datetime
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.thresholds import hardware
from core.data.index import read_dataset
from core.models.checkpoint import list_checkpoints
from core.review.cases import neutral_name
from core.review.database import open_store
from core.review.reading_state import steps_table
from core.review.store import entries_table
from core.review.walkthroughs import ReadingPlan, Walkthrough
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough
from tests.browser.reading import VIEWER, make_workspace
from tests.browser.server import REPOSITORY, chromium, free_port, settle, wait_until_up

RESULTS = Path(__file__).parent / "results" / "presses.csv"
FIELDS = (
    "date", "store", "browsers", "walkthroughs", "cases", "kills", "presses", "missing", "doubled", "misplaced",
    "refused", "arrows", "steps", "seconds", "load", "hardware",
)  # fmt: skip
# Presses a random key (1 or 2) once for each case that this browser shows; `limit` ends it.
READER = """({ limit }) => {
  const roots = () => [...document.querySelectorAll('*')].map((element) => element.shadowRoot);
  const viewer = () => roots().find((root) => root?.querySelector('.viewer'));
  const seen = new Set();
  window.pressed = [];
  window.refusals = [];
  clearInterval(window.reader);
  let planned = null, said = '';
  window.reader = setInterval(() => {
    const root = viewer(), now = root?.querySelector('.viewer').dataset.case;
    const words = root?.querySelector('.said')?.textContent ?? '';
    if (words !== said && /not taken|before the key/.test(words)) window.refusals.push(now);
    said = words;
    if (!now || planned || seen.has(now) || window.pressed.length >= limit) return;
    planned = now;
    setTimeout(() => {
      planned = null;
      const shown = viewer()?.querySelector('.viewer').dataset.case;
      if (!shown || seen.has(shown)) return;
      seen.add(shown);
      const key = Math.random() < 0.5 ? '1' : '2';
      window.pressed.push([shown, key]);
      const event = { key, code: 'Digit' + key, bubbles: true, composed: true };
      document.body.dispatchEvent(new KeyboardEvent('keydown', event));
    }, 300 * Math.random());
  }, 5);
}"""
ENTERED = "st-key-enter_"
SHOWS = f"(name) => {{ const all = {VIEWER}; return all?.querySelector('.viewer').dataset.case === name; }}"


@dataclass
class Count:
    """What was pressed and what became of it. Entries as (reader, study, round)."""

    presses: Counter = field(default_factory=Counter)
    stored: Counter = field(default_factory=Counter)
    refused: int = 0
    arrows: int = 0
    steps: int = 0

    @property
    def missing(self) -> int:
        """The presses that were not stored."""
        return sum((self.presses - self.stored).values())

    @property
    def doubled(self) -> int:
        """The presses that were stored more than once."""
        return sum(count - self.presses[name] for name, count in self.stored.items() if count > self.presses[name] > 0)

    @property
    def misplaced(self) -> int:
        """Entries on a case that the reader did not press a key on."""
        return sum(count for name, count in self.stored.items() if not self.presses[name])


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that use the processor all the time."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in running:
            one.kill()


class Server:
    """The dashboard at one port, which can be killed and started again."""

    def __init__(self, home: Path, store: str) -> None:
        self.home, self.store, self.port = home, store, free_port()
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """Where browsers find it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/Home.py", "--server.port", str(self.port)]
        variables = {**os.environ, "OVERREAD_HOME": str(self.home), "OVERREAD_DATABASE_URL": self.store}
        log = self.home / "server.log"
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [*command, "--server.fileWatcherType", "none"], cwd=REPOSITORY, env=variables, stdout=out, stderr=out
            )
        wait_until_up(self.address, self.process, log, 120)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def read(browser, server: Server, walk: Walkthrough, readers: list[str], kills: int) -> Count:
    """Read one walkthrough in a browser for each reader, and count."""
    names = {neutral_name(case.study_id): case.study_id for case in walk.cases}
    names |= {case.study_id: case.study_id for case in walk.cases}
    count, cases = Count(), len(walk.cases)
    pages = [open_page(browser, server, walk.name, reader) for reader in readers]
    moments = sorted(random.sample(range(2, 2 * cases), min(kills, 2 * cases - 2)))
    store = open_store(server.store)

    def collect(round_: str, which: list[int]) -> None:
        for place in which:
            for case, _ in pages[place].evaluate("window.pressed"):
                count.presses[readers[place], names[case], round_] += 1
            count.refused += len(pages[place].evaluate("window.refusals"))

    def kill_at(turn: int) -> None:
        if turn in moments:
            server.kill()
            time.sleep(1)
            server.start()

    everyone = list(range(len(readers)))
    for page in pages:
        page.evaluate(READER, {"limit": cases})
    for turn in range(cases):
        wait(lambda turn=turn: min(len(page.evaluate("window.pressed")) for page in pages) > turn, 120)
        kill_at(turn)
    wait(lambda: len(entries_table(store, walkthrough_id=walk.id)) >= cases * len(readers), 60)
    collect("alone", everyone)
    for page in pages:
        page.evaluate("clearInterval(window.reader)")
    lead = pages[0]
    # While a run replaces its elements, those of the run before are still on the page.
    for button in ("take_lead", "read_together"):
        settle(lead, 120_000)
        lead.locator(f".st-key-{button} button").first.click()
    for page in pages:
        # The films come after the place, and a key counts on the films that are on screen.
        page.wait_for_function(SHOWS, arg=neutral_name(walk.cases[0].study_id), timeout=180_000)
        settle(page, 180_000)
        page.evaluate(READER, {"limit": cases})
    for turn in range(cases):
        wait(lambda turn=turn: min(len(page.evaluate("window.pressed")) for page in pages) > turn, 120)
        kill_at(cases + turn)
        if turn < cases - 1:
            count.arrows += 1
            lead.keyboard.press("ArrowRight")
    wait(lambda: len(entries_table(store, walkthrough_id=walk.id)) >= 2 * cases * len(readers), 60)
    # A doubled entry would come late.
    time.sleep(3)
    collect("together", everyone)
    for row in entries_table(store, walkthrough_id=walk.id).itertuples():
        count.stored[row.reviewer, row.study_id, row.round] += 1
    count.steps = int((steps_table(store, walk)["kind"] == "move").sum())
    for page in pages:
        page.context.close()
    return count


def wait(done, seconds: float) -> bool:
    """Whether something came true in time; the counts show what is missing where it did not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.1)
    return False


def open_page(browser, server: Server, walk: str, reader: str):
    """The walkthrough in a browser of its own."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(f"localStorage.setItem('overread.reviewer', {reader!r})")
    page.set_default_timeout(180_000)
    page.goto(f"{server.address}/walkthroughs?walk={walk}")
    settle(page, 120_000)
    page.wait_for_selector(f'[class*="{ENTERED}"] button:enabled', timeout=60_000)
    return page


def make(home: Path, store: str, name: str, cases: int) -> Walkthrough:
    """A walkthrough of studies that one model misses: each alone first, then together, blind."""
    os.environ["OVERREAD_HOME"] = str(home)
    view = View(source_of(list_checkpoints()[0][0], read_dataset("demo")), "valid", threshold=1.0)
    plan = ReadingPlan(blind=True, alone_first=True)
    draw = Draw(cases, at_random=True, seed=hash(name) % 1000)
    return make_walkthrough(open_store(store), view, name, "Ana", candidates_of(view, "missed"), draw, plan)


def main() -> None:
    """Read, count, print and append a row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--browsers", type=int, default=5)
    parser.add_argument("--walkthroughs", type=int, default=3)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--load", type=int, default=2, help="processes that use the processor meanwhile")
    parser.add_argument("--kills", type=int, default=0, help="in each walkthrough")
    parser.add_argument("--store", default="")
    given = parser.parse_args()
    began, totals = time.monotonic(), Count()
    readers = [f"Reader {chr(65 + place)}" for place in range(given.browsers)]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        home = make_workspace(Path(folder))
        store = given.store or f"sqlite:///{home / 'review.sqlite'}"
        server = Server(home, store)
        server.start()
        try:
            with busy(given.load):
                for place in range(given.walkthroughs):
                    walk = make(home, store, f"W{place}", given.cases)
                    found = read(browser, server, walk, readers, given.kills)
                    print(f"{walk.name}: {words(found)}", flush=True)
                    for one in found.presses - found.stored:
                        print("  missing:", one)
                    for one, times in found.stored.items():
                        if times != found.presses[one]:
                            print(f"  {times} entries for {found.presses[one]} presses:", one)
                    totals = add(totals, found, walk.name)
        finally:
            server.kill()
    print(words(totals))
    row = {
        "date": datetime.date.today().isoformat(), "store": store.partition(":")[0], "browsers": given.browsers,
        "walkthroughs": given.walkthroughs, "cases": given.cases, "kills": given.kills * given.walkthroughs,
        "presses": sum(totals.presses.values()), "missing": totals.missing, "doubled": totals.doubled,
        "misplaced": totals.misplaced, "refused": totals.refused, "arrows": totals.arrows, "steps": totals.steps,
        "seconds": f"{time.monotonic() - began:.0f}", "load": f"{os.getloadavg()[0]:.1f}", "hardware": hardware(),
    }  # fmt: skip
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as out:
        writer = csv.DictWriter(out, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def add(one: Count, other: Count, name: str) -> Count:
    """Both counts; the entries of another walkthrough keep its name."""
    named = [Counter({(name, *key): value for key, value in part.items()}) for part in (other.presses, other.stored)]
    return Count(
        one.presses + named[0], one.stored + named[1], one.refused + other.refused, one.arrows + other.arrows,
        one.steps + other.steps,
    )  # fmt: skip


def words(count: Count) -> str:
    """A count as one line."""
    return (
        f"{sum(count.presses.values())} presses, {sum(count.stored.values())} entries: {count.missing} missing, "
        f"{count.doubled} doubled, {count.misplaced} misplaced, {count.refused} refused in words; {count.arrows} "
        f"arrows of the lead, {count.steps} steps"
    )


if __name__ == "__main__":
    main()
