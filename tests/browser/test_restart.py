"""A server that is stopped and started while a case is open: the key pressed in between counts, once."""

from tests.browser.reading import VIEWER, open_card, open_case, stored_verdicts, wait_for_words
from tests.browser.server import free_port, serve, settle

LOST = "document.querySelector('[data-testid=stApp]').dataset.testConnectionState !== 'CONNECTED'"
# Once the page has reported every press as taken, the browser keeps none.
ALL_TAKEN = "globalThis.overreadOutbox.presses.length === 0"


def test_a_verdict_pressed_on_errors_while_the_server_is_down_is_stored_once_it_is_back(home, browser):
    port = free_port()
    # A server that is down leaves errors in the console, so the page is not one of `new_page`.
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script("localStorage.setItem('overread.reviewer', 'Ana')")
        with serve(home, port=port):
            page.goto(f"http://127.0.0.1:{port}/errors?threshold=0.7&outcome=Cleared")
            settle(page)
            first = open_card(page)
            page.wait_for_selector('[class*="st-key-enter_"] button:enabled')
        page.wait_for_function(LOST)
        page.keyboard.press("2")
        page.wait_for_function("globalThis.overreadOutbox.presses.length === 1")
        with serve(home, port=port):
            page.wait_for_function(ALL_TAKEN)
            # The next case of the same list is open and takes a verdict as well.
            page.wait_for_function(f"before => {VIEWER}?.querySelector('.viewer').dataset.case !== before", arg=first)
            page.wait_for_selector(f'[class*="st-key-enter_{open_case(page)}_"] button:enabled')
            wait_for_words(page, "2 of ")
            page.keyboard.press("1")
            wait_for_words(page, "3 of ")
            page.wait_for_function(ALL_TAKEN)
            kept = stored_verdicts(home)
            assert kept["verdict"].tolist()[0] == "label_wrong" and len(kept) == 2
            assert kept["study_id"].is_unique and set(kept["threshold"]) == {0.7} and set(kept["reviewer"]) == {"Ana"}
            assert page.locator(".stException").count() == 0
