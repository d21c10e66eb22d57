"""Fetch one file over HTTP: continued after an interruption, bounded in bytes and time, and checked by size and MD5."""

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlparse

from core.data.archives import check_room, disk_error, size_text
from core.errors import OverreadError, reason_of
from core.paths import write_atomically

Progress = Callable[[int, int, str], None]
DOWNLOADING = "downloading"
_CHUNK = 1 << 16
_MEBIBYTE = 1 << 20
_SPARE = 200 << 20
# Answers after which the same request may succeed.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_NETWORK = (urllib.error.URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True)
class RemoteFile:
    """A file and what its record says of it: size in bytes, MD5 as hexadecimal digits."""

    url: str
    name: str
    size: int
    md5: str


@dataclass(frozen=True)
class Patience:
    """Limits of a download.

    tries: failures in a row without a new byte. wait: seconds before the second try, doubled each time up to
    longest_wait. silence: seconds without a byte that count as a failure. most: seconds in all.
    """

    tries: int = 6
    wait: float = 1.0
    longest_wait: float = 30.0
    silence: float = 30.0
    most: float = 6 * 3600.0


class _Broken(Exception):
    """A try that failed and may be repeated. after: seconds that the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0):
        super().__init__(reason)
        self.after = after


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects are followed, ten at most, but never from an encrypted address to one that is not."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise OverreadError(
                f"{req.full_url[:80]} leads to {newurl[:80]}, which is not encrypted, so it was not opened. "
                "Download the file in a browser.",
                code="download-redirect",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def read_json(url: str, patience: Patience = Patience(), most: int = 4 << 20) -> dict:
    """The JSON object at an address. OverreadError without a network, or where it is something else."""

    def once() -> bytes:
        with _opened(urllib.request.Request(url), patience) as answer:
            return answer.read(most + 1)

    content = _persistently(once, url, patience, lambda: 0)
    try:
        value = json.loads(content) if len(content) <= most else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise OverreadError(
            f"{url} did not answer with a record in JSON; expected at most {size_text(most)}. Try again later.",
            code="download-record",
        )
    return value


def download(
    remote: RemoteFile, target: Path, progress: Progress | None = None, patience: Patience = Patience()
) -> Path:
    """Fetch a file to `target`. What has arrived is kept as `NAME.part`, and the next call continues it.

    The finished file is renamed to `target` only if size and MD5 are those of the record. OverreadError for a network
    that fails for too long, a full disk, and a file that is not the recorded one, which is removed.
    """
    if target.is_file() and target.stat().st_size == remote.size and file_md5(target) == remote.md5:
        return target
    part, facts = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _stored(facts).get("file") != asdict(remote):
            _remove(part, facts)  # a part of another version of the file
        check_room(target.parent, remote.size - _size(part) + _SPARE, f"{remote.name}")
        if _size(part) < remote.size:
            _persistently(
                lambda: _fetch(remote, part, facts, progress, patience), remote.url, patience, lambda: _size(part)
            )
        _check(remote, part, facts)
        part.replace(target)
        _remove(facts)
    except OverreadError:
        raise
    except OSError as error:
        raise disk_error(target.parent, error, f"{remote.name} could not be stored") from error
    return target


def file_md5(file: Path) -> str:
    """The MD5 of a file as hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _fetch(remote: RemoteFile, part: Path, facts: Path, progress: Progress | None, patience: Patience) -> None:
    """One try: ask for the missing bytes, and append them as they arrive. _Broken where it ends too early."""
    start, mark = _size(part), _stored(facts).get("mark", "")
    request = urllib.request.Request(remote.url, headers={"Accept-Encoding": "identity"})
    if start and mark:
        # If-Range: a file that has changed since is sent from its beginning.
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", mark)
    with _opened(request, patience) as answer:
        begins = _begin(answer, start)
        if begins is None:
            _remove(part, facts)
            raise _Broken("the server sent another part of the file than the requested one")
        etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        # A weak tag (W/...) does not promise equal bytes.
        stored = {"file": asdict(remote), "mark": modified if not etag or etag.startswith("W/") else etag}
        write_atomically(facts, lambda path: path.write_text(json.dumps(stored)))
        with _writing(part, "r+b" if begins else "wb") as file:
            done = file.seek(begins)
            while chunk := _read(answer):
                done += len(chunk)
                if done > remote.size:
                    file.truncate(0)
                    raise OverreadError(
                        f"The server sends more than the {remote.size:,} bytes that the record of {remote.name} names. "
                        "Nothing was kept; try again later.",
                        code="download-size",
                    )
                try:
                    file.write(chunk)
                except OSError as error:
                    raise disk_error(part.parent, error, f"{remote.name} could not be stored") from error
                if progress:
                    progress(done // _MEBIBYTE, max(remote.size // _MEBIBYTE, 1), DOWNLOADING)
    if done < remote.size:
        raise _Broken(f"the connection ended after {done:,} of {remote.size:,} bytes")


def _begin(answer, start: int) -> int | None:
    """The byte at which an answer begins; None if it is not the requested byte."""
    if answer.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return start if found and int(found[1]) == start else None


def _read(answer) -> bytes:
    try:
        return answer.read1(_CHUNK)
    except _NETWORK as error:
        raise _Broken(reason_of(error)) from error


def _writing(part: Path, mode: str):
    try:
        return part.open(mode)
    except OSError as error:
        raise disk_error(part.parent, error, f"{part.name} could not be stored") from error


def _opened(request: urllib.request.Request, patience: Patience):
    """The answer to a request. _Broken where it may succeed later, OverreadError where it may not."""
    request.add_header("User-Agent", "overread")
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=patience.silence)
    except urllib.error.HTTPError as error:
        if error.code in _PASSING or error.code == 416:
            raise _Broken(f"the server answered {error.code} {error.reason}", _asked_wait(error)) from error
        raise OverreadError(
            f"{request.full_url[:120]} answered {error.code} {error.reason}; expected the file. The address may have "
            "changed: download it in a browser.",
            code="download-refused",
        ) from error
    except _NETWORK as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _Broken(reason_of(str(reason))) from error


