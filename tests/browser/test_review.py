"""Reading in a real browser: keys, films, hostile notes, two readers at once."""

import re

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.shared.login import SCRIPT
from tests.browser.reading import open_card, open_case, stored_verdicts, wait_for_another, wait_for_case
from tests.browser.server import settle
from tests.browser.waiting import expect, wait_equal, wait_until

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def verdicts_of(home, reader: str, history: bool = False):
    """A function that reads the verdicts of a reader now, oldest first."""
    return lambda: stored_verdicts(home, reviewer=reader, history=history)["verdict"].tolist()


def ends(messages: list[bytes]) -> int:
    """How many runs have ended that are not followed by another one, by the messages of the server."""
    read = [ForwardMsg.FromString(message) for message in messages]
    return sum(
        one.WhichOneof("type") == "script_finished" and one.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        for one in read
    )


def in_walkthrough(home):
    stored = stored_verdicts(home)
    return stored[stored["walkthrough_id"].notna()]


def test_a_case_is_read_by_keys_alone(open_as, home):
    page = open_as("/errors?threshold=1.0", "Ana")
    open_card(page)
    expect(page.locator(".st-key-reader")).to_contain_text("Reader: Ana")
    seen = []
    for key in ("1", "2", "3"):
        seen.append(open_case(page))
        page.keyboard.press(key)
        wait_for_another(page, seen[-1])
    wait_equal(page, verdicts_of(home, "Ana"), ["true_miss", "label_wrong", "cannot_tell"])
    page.keyboard.press("u")
    wait_for_case(page, seen[-1])
    wait_equal(page, verdicts_of(home, "Ana"), ["true_miss", "label_wrong"])
    page.keyboard.press("ArrowLeft")
    wait_for_case(page, seen[-2])
    page.keyboard.press("Escape")
    page.wait_for_selector(".gallery a.card")


def test_films_are_inverted_windowed_and_zoomed_in_the_browser(open_as):
    page = open_as("/errors?threshold=1.0")
    page.locator(".gallery a.card").first.click()
    image = page.locator(".viewer .films img").first
    image.wait_for()
    settle(page)
    # A whole film and its verdict keys are seen without scrolling.
    assert image.bounding_box()["y"] + image.bounding_box()["height"] < 900
    assert image.evaluate("image => image.complete && image.naturalWidth > 0")
    before = image.screenshot()
    page.keyboard.press("i")
    expect(page.locator(".viewer .invert")).to_have_attribute("aria-pressed", "true")
    inverted = image.screenshot()
    assert inverted != before
    page.keyboard.press("0")
    assert image.evaluate("image => image.style.filter") == "none"
    page.locator(".viewer .window").fill("40")
    expect(page.locator(".viewer feFuncR")).to_have_attribute("slope", "2.5")
    assert "overread-window" in image.evaluate("image => image.style.filter")
    page.keyboard.press("Tab")
    box = image.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some(e => Number(e.shadowRoot?.querySelector('.zoom')?.value) > 150)"
    )
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2)
    page.mouse.up(button="right")
    assert float(page.locator(".viewer .window").input_value()) < 40


@pytest.mark.slow
def test_a_film_key_acts_once_after_a_step(open_as):
    """Streamlit calls a component again without ending the previous call, so listeners must not accumulate."""
    page = open_as("/errors?threshold=1.0")
    open_card(page)
    for _ in range(2):
        before = open_case(page)
        page.keyboard.press("ArrowRight")
        wait_for_another(page, before)
    page.keyboard.press("i")
    expect(page.locator(".viewer .invert")).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_a_verdict_is_stored_only_on_the_case_that_is_shown(open_as, home):
    """A press while the page still has the keys of another case waits for those of this one, and is stored once."""
    page = open_as("/errors?threshold=1.0", "Dora")
    open_card(page)
    rename = """([from, to]) => document.querySelectorAll('[class*="st-key-enter_"]').forEach(
        (element) => { element.className = element.className.replace(from, to); })"""
    case = open_case(page)
    page.evaluate(rename, [case, "previous-case"])
    page.keyboard.press("2")
    page.keyboard.press("2")
    page.get_by_role("button", name="Label wrong").click()
    settle(page)
    assert open_case(page) == case and stored_verdicts(home, reviewer="Dora").empty
    page.evaluate(rename, ["previous-case", case])
    wait_for_another(page, case)
    page.wait_for_function("() => !document.body.dataset.waiting")
    wait_equal(page, verdicts_of(home, "Dora", history=True), ["label_wrong"])


