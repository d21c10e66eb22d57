"""The live panel in a real browser: moved by mouse, key and touch, with nothing sent until release."""

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from core.data.index import build_index, write_dataset
from core.metrics.counts import counts_table
from core.metrics.rates import rates_at
from core.metrics.studies import labelled, study_table
from core.phantom import write_phantoms
from core.scores.import_frame import Columns
from core.scores.imports import imported_predictions, read_imported
from core.workflows.import_scores import import_scores
from dashboard.shared.widgets import estimate_text
from tests.browser.pages import watch_frames
from tests.browser.server import serve, settle
from tests.browser.test_every_page import serious
from tests.browser.waiting import expect, wait_equal, wait_until
from tests.metrics.test_threshold_grid import made

COLUMNS = Columns("label", "score", "study", patient="study", bone="bone", split="split")
HANDLE = ".histogram .handle"


def sets() -> dict[str, pd.DataFrame]:
    """Scores of many and of few studies, and of studies for which some figures are not estimable."""
    small = made(300, 1, 0.4)
    small.loc[:119, "split"] = "tune"
    found = {
        "small": small,
        "large": made(60_000, 2),
        "one class": made(40, 3).assign(label=0.0),
        "one score": made(40, 4).assign(score=0.5),
        "no label": made(40, 5).assign(label=np.nan),
        "all ones": made(40, 6).assign(score=1.0),
        "one study": made(1, 7).assign(label=1.0),
    }
    return {
        name: frame.assign(study=[f"s{place}" for place in range(len(frame))]).assign(
            split=frame["split"].fillna("valid") if "split" in frame else "valid"
        )
        for name, frame in found.items()
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace of imported scores only."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def address(home):
    frames = sets()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 4, 1)
        write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        for name, frame in frames.items():
            frame.to_csv(home / "scores.csv", index=False)
            import_scores(home / "scores.csv", name.replace(" ", "-"), COLUMNS)
        with serve(home) as found:
            yield found


@pytest.fixture
def page(new_page, request):
    """A page with the options of the test's parameter, and the list of what it has sent."""
    options = dict(getattr(request, "param", {}))
    size = options.pop("viewport", {"width": 1440, "height": 1000})
    page = new_page(size["width"], size["height"], **options)
    page.sent = []
    stop = watch_frames(page, page.sent.append)
    yield page
    stop()


def visit(page, address: str, name: str = "small", query: str = "") -> None:
    page.goto(f"{address}/threshold?data={name}+(scores+only)&split=valid{query}")
    settle(page)
    page.wait_for_selector(HANDLE)
    frame(page)


def frame(page) -> None:
    """Return after the browser has drawn once more."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def value(page) -> float:
    return float(page.locator(HANDLE).get_attribute("aria-valuenow"))


def in_address(page) -> float:
    return float(parse_qs(urlsplit(page.url).query).get("threshold", ["0.5"])[0])


def grip(page) -> tuple[float, float]:
    box = page.locator(".histogram .grip").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def committed(page, before: float) -> float:
    page.wait_for_function(
        "before => Number(new URLSearchParams(location.search).get('threshold') ?? .5) !== before", arg=before
    )
    settle(page)
    return in_address(page)


def shown(page) -> list[str]:
    return page.locator(".figures dd").all_inner_texts()


def exact(home, name: str, split: str, threshold: float) -> list[str]:
    """The figures that Python computes for the same studies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        rows = imported_predictions(read_imported(name))
    known = labelled(study_table(rows[rows["split"] == split]))
    rates = rates_at(counts_table(known["score"], known["label"]), threshold)
    kinds = {"sensitivity": "percent", "specificity": "percent", "alerts_per_100": "number", "kappa": "auroc"}
    kinds |= {"ppv": "percent", "npv": "percent"}
    return [word for name, kind in kinds.items() for word in estimate_text(rates[name], kind)]


