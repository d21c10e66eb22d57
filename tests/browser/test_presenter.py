"""The presenter view, boxes, and keys that act on the shown case only, in a real browser."""

import pytest

from core.data.index import read_dataset
from core.models.checkpoint import list_checkpoints
from core.review.boxes import read_boxes
from core.review.database import open_store
from core.review.stage import read_stage
from core.review.walkthroughs import ReadingPlan
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough
from tests.browser.reading import (
    DRAWN,
    VIEWER,
    area_share,
    open_card,
    open_case,
    stored_verdicts,
    wait_for_another,
)
from tests.browser.server import settle
from tests.browser.waiting import expect, wait_until

ERRORS = "/errors?threshold=1.0"


def focused(page) -> str:
    """Tag and label of the element with the focus, also inside the viewer."""
    return page.evaluate(
        "() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;"
        "return `${e?.tagName} ${e?.getAttribute('aria-label') ?? e?.innerText ?? ''}`; }"
    )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), pytest.param(1920, 1080, marks=pytest.mark.slow)])
def test_films_cover_seven_tenths_of_the_window_in_presenter_view(open_as, width, height):
    page = open_as(ERRORS, "Ana", width, height)
    case = open_card(page)
    before = area_share(page)
    page.keyboard.press("p")
    page.wait_for_function("() => document.body.dataset.presenter === 'true'")
    for _ in range(3):
        wait_until(page, lambda: area_share(page) >= 0.7 > before)
        expect(page.locator("[data-testid=stSidebar]")).not_to_be_visible()
        # The verdict keys are seen and the films do not cover them.
        keys = page.locator(".st-key-verdict_keys button")
        expect(keys).to_have_count(5)
        lowest = max(bottom for *_, bottom in page.evaluate(DRAWN))
        assert all(lowest <= key.bounding_box()["y"] < height for key in keys.all())
        page.keyboard.press("ArrowRight")
        wait_for_another(page, case)
        case = open_case(page)
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.body.dataset.presenter")
    # The first Escape leaves the view, the second one the case.
    assert open_case(page) == case
    expect(page.locator("[data-testid=stSidebar]")).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_selector(".gallery a.card")


@pytest.mark.slow
def test_one_two_or_all_radiographs_by_key_and_borders_on_request(open_as):
    page = open_as(f"{ERRORS}&views=3", "Ana")
    if not page.locator(".gallery a.card").count():
        pytest.skip("no study of these phantoms has three radiographs")
    open_card(page)
    films = page.locator(".viewer figure:not(.detail)")
    expect(films).to_have_count(3)
    page.keyboard.press("a")
    assert films.count() == 1
    expect(page.locator(".viewer button.count")).to_have_text("View 1 of 3", use_inner_text=True)
    page.keyboard.press(".")
    expect(page.locator(".viewer button.count")).to_have_text("View 2 of 3", use_inner_text=True)
    page.keyboard.press("a")
    expect(films).to_have_count(2)
    page.keyboard.press("a")
    expect(films).to_have_count(3)
    shares = f"() => [...{VIEWER}.querySelectorAll('.plane')].map(plane => parseFloat(plane.style.width))"
    cropped = page.evaluate(shares)
    page.keyboard.press("w")
    assert page.evaluate(shares) == [100, 100, 100] and all(share >= 100 for share in cropped)


def test_the_wheel_keeps_the_point_under_the_pointer(open_as):
    page = open_as(ERRORS, "Ana")
    open_card(page)
    left, top, right, bottom = page.evaluate(DRAWN)[0]
    x, y = left + 0.3 * (right - left), top + 0.6 * (bottom - top)
    point = f"""([x, y]) => {{ const r = {VIEWER}.querySelector('.shown').getBoundingClientRect();
        return [(x - r.left) / r.width, (y - r.top) / r.height]; }}"""
    page.mouse.move(x, y)
    before = page.evaluate(point, [x, y])
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"() => Number({VIEWER}.querySelector('input.zoom').value) > 200")
    assert page.evaluate(point, [x, y]) == pytest.approx(before, abs=0.005)