def test_a_verdict_key_clicks_the_button_of_the_shown_case_and_reaches_no_other(open_as, home):
    """Buttons of the case before may still listen to keys while the page replaces them."""
    page = open_as("/errors?threshold=1.0", "Gil")
    open_card(page)
    page.evaluate("() => { window.heard = []; document.addEventListener('keydown', (e) => window.heard.push(e.key)); }")
    for key, stored in (("2", ["label_wrong"]), ("u", [])):
        case = open_case(page)
        page.keyboard.press(key)
        wait_for_another(page, case)
        wait_equal(page, verdicts_of(home, "Gil"), stored)
    assert page.evaluate("window.heard") == []


@pytest.mark.slow
def test_a_hostile_note_is_shown_as_text_to_the_next_reader(open_as, home):
    page = open_as("/errors?threshold=1.0&outcome=False+alarm&threshold=0.0", "<b>Eve</b>")
    open_card(page)
    page.get_by_text("Subtype, view, confidence, note").click()
    page.locator("[class*=st-key-note_] textarea").fill(HOSTILE)
    page.locator("[class*=st-key-note_] textarea").press("Control+Enter")
    settle(page)
    address = page.url
    page.get_by_text("Label wrong").click()
    page.wait_for_function("before => location.href !== before", arg=address)
    wait_until(page, lambda: HOSTILE in set(stored_verdicts(home)["note"]))
    other = open_as(re.sub("^https?://[^/]*", "", address), "Ben")
    expect(other.locator(".verdicts")).to_contain_text("<b>Eve</b>")
    assert (
        HOSTILE in other.locator(".verdicts").inner_text() and "<b>Eve</b>" in other.locator(".verdicts").inner_text()
    )
    assert other.title() != "owned"
    expect(other.locator(".verdicts img, .verdicts script")).to_have_count(0)


@pytest.mark.slow
def test_two_browsers_in_one_walkthrough(open_as, home):
    """One reader makes it in three clicks and leads; the other follows, leaves, and returns; both enter verdicts."""
    ana = open_as("/overview", "Ana")
    ana.get_by_role("link", name="Errors").first.click()
    settle(ana)
    ana.wait_for_selector(".gallery a.card")
    ana.get_by_role("button", name="Make a walkthrough").click()
    ana.get_by_role("button", name="Make and open").click()
    ana.wait_for_selector(".viewer .films img")
    settle(ana)
    assert "walk=All+bones" in ana.url
    ana.get_by_role("button", name="Lead", exact=True).click()
    settle(ana)
    path = re.sub("^https?://[^/]*", "", ana.url)
    ben = open_as(path, "Ben")
    ben.wait_for_selector(".viewer .films img")
    wait_for_case(ben, open_case(ana))

    for _ in range(2):
        before = open_case(ana)
        ana.keyboard.press("ArrowRight")
        wait_for_another(ana, before)
        # Ben's browser gets no input.
        ben.wait_for_function(
            "now => [...document.querySelectorAll('*')].some(e => "
            "e.shadowRoot?.querySelector('.viewer')?.dataset.case === now)",
            arg=open_case(ana),
        )
    # The films of a run are drawn before its address.
    ben.wait_for_function("() => location.search.includes('place=3')")
    shared = open_case(ana)
    ben.keyboard.press("1")
    ana.keyboard.press("2")
    wait_until(ana, lambda: len(in_walkthrough(home)) == 2)
    settle(ben), settle(ana)
    assert open_case(ben) == open_case(ana) == shared

    ben.locator(".st-key-following label").first.click()
    settle(ben)
    ben.keyboard.press("ArrowLeft")
    wait_for_another(ben, shared)
    alone = open_case(ben)
    ana.keyboard.press("ArrowRight")
    wait_for_another(ana, shared)
    ben.wait_for_timeout(2_500)
    assert open_case(ben) == alone
    stored = in_walkthrough(home)
    assert sorted(stored["reviewer"]) == ["Ana", "Ben"] and stored["study_id"].nunique() == 1
    # A late reader opens the lead's case, also without a name and with any place in the address.
    cleo = open_as(re.sub("place=[0-9]+", "place=2", path))
    cleo.wait_for_selector(".viewer .films img")
    expect(cleo.locator(".st-key-place input")).to_have_value("4")


