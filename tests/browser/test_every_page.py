"""Each page is opened once, and what must hold for every page is checked on it while it is open.

Wide and narrow, dark and light: no error, no sideways scrolling, phantoms are called phantoms, few words at first
sight, no serious finding of axe-core, and neither the browser nor the server asks another machine for anything. Opening
a page is what takes the time, so that a further rule for all pages belongs here.
"""

import json
import re
import shutil

import pytest

from tests.browser.conftest import PROBES
from tests.browser.server import OTHER_PAGES, PAGES, listening, serve, settle
from tests.browser.words import words_of

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 400, "height": 900}
# The rules of axe-core that a change of colours can break.
OF_COLOURS = ("color-contrast", "link-in-text-block")
BACKGROUND = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
LIGHT = "rgb(247, 248, 250)"
# Words at first sight, besides those of tables, cards and charts. The manual is a text.
MOST_WORDS = 150
TEXTS = ("manual",)
# What a phone opens by a link.
PHONE = ("", "overview", "threshold", "errors", "walkthroughs")
# What Streamlit's own elements cause, by rule and by the part of the page: {rule: selectors}.
STREAMLIT = {
    "list": ("[data-testid='stSidebarNav",),
    "listitem": ("[data-testid='stSidebarNav",),
}
# Python imports this file first and then reports every connection that it makes and every name that it looks up.
WATCH = """
import json, os, sys
def watch(event, given):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = given[0] if event == "socket.getaddrinfo" else given[1]
        with open(os.environ["WATCHED"], "a") as out:
            out.write(json.dumps([event, repr(where)]) + "\\n")
sys.addaudithook(watch)
"""
LOCAL = re.compile(r"127\.0\.0\.1|::1|localhost|None|''|^'/|^b'\\x00")


def serious(page, *rules: str) -> list[str]:
    """The serious and critical findings on a page, one line each: rule, what is measured, element.

    rules: only these rules of axe-core.
    """
    options = {"resultTypes": ["violations"]} | ({"runOnly": {"type": "rule", "values": rules}} if rules else {})
    found = axe.Axe().run(page, options=options).response["violations"]
    lines = []
    for rule in found:
        if rule["impact"] not in ("serious", "critical"):
            continue
        for node in rule["nodes"]:
            inside = page.evaluate(
                '([target, parts]) => parts.some((part) => document.querySelector(target)?.closest(part + "\']"))',
                [node["target"][-1], list(STREAMLIT.get(rule["id"], ()))],
            )
            if not inside:
                measured = "; ".join(check["message"] for check in node["any"][:1])
                lines.append(f"{rule['id']}: {measured}: {node['html'][:200]}")
    return lines


def faults(page, name: str) -> list[str]:
    """What is wrong with an open page, one line each."""
    found = [f"exception: {box}" for box in page.locator(".stException").all_inner_texts()]
    if name not in OTHER_PAGES and "Phantom: synthetic, not a person" not in page.locator(".stMain").inner_text():
        found.append("phantoms are not called phantoms")
    return found + wider(page)


def many_words(page, name: str) -> list[str]:
    """A line if a page shows too many words at first sight, or so few that it cannot have been drawn."""
    count = len(words_of(page))
    return [f"{count} words at first sight"] if count < 10 or (count > MOST_WORDS and name not in TEXTS) else []


def wider(page) -> list[str]:
    """A line if the page scrolls sideways."""
    by = page.evaluate(
        "() => { const main = document.querySelector('.stMain'); return main.scrollWidth - main.clientWidth }"
    )
    return [f"wider than the window by {by} px"] if by > 0 else []


def serious_in_popovers(page) -> list[str]:
    """The findings about colours in each popover of an open page: they are drawn beside the page's element."""
    found = []
    for button in page.locator(".stMain [data-testid='stPopover'] button").all():
        if button.is_visible() and button.is_enabled():
            button.click()
            page.wait_for_selector("[data-testid='stPopoverBody']")
            found += [f"popover: {line}" for line in serious(page, *OF_COLOURS)]
            page.keyboard.press("Escape")
            page.wait_for_selector("[data-testid='stPopoverBody']", state="hidden")
    return found


def open_every_page(page, address: str, thorough: bool) -> list[str]:
    """Open each page, dark and wide, light and wide, light and narrow; returns every fault with its page.

    thorough: load each page again once it is narrow, and open its popovers. Otherwise only the pages in PHONE are
    loaded again. The dialogue of the lock, in test_threshold.py, has the same colours from the same place.
    """
    found = []
    for name in (*PAGES, *OTHER_PAGES):
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="dark")
        page.goto(f"{address}/{name}")
        settle(page)
        found += [f"{name}, dark: {line}" for line in faults(page, name) + serious(page) + many_words(page, name)]
        page.emulate_media(color_scheme="light")
        page.wait_for_function(
            f"() => getComputedStyle(document.querySelector('.stApp')).backgroundColor === '{LIGHT}'"
        )
        settle(page)
        # The elements are those of the dark page; their colours are not.
        found += [f"{name}, light: {line}" for line in serious(page, *OF_COLOURS)]
        if thorough:
            found += [f"{name}, light: {line}" for line in serious_in_popovers(page)]
            page.emulate_media(color_scheme="dark")
            found += [f"{name}, dark: {line}" for line in serious_in_popovers(page)]
        page.set_viewport_size(NARROW)
        if thorough or name in PHONE:
            page.goto(f"{address}/{name}")
        settle(page)
        found += [f"{name}, narrow: {line}" for line in faults(page, name)]
    return found


def test_every_page_wide_and_narrow_dark_and_light(scored_by_all, tmp_path, browser, thorough):
    home = shutil.copytree(scored_by_all, tmp_path / "workspace")
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched.jsonl"
    with serve(home, WATCHED=str(watched), PYTHONPATH=str(tmp_path)) as address:
        assert listening(int(address.rsplit(":", 1)[1])) in ({"127.0.0.1"}, None)
        page, asked, complaints = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{message.text} {message.location.get('url')}") if message.type == "error" else None
            ),
        )
        found = open_every_page(page, address, thorough)
        page.close()
    inside = (address, "data:", "blob:", address.replace("http", "ws"))
    assert not [url for url in asked if not url.startswith(inside)] and len(asked) > len(PAGES)
    reached = [json.loads(line) for line in watched.read_text().splitlines()] if watched.exists() else []
    assert not [one for one in reached if not LOCAL.search(one[1])]
    assert not [line for line in complaints if not PROBES.search(line)]
    assert not found, "\n".join(found)