def draw_box(page, film: int, corners) -> list[float]:
    """Drag a box over shares of a drawn film; returns the box in shares of the whole film."""
    left, top, right, bottom = page.evaluate(DRAWN)[film]
    x = [left + share * (right - left) for share in corners[::2]]
    y = [top + share * (bottom - top) for share in corners[1::2]]
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    page.mouse.move(x[1], y[1], steps=3)
    page.mouse.up()
    settle(page)
    whole = f"""(film) => {{ const r = {VIEWER}.querySelectorAll('.plane')[film].getBoundingClientRect();
        return [r.left, r.top, r.width, r.height]; }}"""
    from_left, from_top, width, height = page.evaluate(whole, film)
    return [
        (x[0] - from_left) / width, (y[0] - from_top) / height, (x[1] - from_left) / width, (y[1] - from_top) / height,
    ]  # fmt: skip


def test_a_box_is_part_of_the_verdict_and_hidden_from_blind_readers(open_as, home):
    ana = open_as(ERRORS, "Ana")
    case = open_card(ana)
    ana.keyboard.press("b")
    expected = draw_box(ana, 0, (0.3, 0.3, 0.5, 0.6))
    # A click is no box.
    draw_box(ana, 0, (0.7, 0.7, 0.7, 0.7))
    path = ana.url.split("/errors")[1]
    ana.keyboard.press("1")
    wait_for_another(ana, case)
    entry = stored_verdicts(home, reviewer="Ana").iloc[0]
    (box,) = read_boxes(entry["boxes"])
    assert entry["study_id"] in path.replace("%2F", "/") and box.image_id.startswith(("MURA", entry["study_id"][:4]))
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx(expected, abs=0.01)

    # The reader sees it again, and adjusts it by keys alone: moved, then made larger.
    ana.keyboard.press("ArrowLeft")
    wait_for_another(ana, open_case(ana))
    assert open_case(ana) == case
    expect(ana.locator(".viewer .box-of.own")).to_have_count(1)
    ana.keyboard.press("b")
    wait_until(ana, lambda: "Your box" in focused(ana))
    ana.keyboard.press("ArrowRight")
    ana.keyboard.press("Shift+ArrowDown")
    ana.keyboard.press("1")
    wait_for_another(ana, case)
    (adjusted,) = read_boxes(stored_verdicts(home, reviewer="Ana").iloc[0]["boxes"])
    assert adjusted.x0 == pytest.approx(box.x0 + 0.01) and adjusted.y0 == box.y0
    assert adjusted.y1 == pytest.approx(box.y1 + 0.01)
    history = stored_verdicts(home, reviewer="Ana", history=True)
    assert [read_boxes(text) for text in history["boxes"]] == [(box,), (adjusted,)]

    ben = open_as(f"/errors{path}", "Ben")
    ben.wait_for_selector(".viewer .films img")
    expect(ben.locator(".viewer .box-of.theirs")).to_have_text("Ana", use_inner_text=True)
    # Others' boxes are not Ben's to store.
    ben.keyboard.press("1")
    wait_for_another(ben, case)
    assert not read_boxes(stored_verdicts(home, reviewer="Ben").iloc[0]["boxes"])
    cleo = open_as(f"/errors?threshold=1.0&study={case}&blind=true", "Cleo")
    cleo.wait_for_selector(".viewer .films img")
    assert cleo.locator(".viewer .box-of").count() == 0 and "Ana" not in cleo.locator(".viewer").inner_text()


@pytest.mark.slow
def test_a_box_is_drawn_and_removed_by_keys_alone(open_as, home):
    page = open_as(ERRORS, "Dora")
    case = open_card(page, 1)
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    expect(page.locator(".viewer .box-of.own")).to_have_count(1)
    page.keyboard.press("Delete")
    expect(page.locator(".viewer .box-of")).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator(".viewer button.box").get_attribute("aria-pressed") == "false" and open_case(page) == case
    # A box that is drawn and not stored is still there after another case.
    page.keyboard.press("ArrowRight")
    wait_for_another(page, case)
    other = open_case(page)
    page.keyboard.press("ArrowLeft")
    wait_for_another(page, other)
    expect(page.locator(".viewer .box-of.own")).to_have_count(1)
    page.keyboard.press("1")
    wait_for_another(page, case)
    assert len(read_boxes(stored_verdicts(home, reviewer="Dora").iloc[0]["boxes"])) == 1


