"""The dashboard in a separate process, and the system's Chromium to open it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from dashboard import page_list

REPOSITORY = Path(__file__).resolve().parents[2]
# The pages about the chosen data set; the others open without one, and show none.
PAGES = tuple(page.name for page in page_list.PAGES if page.needs_data)
OTHER_PAGES = tuple(page.name for page in page_list.PAGES if not page.needs_data)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# When the page last sent something to the server and last received something. Runs before the scripts of the page.
WATCH = """(() => {
  const of = (globalThis.overreadSocket = { sent: 0, received: 0 });
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (...given) {
    of.sent = performance.now();
    if (!this.overreadHeard) {
      this.overreadHeard = true;
      this.addEventListener('message', () => { of.received = performance.now(); });
    }
    return send.apply(this, given);
  };
})()"""
READY = """() => document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'
    && (!globalThis.overreadSocket || overreadSocket.received >= overreadSocket.sent)
    && document.querySelector('.stMain h1')
    && !document.querySelector('[data-testid=stSkeleton]')
    && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(chart => chart.querySelector('.main-svg'))"""


@contextmanager
def serve(
    home: Path, *flags: str, port: int = 0, database: str = "", by_command: Path | None = None, **environment: str
) -> Iterator[str]:
    """`streamlit run dashboard/Home.py` on a free port; yields its address and ends with its process.

    The address is that of the configuration: this machine only. flags, environment: more options and variables.
    port: the usual one of this process where it is free. database: OVERREAD_DATABASE_URL. by_command: the
    folder in which `python -m core dashboard` starts it instead.
    """
    port = port or usual_port()
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "dashboard/Home.py",
        "--server.port",
        str(port),
        *flags,
    ]
    log = Path(home) / "server.log"
    with log.open("w") as out:
        variables = {**os.environ, "OVERREAD_HOME": str(home), "OVERREAD_DATABASE_URL": database, **environment}
        if by_command:
            command = [sys.executable, "-m", "core", "dashboard", "--port", str(port), "--", *command[7:]]
            variables["PYTHONPATH"] = str(REPOSITORY)
        process = subprocess.Popen(command, cwd=by_command or REPOSITORY, env=variables, stdout=out, stderr=out)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_up(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            # Seen once in some hundred stops, on a machine with a load of 15, and not again: nothing is lost by a kill.
            warnings.warn(f"The server did not end within 60 s of SIGTERM:\n{log.read_text()[-1000:]}", stacklevel=2)
            process.kill()
            process.wait()


@lru_cache(maxsize=1)
def _port_of_this_process() -> int:
    return free_port()


def usual_port() -> int:
    """The port that the servers of this process use one after the other; another one while it is in use.

    A browser keeps the scripts it has compiled by their address, so a page of the next server opens in half the time.
    """
    port = _port_of_this_process()
    with socket.socket() as probe:
        # As the server does: connections of the server before may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(address: str, process: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    """Return once the server answers; RuntimeError with its log if it ends or takes too long."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        try:
            if urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The dashboard did not start:\n{log.read_text()[-2000:]}")


def listening(port: int) -> set[str] | None:
    """The addresses on which any process of this machine listens at a port; None where the system does not say."""
    if not Path("/proc/net/tcp").exists():
        return None
    found = set()
    for table, family, size in (("tcp", socket.AF_INET, 4), ("tcp6", socket.AF_INET6, 16)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            place, state = line.split()[1], line.split()[3]
            if state == "0A" and int(place.split(":")[1], 16) == port:
                words = [bytes.fromhex(place[at : at + 8])[::-1] for at in range(0, 2 * size, 8)]
                found.add(socket.inet_ntop(family, b"".join(words)))
    return found


@contextmanager
def chromium(*flags: str) -> Iterator:
    """The system's Chromium, driven by playwright; `flags` are added to its command line.

    Its pages know when they last heard from the server, for `settle`. `expect` waits 60 s: a state that another process
    has to reach first takes as long as the machine is busy.
    """
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*QUIET, *flags])
        opened = browser.new_context

        def new_context(**options):
            context = opened(**options)
            context.add_init_script(WATCH)
            context.set_default_timeout(60_000)
            return context

        browser.new_context = new_context
        browser.new_page = lambda **options: new_context(**options).new_page()
        try:
            yield browser
        finally:
            browser.close()


def settle(page, milliseconds: int = 60_000) -> None:
    """Wait until the server has answered, the script has run and every chart is drawn."""
    # What a click sets off is sent a moment later; until then the page still reports that no script runs.
    page.wait_for_timeout(150)
    page.wait_for_function(READY, timeout=milliseconds)
