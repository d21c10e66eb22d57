"""Clicks and seconds of three tasks in a real browser: missed wrist studies, a lock, a walkthrough.

Run: `python -m bench.clicks` (needs Chromium). It makes the demo in a folder of its own, opens the first page as a
reader whose name the browser knows, and clicks what a person would. Seconds are from the first click until the result
is on screen; the pages were opened once before, as in a session. Each task is done TURNS times; rows are printed and
appended to bench/results/clicks.csv with the load average.
"""

import csv
import datetime
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.thresholds import hardware
from dashboard.shared.visitor import NAME
from tests.browser.server import chromium, serve, settle

RESULTS = Path(__file__).parent / "results" / "clicks.csv"
FIELDS = ("date", "task", "clicks", "aim_clicks", "turns", "median_s", "worst_s", "aim_s", "load", "hardware")
TURNS = 3
# In the cards' own words, so that it says whether the list is that of the wrist.
WRIST = """() => { const cards = [...document.querySelectorAll('.gallery a.card')];
    return cards.length && cards.every((card) => /wrist/i.test(card.dataset.study)); }"""


class Clicks:
    """Clicks on a page, counted and timed from the first."""

    def __init__(self, page) -> None:
        self.page, self.count, self.began = page, 0, 0.0

    def __call__(self, locator) -> None:
        """One click, once the thing is there."""
        locator.wait_for()
        self.began = self.began or time.monotonic()
        locator.click()
        self.count += 1

    def until(self, script: str) -> tuple[int, float]:
        """The clicks, and the seconds from the first one until the script is true."""
        self.page.wait_for_function(script, timeout=120_000)
        return self.count, time.monotonic() - self.began


def missed_wrist(page) -> tuple[int, float]:
    """The page Errors opens with the missed studies; the bones are chips with their counts."""
    click = Clicks(page)
    click(page.get_by_role("link", name="Errors", exact=True).first)
    click(page.locator(".stMain button", has_text="Wrist").first)
    return click.until(WRIST)


def lock(page) -> tuple[int, float]:
    """A threshold by the rule that the page proposes, locked in the dialogue."""
    click = Clicks(page)
    click(page.get_by_role("link", name="Threshold", exact=True).first)
    click(page.locator(".st-key-lock_open button"))
    click(page.get_by_role("dialog").locator(".st-key-lock_now button:enabled"))
    return click.until("() => document.querySelector('.facts.sides')")


def walkthrough(page) -> tuple[int, float]:
    """Ten cases is the default of the form."""
    click = Clicks(page)
    click(page.get_by_role("link", name="Errors", exact=True).first)
    click(page.get_by_role("button", name="Make a walkthrough"))
    click(page.get_by_role("button", name="Make and open"))
    return click.until(
        "() => document.querySelector('.st-key-walk_next') && location.pathname.includes('walkthroughs')"
    )


TASKS = (
    ("missed studies of the wrist", missed_wrist, 2, 2.0),
    ("a locked threshold", lock, 4, None),
    ("a walkthrough of ten cases", walkthrough, 3, None),
)


def main() -> None:
    """Do each task, print and append a row."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address, chromium() as browser:
        rows = []
        for task, act, clicks, seconds in TASKS:
            found = []
            for turn in range(TURNS + 1):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                # As a browser keeps the name in which somebody has read before.
                context.add_cookies([{"name": NAME, "value": f"Reader{turn}", "url": address}])
                page = context.new_page()
                page.set_default_timeout(60_000)
                page.goto(address)
                page.get_by_role("link", name="Errors", exact=True).first.wait_for()
                settle(page, 600_000)
                if act is lock and turn > 1:
                    # The same threshold by the same rule is not locked twice.
                    page.context.close()
                    continue
                found.append(act(page))
                page.context.close()
            # The first turn opens the pages for the first time.
            timed = found[1:] or found
            rows.append(
                {
                    "date": datetime.date.today().isoformat(), "task": task, "clicks": max(one[0] for one in timed),
                    "aim_clicks": clicks, "turns": len(timed),
                    "median_s": f"{statistics.median(one[1] for one in timed):.2f}",
                    "worst_s": f"{max(one[1] for one in timed):.2f}", "aim_s": seconds or "",
                    "load": f"{os.getloadavg()[0]:.1f}", "hardware": hardware(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as out:
        writer = csv.DictWriter(out, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