@pytest.mark.slow
def test_what_was_set_on_the_films_outlives_the_viewer(open_as):
    """The page may replace the viewer at any time. A box that is not stored, a window and an inversion stay."""
    page = open_as(ERRORS, "Ida")
    case = open_card(page, 2)
    page.keyboard.press("i")
    page.keyboard.press("]")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.locator(".viewer .box-of.own").wait_for()
    settle(page)
    for title in ("Runs", "Errors"):
        page.get_by_role("link", name=title, exact=True).click()
        expect(page.locator(".stMain h1")).to_have_text(title)
        settle(page)
    page.locator(f".viewer[data-case='{case}'] .box-of.own").wait_for()
    page.locator(".viewer .invert[aria-pressed=true]").wait_for()
    expect(page.locator(".viewer input.window")).to_have_value("105")
    # The box is Ida's: whoever reads next at this browser does not store it.
    page.locator(".st-key-reader button").first.click()
    page.get_by_label("Another reader").fill("Jon")
    page.get_by_role("button", name="Read under this name").click()
    expect(page.locator(".st-key-reader")).to_contain_text("Reader: Jon")
    expect(page.locator(".viewer .box-of.own")).to_have_count(0)


def test_a_key_pressed_while_the_viewer_is_replaced_waits_for_the_new_one(open_as):
    page = open_as(ERRORS, "Ida")
    case, inverted, button = (
        open_card(page, 2),
        page.locator(".viewer .invert"),
        page.locator(".st-key-saliency_button button").first,
    )
    # What the page does when it takes the viewer of a case away, and before it draws the new one.
    gap = """name => { globalThis.overreadKeys = null;
        globalThis.overreadGap = { case: name, keys: [], until: Date.now() + 60000 }; }"""
    page.evaluate(gap, case)
    page.keyboard.press("i")
    expect(inverted).to_have_attribute("aria-pressed", "false")
    # The next run of the page draws the viewer, which takes the key.
    button.click()
    expect(inverted).to_have_attribute("aria-pressed", "true")
    # If it shows another case than the key was meant for, it says so and does nothing.
    page.evaluate(gap, "case-of-before")
    page.keyboard.press("i")
    button.click()
    page.get_by_text("The case changed before the key was taken. Press it again.").wait_for()
    expect(inverted).to_have_attribute("aria-pressed", "true")


def test_verdict_keys_are_in_the_first_screen_of_a_phone(open_as):
    page = open_as(ERRORS, "Ana", 400, 800)
    open_card(page)
    for view in ("open case", "presenter view"):
        if view == "presenter view":
            page.keyboard.press("p")
            page.wait_for_function("() => document.body.dataset.presenter === 'true'")
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        expect(page.locator(".st-key-verdict_keys button")).to_have_count(5)
        keys = [key.bounding_box() for key in page.locator(".st-key-verdict_keys button").all()]
        assert all(key["y"] >= 0 and key["y"] + key["height"] <= 800 for key in keys), view
        assert all(key["x"] >= 0 and key["x"] + key["width"] <= 400 and key["height"] >= 24 for key in keys), view


def test_keys_typed_into_a_field_enter_no_verdict_and_a_name_is_changed_only_when_confirmed(open_as, home):
    page = open_as(ERRORS)
    field = page.locator(".st-key-reader_field input")
    field.click()
    page.keyboard.type("Eva2")
    page.locator(".stMain h1").click()
    settle(page)
    # A name that is typed but not confirmed counts for nothing.
    expect(page.locator(".st-key-reader")).to_have_count(0)
    field.fill("Eva")
    field.press("Enter")
    page.wait_for_selector(".st-key-reader")
    case = open_card(page)
    # No field is left that a key could be typed into.
    page.keyboard.press("2")
    wait_for_another(page, case)
    assert stored_verdicts(home, reviewer="Eva")["verdict"].tolist() == ["label_wrong"]
    case = open_case(page)
    page.get_by_text("Subtype, view, confidence, note").click()
    note = page.locator("[class*=st-key-note_] textarea")
    note.click()
    page.keyboard.type("12 b p u")
    assert note.input_value() == "12 b p u" and open_case(page) == case
    page.keyboard.press("Escape")
    assert open_case(page) == case and not focused(page).startswith("TEXTAREA")
    page.locator(".st-key-study input").click()
    page.keyboard.type("1")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    wait_until(page, lambda: not focused(page).startswith("INPUT"))
    settle(page)
    assert len(stored_verdicts(home, reviewer="Eva", history=True)) == 1
    page.locator(".st-key-reader button").first.click()
    another = page.get_by_label("Another reader")
    another.fill("Fay")
    another.press("Enter")
    settle(page)
    expect(page.locator(".st-key-reader")).to_contain_text("Reader: Eva")
    page.get_by_role("button", name="Read under this name").click()
    page.wait_for_function("() => document.querySelector('.st-key-reader')?.innerText.startsWith('Reader: Fay')")