@pytest.mark.slow
def test_a_link_opens_after_the_login_that_it_led_to(open_as, address):
    """The provider sends the visitor back to the first page; the tab remembers the page they asked for."""
    run = """([code, waits]) => import('data:text/javascript,' + encodeURIComponent(code))
        .then((module) => module.default({ data: { waits } }))"""
    page = open_as("/errors?threshold=0.25")
    wanted = page.url
    page.evaluate(run, [SCRIPT, True])
    page.goto(address)
    settle(page)
    # Not awaited: it leaves the page, which ends anything that waits on it.
    page.evaluate(f"(given) => {{ ({run})(given) }}", [SCRIPT, False])
    page.wait_for_url(wanted)
    settle(page)
    expect(page.locator(".stMain h1")).to_have_text("Errors", use_inner_text=True)
    assert page.evaluate("sessionStorage.getItem('overread.wanted')") is None


@pytest.mark.slow
def test_a_card_clicked_at_once_opens_while_the_browser_returns_the_stored_name(browser, address, thorough):
    """On the first visit the browser returns the name in a second run, which may interrupt that of the click."""
    for _ in range(8 if thorough else 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.add_init_script("localStorage.setItem('overread.reviewer', 'Flo')")
        page.goto(f"{address}/errors?threshold=1.0")
        page.locator(".gallery a.card").first.click()
        page.wait_for_selector(".viewer .films img", timeout=30_000)
        settle(page)
        expect(page.get_by_text("Reader: Flo")).to_be_visible()
        page.wait_for_url("**study=**")
        # The next visit knows the name in its first run.
        again = context.new_page()
        again.goto(f"{address}/errors?threshold=1.0")
        again.get_by_text("Reader: Flo").wait_for()
        context.close()


def test_a_click_counts_although_the_browser_asks_for_another_run_before_it_has_drawn_the_first(browser, address):
    """The answers of the server are held back, as on a busy machine, until the second request was sent."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    held, late, sent = [], [], []

    def between(socket) -> None:
        server = socket.connect_to_server()
        late[:] = [socket, False]

        def down(message) -> None:
            held.append(message) if late[1] else socket.send(message)

        def up(message) -> None:
            sent.append(message)
            server.send(message)

        socket.on_message(up)
        server.on_message(down)

    page.route_web_socket("**/_stcore/stream", between)
    page.goto(f"{address}/errors?threshold=1.0")
    settle(page)
    late[1], before = True, len(sent)
    study = page.locator(".gallery a.card").first.get_attribute("data-study")
    page.locator(".gallery a.card").first.click()
    for answers in (1, 2):
        wait_until(page, lambda answers=answers: len(sent) >= before + answers)
        wait_until(page, lambda answers=answers: ends(held) >= answers)
        if answers == 1:
            page.keyboard.press("r")
    late[1] = False
    for message in held:
        late[0].send(message)
    page.wait_for_selector(".viewer .films img")
    expect(page.locator(".st-key-study input").first).to_have_value(study)
    page.context.close()
