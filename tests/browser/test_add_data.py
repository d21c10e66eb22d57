"""A visitor without a terminal: a zip is uploaded, the browser is closed in the middle, and another one goes on."""

import shutil

import pytest

from tests.browser.server import serve, settle


@pytest.mark.parametrize("width", [1440, pytest.param(400, marks=pytest.mark.slow)])
def test_an_upload_outlives_its_browser(tmp_path, mura, width, browser):
    packed = shutil.make_archive(str(tmp_path / f"tree-{width}"), "zip", mura.parent, mura.name)
    with serve(tmp_path) as address:
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(f"{address}/add_data")
        settle(page)
        assert "Setting up" not in page.locator(".stMain").inner_text()  # no demo is made first
        page.set_input_files("input[type=file]", packed)
        page.locator(".st-key-look_upload button").click(timeout=60_000)
        page.locator(".st-key-stop_index button, .st-key-add button").first.wait_for(timeout=120_000)
        page.close()
        other = browser.new_page(viewport={"width": width, "height": 800})
        other.goto(f"{address}/add_data")
        other.locator(".st-key-add button").click(timeout=180_000)
        other.locator(".st-key-open_dataset button").wait_for(timeout=180_000)
        text = other.locator(".stMain").inner_text()
        assert f"tree-{width} is added" in text and "60 radiographs of 30 studies" in text
        too_wide = "() => { const it = document.querySelector('.stMain'); return it.scrollWidth - it.clientWidth }"
        assert other.evaluate(too_wide) <= 0
        other.locator(".st-key-open_dataset button").click()
        other.wait_for_function("() => document.querySelector('.stMain h1')?.innerText === 'Dataset'")
        assert f"data=tree-{width}" in other.url