@pytest.mark.slow
def test_keys_under_load_enter_one_verdict_each_and_type_nothing(open_as, home, thorough):
    """Other readers keep the server busy while one reads cases as fast as the keys go."""
    others = [open_as(ERRORS, f"Busy {number}") for number in range(4 if thorough else 2)]
    for other in others:
        open_card(other)
    page = open_as(ERRORS, "Gus")
    case = open_card(page)
    count = 8 if thorough else 4
    for place in range(count):
        for other in others:
            other.keyboard.press("ArrowRight" if place % 2 == 0 else "ArrowLeft")
        page.keyboard.press("12345"[place % 5])
        page.wait_for_function(f"before => {VIEWER}?.querySelector('.viewer').dataset.case !== before", arg=case)
        case = open_case(page)
    page.wait_for_function("() => !document.body.dataset.waiting")
    settle(page)
    entries = stored_verdicts(home, reviewer="Gus", history=True)
    assert entries["study_id"].nunique() == len(entries) == count
    assert page.locator(".st-key-reader").inner_text().startswith("Reader: Gus")


@pytest.mark.slow
def test_the_rest_of_a_word_is_no_verdict_when_its_field_goes_away(open_as, home):
    """A lead who moves on takes the note's field from a follower who is still typing."""
    page = open_as(ERRORS, "Hal")
    case = open_card(page)
    page.get_by_text("Subtype, view, confidence, note").click()
    page.locator("[class*=st-key-note_] textarea").click()
    page.keyboard.type("seen on view ")
    page.evaluate("() => document.querySelector('[class*=st-key-note_] textarea').blur()")
    page.keyboard.type("2 and 1")
    settle(page)
    assert open_case(page) == case and stored_verdicts(home, reviewer="Hal", history=True).empty
    # After a click the keys are the case's again.
    page.locator(".stMain h1").click()
    page.keyboard.press("2")
    wait_for_another(page, case)
    assert stored_verdicts(home, reviewer="Hal")["verdict"].tolist() == ["label_wrong"]


def test_every_action_has_a_label_and_a_visible_focus(open_as):
    page = open_as(ERRORS, "Ana")
    open_card(page)
    named = "every(e => (e.getAttribute('aria-label') ?? e.innerText).trim())"
    assert page.evaluate(f"() => [...{VIEWER}.querySelectorAll('button, input')].{named}")
    page.locator(".viewer button.wide").focus()
    page.keyboard.press("Tab")
    outline = f"() => getComputedStyle({VIEWER}.activeElement).outlineWidth"
    wait_until(page, lambda: focused(page).startswith("BUTTON") and page.evaluate(outline) == "2px")
    page.keyboard.press("?")
    expect(page.locator(".viewer .keys")).to_be_visible()
    page.keyboard.press("]")
    page.keyboard.press("}")
    expect(page.locator(".viewer input.window")).to_have_value("105")
    expect(page.locator(".viewer input.level")).to_have_value("55")
    page.keyboard.press("+")
    before = page.evaluate(f"() => {VIEWER}.querySelector('.shown').style.transform")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate(f"() => {VIEWER}.querySelector('.shown').style.transform") != before


ZOOM = f"() => Number({VIEWER}?.querySelector('input.zoom').value)"


