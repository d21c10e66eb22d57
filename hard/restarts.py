"""The dashboard is killed (-9) while a reader gives verdicts in a browser: each key counts once, on its own study."""

import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from core.review.cases import neutral_name
from hard.session import process_of
from hard.trials import Trial, described
from hard.workspace import MODEL, enter, make_data, make_scores
from tests.browser.reading import VIEWER, open_card, stored_verdicts
from tests.browser.server import chromium, free_port, serve, settle

# Kills.
COUNT = 10
# Keys before and after the kill: a verdict each.
BEFORE, AFTER = 3, 1
READY = "(before) => {viewer}?.querySelector('.viewer').dataset.case !== before && document.querySelector(\
`[class*='st-key-enter_'] button:enabled`) && !document.body.dataset.waiting".replace("{viewer}", VIEWER)
CONNECTED = "document.querySelector('[data-testid=stApp]').dataset.testConnectionState === 'CONNECTED'"
NONE_WAITS = "globalThis.overreadOutbox.presses.length === 0"
NOTES: list[str] = []


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Make a workspace; in copies of it, kill the server while verdicts are given by keys."""
    if not shutil.which("chromium"):
        NOTES.append("Nothing was killed: the system has no chromium.")
        return
    base = enter(folder / "base")
    make_data(base)
    make_scores(base)
    with chromium() as browser:
        for number in range(count):
            home = folder / f"home{number}"
            shutil.copytree(base, home)
            moment = random.Random(f"{seed} {number}").uniform(0, 4)
            try:
                name, detail = read_and_kill(browser, enter(home), moment)
            except Exception as error:  # noqa: BLE001 - a page that does not come back is a fault, too
                name, detail = "uncaught", described(error)
            yield Trial("the server killed", name, f"after {moment:.2f} s: {detail}" if detail else "")
            shutil.rmtree(home)


def read_and_kill(browser, home: Path, moment: float) -> tuple[str, str]:
    """Give verdicts; the server is killed after `moment` seconds and starts again. Returns the outcome and details."""
    port, pressed = free_port(), []
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script("localStorage.setItem('overread.reviewer', 'Ana')")
        with serve(home, port=port):
            page.goto(f"http://127.0.0.1:{port}/errors?data=demo&model={MODEL}&threshold=0.9&outcome=Missed")
            settle(page)
            open_card(page)
            page.wait_for_selector('[class*="st-key-enter_"] button:enabled')
            process = int(process_of(str(port)).name)
            killer = threading.Timer(moment, os.kill, (process, signal.SIGKILL))
            killer.start()
            while len(pressed) < BEFORE and page.evaluate(CONNECTED):
                press(page, pressed)
                page.wait_for_function(f"before => ({READY})(before) || !({CONNECTED})", arg=pressed[-1])
            killer.join()
        page.wait_for_function(f"!({CONNECTED})")
        with serve(home, port=port):
            page.wait_for_function(f"{CONNECTED} && {NONE_WAITS}")
            if pressed:
                page.wait_for_function(READY, arg=pressed[-1])
            for _ in range(AFTER):
                press(page, pressed)
                page.wait_for_function(READY, arg=pressed[-1])
            page.wait_for_function(NONE_WAITS)
            settle(page)
            if boxes := page.locator(".stException").all_inner_texts():
                return "uncaught", boxes[0][:200]
            kept = stored_verdicts(home, history=True)["study_id"].map(neutral_name).tolist()
    if lost := set(pressed) - set(kept):
        return "lost", f"pressed on {pressed}, {sorted(lost)} not stored"
    if sorted(kept) != sorted(pressed):
        return "silent", f"pressed on {pressed}, stored on {kept}"
    return "kept", ""


def press(page, pressed: list[str]) -> None:
    """Press the key of a verdict, and note the study it is for."""
    pressed.append(page.evaluate(f"{VIEWER}.querySelector('.viewer').dataset.case"))
    page.keyboard.press("2")
