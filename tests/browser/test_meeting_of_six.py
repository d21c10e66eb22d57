"""A meeting of six browsers from an empty workspace to its minutes: a killed server, closed browsers, a lost presenter.

It takes minutes, so it is run by `make test-all`. OVERREAD_MINUTES names a folder that keeps its minutes and pictures;
OVERREAD_READERS is the number of browsers, from 6 to 12.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.models.checkpoint import list_checkpoints
from core.review.database import open_store
from core.review.reading_state import read_state
from core.review.store import entries_table
from core.review.threshold_meeting import list_decisions
from core.review.walkthroughs import list_walkthroughs, read_walkthrough
from tests.browser.reading import VIEWER
from tests.browser.server import REPOSITORY, free_port, settle, wait_until_up

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
]
EVERYONE = ("Ana", "Ben", "Cleo", "Dora", "Eli", "Fay", "Gil", "Hana", "Ivo", "Jona", "Kim", "Lea")
NAMES = EVERYONE[: int(os.environ.get("OVERREAD_READERS", "6"))]
CASES = 4
PATIENCE = 300_000
# The films on screen and the verdict keys are of one case, and the page has answered the last press.
ANSWERABLE = f"""() => {{
    const viewer = {VIEWER}?.querySelector('.viewer');
    const keys = [...document.querySelectorAll('[class*="st-key-enter_"]')]
        .filter(key => getComputedStyle(key).display !== 'none');
    return viewer?.querySelector('.films img') && !document.body.dataset.waiting && keys.length
        && keys.every((key) => key.className.includes(`st-key-enter_${{viewer.dataset.case}}_`))
        && keys.every((key) => key.querySelector('button:enabled')) && !globalThis.overreadOutbox?.presses.length;
}}"""


class Meeting:
    """The server, which can be killed, and the page of each reader."""

    def __init__(self, home: Path, browser) -> None:
        self.home, self.browser, self.port = home, browser, free_port()
        self.pages: dict = {}
        self.told: dict[str, list[str]] = {}
        self.process: subprocess.Popen | None = None
        self.kept = Path(os.environ["OVERREAD_MINUTES"]) if "OVERREAD_MINUTES" in os.environ else None

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/Home.py", "--server.port", str(self.port)]
        log = self.home / "server.log"
        with log.open("a") as out:
            variables = {**os.environ, "OVERREAD_HOME": str(self.home), "OVERREAD_DATABASE_URL": ""}
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=out, stderr=out)
        wait_until_up(f"http://127.0.0.1:{self.port}", self.process, log, 120)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def join(self, name: str, path: str):
        page = self.browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark").new_page()
        page.add_init_script(f"localStorage.setItem('overread.reviewer', {name!r})")
        page.set_default_timeout(PATIENCE)
        told = self.told[name] = []  # what the browser reported, for the failure's message
        page.on("pageerror", lambda error: told.append(f"error: {error}"))
        page.on("console", lambda message: told.append(message.text[:300]) if message.type == "error" else None)
        page.on("crash", lambda page: told.append("the page crashed"))
        page.on(
            "websocket", lambda socket: (told.append("connected"), socket.on("close", lambda _: told.append("lost")))
        )
        page.on("framenavigated", lambda frame: told.append(f"navigated to {frame.url}"))
        page.goto(f"http://127.0.0.1:{self.port}{path}")
        settle(page, 600_000)
        self.pages[name] = page
        return page

    def leave(self, name: str) -> None:
        """The browser is closed without a word, as when a laptop sleeps."""
        self.pages.pop(name).context.close()

    def everyone(self, words: str, but: str = "") -> None:
        for name, page in self.pages.items():
            if name != but:
                with self.reported():
                    wait_for_words(page, words)

    def at(self, place: int, *names: str) -> None:
        """Wait until these readers, or all, are at a case and can answer."""
        for name in names or self.pages:
            page = self.pages[name]
            with self.reported():
                wait_for(
                page, "place => document.querySelector('.st-key-place input')?.value === place", str(place),
                f"{name} is not at case {place}",
                )  # fmt: skip
                wait_for(page, ANSWERABLE, "", f"{name} cannot answer case {place}")

    @contextlib.contextmanager
    def reported(self):
        """A failure inside says what each browser reported last."""
        try:
            yield
        except AssertionError as error:
            last = "\n".join(
                f"{name}: {[line for line, before in zip(told, ['', *told]) if line != before][-12:]}"
                for name, told in self.told.items()
            )
            raise AssertionError(f"{error}\n{last}") from error

    def picture(self, name: str, of: str) -> None:
        if self.kept:
            self.kept.mkdir(parents=True, exist_ok=True)
            self.pages[of].screenshot(path=self.kept / f"{name}.png")


def wait_for(page, script: str, asked: str, what: str) -> None:
    """Wait until the page is so; the failure says `what` and what the page has instead."""
    try:
        page.wait_for_function(script, arg=asked)
    except Exception as error:
        # Not by a locator, which would wait: a page that has lost its contents is to be reported too.
        shown = page.evaluate("document.body.innerText.slice(0, 1500)")
        raise AssertionError(f"{what} ({error}); {page.url} has {shown!r}") from error


def wait_for_words(page, words: str) -> None:
    script = "words => document.querySelector('.stMain')?.innerText.includes(words)"
    wait_for(page, script, words, f"no {words!r}")


@pytest.fixture
def meeting(tmp_path, browser):
    made = Meeting(tmp_path, browser)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        for page in made.pages.values():
            page.context.close()


def wait_until(page, is_so, what: str, seconds: int = 300) -> None:
    """Ask the database until something is so. The page is one of the meeting, and lives on meanwhile."""
    for _ in range(seconds * 5):
        if is_so():
            return
        page.wait_for_timeout(200)
    raise AssertionError(what)


def count_of(store, walk, readers, round_: str) -> int:
    entries = entries_table(store, walkthrough_id=walk.id)
    return int((entries["reviewer"].isin(readers) & (entries["round"] == round_) & (entries["kind"] == "review")).sum())


def wait_for_entries(page, store, walk, readers, round_: str, wanted: int) -> None:
    wait_until(page, lambda: count_of(store, walk, readers, round_) >= wanted, f"not {wanted} entries of {round_}")
    assert count_of(store, walk, readers, round_) == wanted


def test_a_meeting_from_an_empty_workspace_to_its_minutes(meeting):
    # The first visit makes the demo.
    ana = meeting.join("Ana", "/errors")
    ana.wait_for_selector(".gallery a.card", timeout=600_000)
    settle(ana, 600_000)
    ana.get_by_role("button", name="Make a walkthrough").click()
    ana.locator(".st-key-walk_name input").fill("Monday")
    ana.locator(".st-key-walk_name input").press("Enter")
    ana.locator(".st-key-walk_cases input").fill(str(CASES))
    ana.locator(".st-key-walk_cases input").press("Enter")
    settle(ana)
    ana.locator(".st-key-walk_mode").get_by_text("Blind").click()
    settle(ana)
    ana.locator(".st-key-walk_alone label").first.click()
    settle(ana)
    ana.get_by_role("button", name="Make and open").click()
    ana.wait_for_selector(".viewer .films img")
    settle(ana)
    store = open_store(f"sqlite:///{meeting.home / 'review.sqlite'}")
    data = ana.evaluate("new URLSearchParams(location.search).get('data')")
    walk = read_walkthrough(store, list_walkthroughs(store, data)["id"].iloc[0])
    assert len(walk.cases) == CASES and walk.plan.blind and walk.plan.alone_first
    path = ana.evaluate("location.pathname + location.search")
    for name in NAMES[1:]:
        meeting.join(name, path)
    meeting.everyone("Round 1: each reads alone and blind.")

    # Each reads alone. The server is killed in the middle, and one browser is closed and comes back.
    keys = {name: "1" if place % 2 else "2" for place, name in enumerate(NAMES)}
    for turn in range(CASES):
        if turn == 2:
            meeting.kill()
            for name, page in meeting.pages.items():
                if name != "Fay":
                    page.keyboard.press(keys[name])
            meeting.leave("Fay")
            meeting.start()
            meeting.join("Fay", path)
            meeting.at(turn + 1, "Fay")
            meeting.pages["Fay"].keyboard.press(keys["Fay"])
        else:
            for name, page in meeting.pages.items():
                page.keyboard.press(keys[name])
        wait_for_entries(meeting.pages["Ben"], store, walk, NAMES, "alone", (turn + 1) * len(NAMES))
        if turn < CASES - 1:
            meeting.at(turn + 2)
    for name in NAMES:
        entries = entries_table(store, walkthrough_id=walk.id)
        assert sorted(entries.loc[entries["reviewer"] == name, "study_id"]) == sorted(c.study_id for c in walk.cases)
    assert entries["blind"].all()

    # Ana leads the round together, and is lost in the middle of it.
    ana.locator(".st-key-take_lead button").first.click()
    ana.locator(".st-key-read_together button").first.click()
    meeting.at(1)
    lead = "Ana"
    for place in range(1, CASES + 1):
        page = meeting.pages[lead]
        if place == 3:
            meeting.leave("Ana")
            meeting.pages["Ben"].locator(".st-key-take_lead button").first.click()
            lead, page = "Ben", meeting.pages["Ben"]
            meeting.everyone("Ben leads", but="Ben")
            wait_for_words(page, "You lead, case 2.")
        if place > 1:
            page.wait_for_selector(".st-key-walk_next button:enabled")
            page.keyboard.press("ArrowRight")
            meeting.at(place)
        # The lead has read alone too, so is expected to answer as everyone else.
        readers = list(meeting.pages)
        before = count_of(store, walk, readers, "together")
        for name in readers:
            meeting.pages[name].keyboard.press("1")
        wait_for_entries(page, store, walk, readers, "together", before + len(readers))
        wait_for_words(page, f"Answered: {len(readers)} of {len(readers)}")
        page.locator(".st-key-reveal button").first.click()
        for one in meeting.pages.values():
            one.locator(".reveal").first.wait_for()
        # The map is revealed with its verdict, or the words that none holds up.
        page.wait_for_function(
            """() => [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector('.viewer .over'))
                || /No map|holds up|do not trust/i.test(document.querySelector('.st-key-case_panel').innerText)"""
        )
        meeting.picture(f"revealed-{place}", lead)
        meeting.picture(f"revealed-{place}-follower", "Dora")
        page.locator(f".st-key-decide_{'abnormal' if place % 2 else 'normal'} button").first.click()
        meeting.everyone("The room decided")
    assert entries_table(store, walkthrough_id=walk.id)["id"].is_unique
    state = read_state(store, walk)
    assert state.lead == "Ben" and state.revealed == {case.study_id for case in walk.cases}

    # Ana comes back late; the reading ends, and the threshold is decided.
    meeting.join("Ana", path)
    meeting.everyone("Ben leads", but="Ben")
    ben = meeting.pages["Ben"]
    ben.locator(".st-key-lead_more button").first.click()
    ben.locator(".st-key-finish button").first.click()
    meeting.everyone("The reading is finished")
    for name in ("Cleo", "Ben"):
        page = meeting.pages[name]
        page.goto(f"http://127.0.0.1:{meeting.port}/threshold?data={data}&rule=Youden")
        settle(page)
        page.get_by_role("button", name="Decide together").click()
        page.locator(".st-key-meeting_join button:enabled").first.click()
        page.get_by_text("In the meeting:").wait_for()
    meeting.pages["Cleo"].locator(".st-key-meeting_present button").first.click()
    wait_for_words(ben, "(presents)")
    meeting.leave("Cleo")
    # A presenter who is gone no longer presents.
    wait_for_words(ben, "presented and has left")
    ben.locator(".st-key-meeting_present button").first.click()
    wait_for_words(ben, "(presents)")
    ben.locator(".st-key-meeting_propose button").first.click()
    ben.locator(".st-key-meeting_decide button").first.click()
    dialogue = ben.get_by_role("dialog")
    dialogue.locator(".st-key-meeting_why input").fill("The misses of the wrist cost most")
    dialogue.locator(".st-key-meeting_why input").press("Enter")
    dialogue.locator(".st-key-meeting_keep button:enabled").click()
    ben.locator("ul.others", has_text="The misses of the wrist cost most").wait_for()
    assert [one.author for one in list_decisions(store, data)] == ["Ben"]

    # An action, and the minutes.
    dora = meeting.pages["Dora"]
    dora.locator(".st-key-part").get_by_text("Summary").click()
    settle(dora)
    dora.locator(".st-key-action_text input").fill("Read the casts again")
    dora.locator(".st-key-action_owner input").fill("Eli")
    dora.get_by_role("button", name="Add", exact=True).click()
    wait_for_words(dora, "Read the casts again: Eli")
    dora.locator(".st-key-minutes button").first.click()
    dora.locator(".st-key-minutes_html button").wait_for()
    meeting.picture("summary", "Dora")
    found = {}
    for kind in ("html", "csv"):
        with dora.expect_download() as waited:
            dora.locator(f".st-key-minutes_{kind} button").first.click()
        found[kind] = Path(waited.value.path()).read_text("utf-8")
        if meeting.kept:
            (meeting.kept / f"minutes.{kind}").write_text(found[kind], "utf-8")
    for words in (*NAMES, "Monday", "The misses of the wrist cost most", "Read the casts again", "Eli"):
        assert words in found["html"], words
    unbroken = found["html"].replace("<wbr>", "")
    assert all(case.study_id in unbroken and case.study_id in found["csv"] for case in walk.cases)
    assert "http://" not in found["html"].replace("http://www.w3.org", "") and "nan" not in found["csv"].lower()
    for page in meeting.pages.values():
        assert page.locator(".stException").count() == 0
