"""Waiting for what another process or browser must do first. A test never asserts such a state at once."""

import time
from collections.abc import Callable

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def wait_until(page, check: Callable[[], object], seconds: float = 60) -> None:
    """Return once `check()` is true; AssertionError after `seconds`. For what no element of a page shows."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, f"not true within {seconds} s"
        page.wait_for_timeout(50)


def wait_equal(page, read: Callable[[], object], wanted: object, seconds: float = 60) -> None:
    """Return once `read()` equals `wanted`; the assertion after `seconds` shows both."""
    until = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert found == wanted