@pytest.mark.parametrize("name", [pytest.param("small", marks=pytest.mark.slow), "large"])
def test_everything_moves_while_dragging_and_nothing_is_sent(page, address, home, name):
    visit(page, address, name)
    before, words, dot = value(page), shown(page), page.locator(".roc .dot").get_attribute("transform")
    x, y = grip(page)
    page.mouse.move(x, y)
    page.mouse.down()
    frame(page)
    sent, seen = len(page.sent), set()
    for step in range(1, 25):
        page.mouse.move(x - 9 * step, y)
        frame(page)
        seen.add((value(page), tuple(shown(page)), page.locator(".pr .dot").get_attribute("transform")))
    assert len(seen) > 12 and len(page.sent) == sent
    assert shown(page) != words and page.locator(".roc .dot").get_attribute("transform") != dot
    assert in_address(page) == before
    there = value(page)
    page.mouse.up()
    assert committed(page, before) == there < before
    wait_equal(page, lambda: value(page), there)
    assert len(page.sent) > sent
    wait_equal(page, lambda: shown(page), exact(home, name, "valid", there))


@pytest.mark.slow
def test_the_points_of_both_curves_are_dragged_too(page, address):
    visit(page, address)
    for name in ("roc", "pr"):
        before = in_address(page)
        page.locator(f".{name} .reach").scroll_into_view_if_needed()
        box = page.locator(f".{name} .reach").bounding_box()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"])
        page.mouse.down()
        frame(page)
        one = value(page)
        page.mouse.move(box["x"] + 0.85 * box["width"], box["y"] + 0.2 * box["height"], steps=4)
        frame(page)
        wait_until(page, lambda one=one: value(page) != one)
        page.mouse.up()
        wait_equal(page, lambda: value(page), committed(page, before))


def test_keys_step_from_score_to_score(page, address):
    visit(page, address)
    page.locator(HANDLE).focus()
    expect(page.locator(HANDLE)).to_have_attribute("role", "slider")
    start, seen = value(page), []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(value(page))
    assert start < seen[0] < seen[1] < seen[2]
    page.keyboard.press("ArrowLeft")
    assert value(page) == seen[1]
    page.keyboard.press("Shift+ArrowLeft")
    assert value(page) < start
    page.keyboard.press("PageUp")
    page.keyboard.press("End")
    assert value(page) == 1.0 and "sensitivity 0.0 percent" in page.locator(HANDLE).get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    assert "sensitivity 100.0 percent" in page.locator(HANDLE).get_attribute("aria-valuetext")
    wait_equal(page, lambda: value(page), committed(page, 0.5))
    ring = page.locator(".histogram .ring")
    assert ring.evaluate("ring => getComputedStyle(ring).stroke") != "rgba(0, 0, 0, 0)"
    lowest = value(page)
    page.keyboard.press("ArrowRight")
    wait_equal(page, lambda: value(page), committed(page, lowest))
    assert value(page) > lowest


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}], indirect=True
)
def test_touch_drags_it_on_a_narrow_screen(page, address):
    visit(page, address)
    page.locator(HANDLE).scroll_into_view_if_needed()
    x, y = grip(page)
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    before, sent = value(page), len(page.sent)
    send("touchStart", (x, y))
    for step in range(1, 12):
        send("touchMove", (x - 8 * step, y))
        frame(page)
    assert value(page) < before and len(page.sent) == sent
    there = value(page)
    send("touchEnd")
    assert committed(page, 0.5) == there
    wait_equal(page, lambda: value(page), there)


# Dark and wide, and light and narrow; the other two are for `make test-all`.
SCHEMES = [
    pytest.param(
        {"viewport": {"width": width, "height": 900}, "color_scheme": scheme},
        marks=[pytest.mark.slow] if (width == 1440) == (scheme == "light") else [],
    )
    for width in (1440, 400)
    for scheme in ("dark", "light")
]


