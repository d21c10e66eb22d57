"""Reading in a real browser: keys, films, hostile notes, two readers at once."""

import re
import shutil

import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.review.database import open_store
from core.review.store import verdicts_table
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from dashboard.shared.login import SCRIPT
from tests.browser.server import chromium, serve, settle

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
]
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small phantom set scored by one checkpoint."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 40, 3, valid_fraction=0.5)
        dataset = write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        checkpoint = list_checkpoints()[0][0]
        store_predictions(predict(checkpoint, dataset), checkpoint, dataset)
    return home


@pytest.fixture(scope="module")
def address(home):
    with serve(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def open_as(browser, address):
    """Open a page in a separate browser context per reader: open_as(path, name) -> page."""
    contexts = []

    def open_page(path: str, name: str = "", **options):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark", **options)
        contexts.append(context)
        page = context.new_page()
        if name:
            page.add_init_script(f"localStorage.setItem('overread.reviewer', {name!r})")
        page.goto(f"{address}{path}")
        settle(page)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.locator(".stException").count() == 0, page.locator(".stException").first.inner_text()
        context.close()


def stored_verdicts(home, **filters):
    return verdicts_table(open_store(f"sqlite:///{home}/review.sqlite"), **filters)


def open_case(page) -> str:
    """The name of the open case, from its films."""
    return page.locator(".viewer").get_attribute("data-case")


def wait_for_another(page, case: str) -> None:
    page.wait_for_function(
        "before => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.viewer')?.dataset.case)"
        ".some(shown => shown && shown !== before) && !document.body.dataset.waiting",
        arg=case,
    )
    settle(page)


def test_a_case_is_read_by_keys_alone(open_as, home):
    page = open_as("/errors?threshold=1.0", "Ana")
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    assert page.locator(".st-key-reader").inner_text().startswith("Reader: Ana")
    seen = []
    for key in ("1", "2", "3"):
        seen.append(open_case(page))
        page.keyboard.press(key)
        wait_for_another(page, seen[-1])
    assert stored_verdicts(home, reviewer="Ana")["verdict"].tolist() == ["true_miss", "label_wrong", "cannot_tell"]
    page.keyboard.press("u")
    wait_for_another(page, open_case(page))
    assert open_case(page) == seen[-1] and len(stored_verdicts(home, reviewer="Ana")) == 2
    page.keyboard.press("ArrowLeft")
    wait_for_another(page, seen[-1])
    assert open_case(page) == seen[-2]
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
    assert page.locator(".viewer .invert").get_attribute("aria-pressed") == "true"
    inverted = image.screenshot()
    assert inverted != before
    page.keyboard.press("0")
    assert image.evaluate("image => image.style.filter") == "none"
    page.locator(".viewer .window").fill("40")
    assert page.locator(".viewer feFuncR").get_attribute("slope") == "2.5"
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


def test_a_film_key_acts_once_after_a_step(open_as):
    """Streamlit calls a component again without ending the previous call, so listeners must not accumulate."""
    page = open_as("/errors?threshold=1.0")
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    for _ in range(2):
        before = open_case(page)
        page.keyboard.press("ArrowRight")
        wait_for_another(page, before)
    page.keyboard.press("i")
    assert page.locator(".viewer .invert").get_attribute("aria-pressed") == "true"


def test_a_verdict_is_stored_only_on_the_case_that_is_shown(open_as, home):
    """A press while the page still has the keys of another case waits for those of this one, and is stored once."""
    page = open_as("/errors?threshold=1.0", "Dora")
    # The run that fetches the name may interrupt the run of a click.
    page.wait_for_function("() => document.querySelector('.st-key-reader')?.innerText.includes('Dora')")
    settle(page)
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
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
    assert stored_verdicts(home, reviewer="Dora", history=True)["verdict"].tolist() == ["label_wrong"]


def test_a_verdict_key_clicks_the_button_of_the_shown_case_and_reaches_no_other(open_as, home):
    """Buttons of the case before may still listen to keys while the page replaces them."""
    page = open_as("/errors?threshold=1.0", "Gil")
    page.wait_for_function("() => document.querySelector('.st-key-reader')?.innerText.includes('Gil')")
    settle(page)
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    page.evaluate("() => { window.heard = []; document.addEventListener('keydown', (e) => window.heard.push(e.key)); }")
    for key, stored in (("2", ["label_wrong"]), ("u", [])):
        case = open_case(page)
        page.keyboard.press(key)
        wait_for_another(page, case)
        assert stored_verdicts(home, reviewer="Gil")["verdict"].tolist() == stored
    assert page.evaluate("window.heard") == []


def test_a_hostile_note_is_shown_as_text_to_the_next_reader(open_as, home):
    page = open_as("/errors?threshold=1.0&outcome=False+alarm&threshold=0.0", "<b>Eve</b>")
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    page.get_by_text("Subtype, view, confidence, note").click()
    page.locator("[class*=st-key-note_] textarea").fill(HOSTILE)
    page.locator("[class*=st-key-note_] textarea").press("Control+Enter")
    settle(page)
    address = page.url
    page.get_by_text("Label wrong").click()
    page.wait_for_function("before => location.href !== before", arg=address)
    assert HOSTILE in set(stored_verdicts(home)["note"])
    other = open_as(re.sub("^https?://[^/]*", "", address), "Ben")
    other.wait_for_selector(".verdicts")
    assert (
        HOSTILE in other.locator(".verdicts").inner_text() and "<b>Eve</b>" in other.locator(".verdicts").inner_text()
    )
    assert other.title() != "owned" and other.locator(".verdicts img, .verdicts script").count() == 0


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
    assert open_case(ben) == open_case(ana)

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
    stored = stored_verdicts(home)
    stored = stored[stored["walkthrough_id"].notna()]
    assert sorted(stored["reviewer"]) == ["Ana", "Ben"] and stored["study_id"].nunique() == 1
    # A late reader opens the lead's case, also without a name and with any place in the address.
    cleo = open_as(re.sub("place=[0-9]+", "place=2", path))
    cleo.wait_for_selector(".viewer .films img")
    assert cleo.locator(".st-key-place input").input_value() == "4"


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
    assert page.locator(".stMain h1").inner_text() == "Errors"
    assert page.evaluate("sessionStorage.getItem('overread.wanted')") is None


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
        assert page.get_by_text("Reader: Flo").is_visible() and "study=" in page.url
        # The next visit knows the name in its first run.
        again = context.new_page()
        again.goto(f"{address}/errors?threshold=1.0")
        again.get_by_text("Reader: Flo").wait_for()
        context.close()
