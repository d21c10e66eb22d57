"""Reports on their way to an archive: kept until it has them, and sent once.

Each object is a file until the archive has taken it; then its UID is in `sent.txt`. What the archive refuses is moved
to `refused/` with the reason, so that one bad object delays no other.
"""

import logging
import os
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

from core.paths import write_atomically
from core.scores.sealed_list import file_lock

_log = logging.getLogger("overread.serving")
_SHORTEST, _LONGEST = 1.0, 300.0  # seconds between two tries while the archive is down
_TEMPORARY = {408, 425, 429}


class ArchiveRefusal(Exception):
    """The archive will never take this object, so trying again is of no use."""


def post_to_archive(url: str, token: str = "", seconds: float = 30.0) -> Callable[[bytes], None]:
    """A function that stores one object by STOW-RS; OSError where it is worth another try, else ArchiveRefusal."""

    def post(content: bytes) -> None:
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        request = urllib.request.Request(url.rstrip("/") + "/studies", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in _TEMPORARY:
                raise ArchiveRefusal(f"status {error.code}") from error
            raise

    return post


class Outbox:
    """Objects that wait, in a folder. `start` sends them from a thread of its own."""

    def __init__(self, folder: Path, post: Callable[[bytes], None], wait: float = _SHORTEST):
        self.folder, self._post, self._shortest = folder, post, wait
        self._wake, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None

    def put(self, uid: str, content: bytes) -> bool:
        """Keep an object until the archive has it; it is on the disk when this returns. False if it was sent before."""
        with file_lock(self.folder / "sent.txt"):
            if uid in self._sent():
                return False
            write_atomically(self.folder / f"{uid}.dcm", lambda new: new.write_bytes(content))
        self._wake.set()
        return True

    @property
    def waiting(self) -> list[Path]:
        """The objects that the archive does not have yet, oldest first."""
        return sorted(self.folder.glob("*.dcm"), key=lambda file: file.stat().st_mtime_ns)

    def start(self) -> None:
        """Send the reports that wait, and from now on each new one."""
        self._thread = threading.Thread(target=self._work, name="overread-outbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; waiting objects are sent after the next start."""
        self._ended = True
        self._wake.set()
        if self._thread:
            self._thread.join(35)

    def send_all(self) -> bool:
        """Send the waiting objects. Returns whether none is left."""
        for file in self.waiting:
            try:
                self._post(file.read_bytes())
            except ArchiveRefusal as error:
                _log.error("the archive refused a report: %s", error)
                self._refuse(file, str(error))
                continue
            except OSError as error:
                _log.warning("the archive cannot be reached (%s); reports are kept", type(error).__name__)
                return False
            with file_lock(self.folder / "sent.txt"):
                with open(self.folder / "sent.txt", "a", encoding="utf-8") as sent:
                    sent.write(f"{file.stem}\n")
                    sent.flush()
                    os.fsync(sent.fileno())
                file.unlink()
        return True

    def _work(self) -> None:
        wait = self._shortest
        while not self._ended:
            self._wake.clear()
            wait = self._shortest if self.send_all() else min(wait * 2, _LONGEST)
            self._wake.wait(None if wait == self._shortest and not self.waiting else wait)

    def _sent(self) -> set[str]:
        file = self.folder / "sent.txt"
        return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()

    def _refuse(self, file: Path, reason: str) -> None:
        folder = self.folder / "refused"
        folder.mkdir(exist_ok=True)
        os.replace(file, folder / file.name)
        (folder / f"{file.stem}.txt").write_text(reason + "\n", encoding="utf-8")