def test_the_presenters_view_is_mirrored_to_followers_and_survives_a_reload(open_as, home, monkeypatch):
    """Zoom, window, layout, pointer and boxes reach a follower without a run of the follower's page."""
    monkeypatch.setenv("OVERREAD_HOME", str(home))
    view = View(source_of(list_checkpoints()[0][0], read_dataset("demo")), "valid", threshold=1.0)
    store, plan = open_store(f"sqlite:///{home}/review.sqlite"), ReadingPlan(blind=False, alone_first=False)
    make_walkthrough(store, view, "Mirror", "Ana", candidates_of(view, "missed"), Draw(3), plan)
    ana = open_as("/walkthroughs?walk=Mirror", "Ana")
    mark = f"() => {{ {VIEWER}.querySelector('.viewer').dataset.marked = 'yes'; }}"
    ana.evaluate(mark)
    ana.locator(".st-key-take_lead button:not(:disabled)").first.click()
    ana.locator(".st-key-mirror label").first.click()
    settle(ana)
    # What appears above the films does not replace the viewer, which would end a drag and lose a key.
    expect(ana.locator(".viewer")).to_have_attribute("data-marked", "yes")
    ben = open_as("/walkthroughs?walk=Mirror", "Ben")
    ben.wait_for_selector(".viewer .films img")
    settle(ben)
    left, top, right, bottom = ana.evaluate(DRAWN)[0]
    ana.mouse.move((left + right) / 2, (top + bottom) / 2)
    ana.mouse.wheel(0, -300)
    ana.wait_for_function(f"() => ({ZOOM})() > 150")
    ben.wait_for_function(f"wanted => ({ZOOM})() === wanted", arg=ana.evaluate(ZOOM))
    ben.wait_for_selector(".viewer .pointer")
    ana.keyboard.press("i")
    ana.keyboard.press("]")
    ana.keyboard.press("b")
    draw_box(ana, 0, (0.45, 0.45, 0.55, 0.6))
    ben.wait_for_selector(".viewer .box-of.theirs")
    expect(ben.locator(".viewer .box-of.theirs")).to_have_text("Ana", use_inner_text=True)
    expect(ben.locator(".viewer .invert")).to_have_attribute("aria-pressed", "true")
    expect(ben.locator(".viewer input.window")).to_have_value("105")
    # The box is the presenter's: the follower's verdict does not have it.
    before = len(stored_verdicts(home, reviewer="Ben", history=True))
    ben.keyboard.press("1")
    ben.wait_for_selector("ul.verdicts li:has-text('Ben')")
    wait_until(ben, lambda: len(stored_verdicts(home, reviewer="Ben", history=True)) > before)
    assert not read_boxes(stored_verdicts(home, reviewer="Ben", history=True).iloc[-1]["boxes"])
    ana.keyboard.press("Escape")
    ana.keyboard.press("p")
    ben.wait_for_function("() => document.body.dataset.presenter === 'true'")
    wait_until(ben, lambda: area_share(ben) >= 0.6)
    # Someone who comes later, or again, sees the same.
    ben.reload()
    settle(ben)
    ben.wait_for_selector(".viewer .films img")
    ben.wait_for_function(f"wanted => ({ZOOM})() === wanted", arg=ana.evaluate(ZOOM))
    # On a phone the line about the reading is below the films, and covers none of them.
    ben.set_viewport_size({"width": 400, "height": 800})
    line, keys = ben.locator(".st-key-walk_room"), ben.locator(".st-key-verdict_keys").bounding_box()

    def lowest() -> float:
        boxes = [film.bounding_box() for film in ben.locator(".viewer .film").all()]
        return max(box["y"] + box["height"] for box in boxes)

    wait_until(ben, lambda: lowest() <= line.bounding_box()["y"] + 1)
    place = line.bounding_box()
    assert place["height"] > 20 and place["y"] + place["height"] <= keys["y"] + 1


@pytest.mark.slow
def test_a_blind_reading_mirrors_neither_pointer_nor_boxes(open_as, home, monkeypatch):
    monkeypatch.setenv("OVERREAD_HOME", str(home))
    view = View(source_of(list_checkpoints()[0][0], read_dataset("demo")), "valid", threshold=1.0)
    store, plan = open_store(f"sqlite:///{home}/review.sqlite"), ReadingPlan(blind=True, alone_first=False)
    walkthrough = make_walkthrough(store, view, "Blind", "Ana", candidates_of(view, "missed"), Draw(2), plan)
    ana = open_as("/walkthroughs?walk=Blind", "Ana")
    ana.locator(".st-key-take_lead button:not(:disabled)").first.click()
    ana.locator(".st-key-mirror label").first.click()
    settle(ana)
    ana.keyboard.press("b")
    draw_box(ana, 0, (0.4, 0.4, 0.6, 0.6))
    ana.keyboard.press("i")

    def view_sent() -> dict:
        found = read_stage(store, walkthrough.id)
        return (found and found.view) or {}

    wait_until(ana, lambda: view_sent().get("inverted"))
    assert view_sent()["pointer"] is None and view_sent()["boxes"] == []
