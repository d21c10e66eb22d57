"""What can be pressed with a mouse can be reached by keys: the forms behind a button."""


def test_a_popover_opened_by_a_key_is_entered_and_left_by_keys(open_as):
    page = open_as("/errors", "Ana")
    opener = page.get_by_role("button", name="Make a walkthrough")
    opener.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement?.closest('.st-key-walk_name') !== null")
    page.keyboard.press("Shift+Tab")
    page.wait_for_function("document.activeElement?.dataset.testid === 'stPopoverButton'")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=stPopoverBody]", state="detached")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement?.closest('.st-key-walk_name') !== null")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.closest('.st-key-walk_make') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".viewer .films img")
    assert "/walkthroughs" in page.url