@pytest.mark.parametrize("page", SCHEMES, indirect=True)
def test_it_fits_its_width_in_both_themes(page, address):
    visit(page, address)
    wide = "() => { const main = document.querySelector('.stMain'); return main.scrollWidth - main.clientWidth }"
    assert page.evaluate(wide) <= 0
    expect(page.locator(".roc .curve")).to_have_count(1)
    expect(page.locator(".bones > div")).to_have_count(7)
    colours = page.locator(".histogram .line").evaluate("line => getComputedStyle(line).stroke")
    dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert colours == ("rgb(242, 193, 78)" if dark else "rgb(142, 106, 3)")
    # A dialogue is drawn beside the page's element and has the same colours.
    page.locator(".st-key-lock_open button").click()
    dialogue = page.get_by_role("dialog")
    dialogue.get_by_text("Of 100 studies").wait_for()
    assert dialogue.evaluate("box => getComputedStyle(box).colorScheme") == ("dark" if dark else "light")
    colour = "element => getComputedStyle(element).color"
    assert dialogue.locator(".answer").last.evaluate(colour) == page.locator(".stMain .answer").first.evaluate(colour)
    assert not serious(page, "color-contrast")


@pytest.mark.parametrize("page", [{"viewport": {"width": 1440, "height": 900}}], indirect=True)
def test_the_constraint_its_answer_misses_and_alerts_need_no_scrolling(page, address):
    visit(page, address, query="&rule=Youden&prevalence=8")
    parts = (
        ".st-key-rule",
        ".st-key-prevalence",
        ".st-key-answer",
        HANDLE,
        ".alerts_per_100",
        ".missed .bones > div b",
    )
    for part in parts:
        box = page.locator(part).last.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, part
    page.get_by_role("button", name="Use this threshold").click()
    committed(page, 0.5)
    expect(page.get_by_role("button", name="In use")).to_be_disabled()


@pytest.mark.parametrize(
    "name",
    [
        "one-class",
        "no-label",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("one-score", "all-ones", "one-study")),
    ],
)
def test_where_figures_are_not_estimable_the_panel_works_and_gives_the_reason(page, address, name):
    visit(page, address, name, "&axis=log-odds" if name == "one-score" else "")
    page.locator(HANDLE).focus()
    for key in ("Home", "End", "ArrowLeft"):
        page.keyboard.press(key)
    text = page.locator(".panel").inner_text()
    assert "NaN" not in text and "Infinity" not in text and "undefined" not in text
    if name in ("one-class", "no-label", "one-study"):
        assert "Not estimable" in text and page.locator(".nothing").count() == 2
        assert {
            "one-class": "no abnormal studies",
            "no-label": "no labelled studies",
            "one-study": "no normal studies",
        }[name] in text
    drawn = page.locator(".panel svg").evaluate_all("all => all.map(svg => svg.outerHTML).join('')")
    assert "NaN" not in drawn and "Infinity" not in drawn


@pytest.mark.slow
def test_a_rule_moves_the_panel_and_the_address_brings_it_back(page, address):
    visit(page, address, query="&rule=Youden&prevalence=7.5")
    page.get_by_role("button", name="Use this threshold").click()
    there = committed(page, 0.5)
    wait_equal(page, lambda: value(page), there)
    expect(page.locator(".stated")).to_contain_text("at a prevalence of 7.5%")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    settle(page)
    page.wait_for_selector(HANDLE)
    wait_equal(page, lambda: value(page), there)
    expect(page.locator(".st-key-prevalence input")).to_have_value("7.5")
    expect(page.locator(".st-key-rule input").first).to_have_value("Youden")


