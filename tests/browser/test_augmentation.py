"""The Augmentation page in a real browser: sliders, the address, valid and invalid files, saved names."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from core.data.augment import PRESETS, Augmentation
from core.data.index import build_index, write_dataset
from core.phantom import write_phantoms
from tests.browser.server import serve, settle

SPEC = Augmentation(rotation=12.3456, scale=0.08, blur=0.01, mixup=0.3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 8, 1)
        write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        with serve(home) as address:
            yield home, address


@pytest.fixture
def page(place, new_page):
    page = new_page(1440, 1200)
    page.goto(f"{place[1]}/augmentation?spec={SPEC.to_text()}")
    ready(page)
    return page


def ready(page):
    settle(page, 120_000)
    page.wait_for_selector(".gallery .card")
    page.wait_for_timeout(400)
    settle(page, 120_000)


def spec_of(page) -> Augmentation:
    """The augmentation in the address."""
    return Augmentation.from_text(parse_qs(urlsplit(page.url).query)["spec"][0])


def shown_hash(page) -> str:
    return re.search(r"augmentation ([0-9a-f]{8})", page.locator(".stMain").inner_text())[1]


def open_fold(page, name):
    page.get_by_text(name, exact=True).click()
    page.wait_for_timeout(500)


def test_the_address_has_the_augmentation_and_a_slider_changes_it(page):
    assert spec_of(page) == SPEC and shown_hash(page) == SPEC.hash() and page.locator(".gallery .card").count() == 13
    page.locator(".st-key-aug_scale input").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => !document.querySelector('.stMain').innerText.includes('augmentation {SPEC.hash()}')")
    ready(page)
    moved = Augmentation(**{**SPEC.to_dict(), "scale": 0.09})
    assert spec_of(page) == moved and shown_hash(page) == moved.hash()
    pictures = page.locator(".gallery .card .views img").evaluate_all("all => all.map((one) => one.src)")
    page.reload()
    ready(page)
    again = page.locator(".gallery .card .views img").evaluate_all("all => all.map((one) => one.src)")
    assert spec_of(page) == moved and again == pictures and len(set(pictures)) == 13


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"rotation": 999}', "rotation is 999; expected a number from 0 to 180"),
        pytest.param(b'{"spin": 1}', "unknown 'spin'", marks=pytest.mark.slow),
        pytest.param(b'{"version": 7}', "version is 7; expected 1", marks=pytest.mark.slow),
        pytest.param(bytes(range(256)) * 40_000, "10,240,000 bytes", marks=pytest.mark.slow),
        pytest.param(b"\xff\xfe\x00", "not text in UTF-8", marks=pytest.mark.slow),
    ],
    ids=["range", "unknown", "version", "noise", "bytes"],
)
def test_an_invalid_file_is_answered_with_a_reason_and_changes_nothing(page, content, says):
    open_fold(page, "File")
    page.locator("input[type=file]").set_input_files(
        {"name": "spec.json", "mimeType": "application/json", "buffer": content}
    )
    page.wait_for_selector(".empty", timeout=60_000)
    ready(page)
    assert (
        says in page.locator(".empty").inner_text()
        and "last valid augmentation is kept" in page.locator(".empty").inner_text()
    )
    assert spec_of(page) == SPEC and shown_hash(page) == SPEC.hash()


@pytest.mark.slow
def test_a_downloaded_file_can_be_uploaded(page):
    open_fold(page, "File")
    with page.expect_download() as download:
        page.get_by_text("Download as JSON").click()
    content = json.loads(download.value.path().read_text())
    assert Augmentation.from_dict(content) == SPEC
    page.locator("input[type=file]").set_input_files(
        {"name": "s.json", "mimeType": "application/json", "buffer": PRESETS["strong"].to_json().encode()}
    )
    page.wait_for_function(
        "() => document.location.search.includes('vertical') || document.location.search.includes('25')"
    )
    ready(page)
    assert spec_of(page) == PRESETS["strong"] and shown_hash(page) == PRESETS["strong"].hash()


def test_a_saved_augmentation_is_in_the_workspace_and_the_command_names_its_hash(page, place):
    open_fold(page, "Save it")
    page.locator(".st-key-spec_name input").fill("hands")
    page.keyboard.press("Enter")
    page.wait_for_timeout(800)
    page.locator(".st-key-save_spec button").click()
    page.wait_for_selector(".stCode")
    assert f"--augmentation hands@{SPEC.hash()}" in page.locator(".stCode").inner_text().replace("\n", " ")
    assert Augmentation.from_json((place[0] / "augmentations" / "hands.json").read_text()) == SPEC