def _asked_wait(error: urllib.error.HTTPError) -> float:
    with suppress(TypeError, ValueError):
        return float(error.headers["Retry-After"] or 0)
    return 0.0


def _persistently(once: Callable, url: str, patience: Patience, arrived: Callable[[], int]):
    """Try until it works. Tries that bring new bytes count anew; waits double; all of it is bounded."""
    began, failures, before = time.monotonic(), 0, arrived()
    while True:
        try:
            return once()
        except _Broken as error:
            failures, before = (0 if arrived() > before else failures) + 1, arrived()
            host = urlparse(url).netloc
            if failures >= patience.tries or time.monotonic() - began > patience.most:
                kept = f" The part that arrived ({size_text(before)}) is kept for the next try." if before else ""
                raise OverreadError(
                    f"{host} cannot be reached, or ends the connection ({error}), after {failures} tries. Check the "
                    f"network, or "
                    f"download {url} in a browser and add the file.{kept}",
                    code="download-no-network",
                ) from error
            wait = min(max(patience.wait * 2 ** (failures - 1), error.after), patience.longest_wait)
            time.sleep(wait)


def _check(remote: RemoteFile, part: Path, facts: Path) -> None:
    found = file_md5(part)
    if found != remote.md5:
        _remove(part, facts)
        raise OverreadError(
            f"{remote.name} arrived with the MD5 {found}; expected {remote.md5}, as its record says. It was removed. "
            "Try again later.",
            code="download-hash",
        )


def _stored(facts: Path) -> dict:
    try:
        return json.loads(facts.read_text())
    except (OSError, ValueError):
        return {}


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)
