"""Pages of one browser that tests use one after the other.

A new context loads and compiles all scripts of the dashboard again, which takes three times as long as opening a page
in a context that has done so. Between two tests a page forgets its storage, its cookies and its size.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

# An address of the server that has no scripts: here a page can forget what it stores and runs nothing.
BARE = "/_stcore/health"


class Pages:
    """Pages that are lent to a test: each has a context of its own, as the browsers of two readers have."""

    def __init__(self, browser) -> None:
        self._browser = browser
        self._idle, self._lent, self._single = [], [], []
        self._complaints: list[str] = []

    def take(self, width: int = 1440, height: int = 900, color_scheme: str = "dark", **options):
        """A page without storage of this size and scheme. With more options of the context it is made for one test."""
        if options:
            page = self._make(viewport={"width": width, "height": height}, color_scheme=color_scheme, **options)
            self._single.append(page)
            return page
        page = self._idle.pop() if self._idle else self._make()
        self._lent.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=color_scheme)
        return page

    def give_back(self) -> list[str]:
        """Take the pages back from the test; returns the errors in their consoles. An exception box fails the test."""
        lent, single, complaints = self._lent, self._single, list(self._complaints)
        self._lent, self._single = [], []
        opened = [page for page in lent + single if not page.is_closed()]
        boxes = [text for page in opened for text in page.locator(".stException").all_inner_texts()]
        for page in single:
            page.context.close()
        self._idle += [page for page in reversed(lent) if forget(page)]
        self._complaints.clear()
        assert not boxes, boxes[0]
        return complaints

    def _make(self, **options):
        page = self._browser.new_context(**options).new_page()
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("console", self._hear)
        return page

    def _hear(self, said) -> None:
        if said.type == "error":
            self._complaints.append(f"{said.text} {said.location.get('url')}")


def forget(page) -> bool:
    """Empty a page, its storage and its cookies; False if the test has closed it or opened a second one beside it."""
    if page.is_closed() or len(page.context.pages) > 1:
        page.context.close()
        return False
    if page.url.startswith("http"):
        page.goto("{0.scheme}://{0.netloc}".format(urlsplit(page.url)) + BARE)
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    page.context.clear_cookies()
    return True


def watch_frames(page, keep: Callable) -> Callable[[], None]:
    """Call `keep` with each frame that a page sends; returns a function that ends it."""

    def watch(socket) -> None:
        socket.on("framesent", lambda frame: keep(frame))  # playwright takes no built-in functions

    page.on("websocket", watch)
    return lambda: page.remove_listener("websocket", watch)