def test_a_threshold_is_locked_in_a_dialogue_and_verified_on_the_later_split(page, address):
    page.goto(f"{address}/threshold?data=small+(scores+only)&rule=Youden")
    settle(page)
    page.wait_for_selector(HANDLE)
    page.locator(".st-key-lock_open button").click()
    dialogue = page.get_by_role("dialog")
    dialogue.get_by_text("the record says who locked it").wait_for()
    expect(dialogue).to_contain_text("Of 100 studies")
    expect(dialogue.locator(".st-key-lock_now button")).to_be_disabled()
    for key, text in (("reader_field", "A. Reader"), ("lock_note", "for the night")):
        dialogue.locator(f".st-key-{key} input").fill(text)
        dialogue.locator(f".st-key-{key} input").press("Enter")
        settle(page)
    # Enter in a field locks nothing.
    expect(page.locator(".facts.sides")).to_have_count(0)
    dialogue.locator(".st-key-lock_now button:enabled").click()
    page.wait_for_selector(".facts.sides")
    settle(page)
    expect(page.locator(".facts.sides")).to_contain_text("Chosen on tune")
    names = page.locator(".histogram .mark-name")
    expect(names).to_have_count(2)
    assert names.first.text_content().startswith("operating point ") and names.last.text_content() == "constraint"
    expect(page.locator(".st-key-verify_on input")).to_have_value("valid")
    page.get_by_role("button", name="Verify on valid").click()
    page.wait_for_function("() => document.querySelector('.facts.sides').innerText.includes('Verified on valid')")
    settle(page)
    page.reload()
    settle(page)
    expect(page.locator(".stMain")).to_contain_text("was already used for verification once")
    expect(page.locator(".facts.sides")).to_contain_text("Verified on valid")


def test_names_of_marks_are_above_the_bars(page, address):
    visit(page, address, query="&rule=Specificity+first&specificity_target=60&bound=None")
    name = page.locator(".histogram .mark-name").last.bounding_box()
    for bars in page.locator(".histogram path").all():
        box = bars.bounding_box()
        assert box is None or not box["height"] or name["y"] + name["height"] <= box["y"] + 1


def test_in_a_meeting_everyone_sees_the_presenter_drag_and_the_decision_is_kept(new_page, address):
    pages = {name: new_page(1440, 1000) for name in ("Ana", "Ben")}
    for name, one in pages.items():
        visit(one, address, query="&rule=Youden&threshold=0.5")
        one.get_by_role("button", name="Decide together").click()
        one.locator(".st-key-reader_field input").last.fill(name)
        one.locator(".st-key-reader_field input").last.press("Enter")
        settle(one)
        one.locator(".st-key-meeting_join button:enabled").click()
        one.get_by_text("In the meeting:").wait_for()
    ana, ben = pages.values()
    ana.locator(".st-key-meeting_present button").click()
    ben.get_by_text("(presents)").wait_for()
    ana.locator(".histogram").scroll_into_view_if_needed()
    ana.wait_for_timeout(300)
    grip = ana.locator(".histogram .handle .grip").bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    ana.mouse.move(x, y)
    ana.mouse.down()
    flag = ".histogram .handle .value"
    ana.mouse.move(x - 40, y)
    ana.mouse.move(x - 60, y)
    # While the button is still held, the other browser has left .500.
    expect(ben.locator(flag)).not_to_have_text("0.500")
    ana.mouse.up()
    shown = ana.locator(".histogram .handle .value").text_content()
    ben.wait_for_function(SHOWS, arg=shown)
    ben.locator(".st-key-meeting_propose button").click()
    ana.wait_for_function(NAMED, arg="Ben")
    ana.locator(".st-key-meeting_decide button").click()
    dialogue = ana.get_by_role("dialog")
    dialogue.locator(".st-key-meeting_why input").fill("two misses fewer")
    dialogue.locator(".st-key-meeting_why input").press("Enter")
    dialogue.locator(".st-key-meeting_keep button:enabled").click()
    kept = ana.locator("ul.others", has_text="two misses fewer")
    kept.wait_for()
    expect(kept).to_contain_text("Ana, Ben")
    expect(kept).to_contain_text("Sensitivity")


IN_PANEL = """(wanted) => {
  const all = (root, name) => [...root.querySelectorAll(name), ...[...root.querySelectorAll('*')]
    .flatMap(one => one.shadowRoot ? all(one.shadowRoot, name) : [])];
  return TEST
}"""
SHOWS = IN_PANEL.replace("TEST", "all(document, '.handle .value')[0]?.textContent === wanted")
NAMED = IN_PANEL.replace("TEST", "all(document, '.mark-name').some(name => name.textContent.includes(wanted))")
