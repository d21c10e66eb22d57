"""Time the live panel in Chromium: a move to painted against `st.slider`, frames while dragging, loading of the page.

Run: `python -m bench.panel` (needs Chromium; `--scores predictions.csv` reads the published NIH predictions for the
page at 22,433 scores). Ours and the peer alternate, one move each, in one browser without a frame limit (otherwise both
wait for the screen); each pair gives one ratio. A move counts as painted at the animation frame after the one that
shows it: ours by its threshold and sensitivity, the peer's by the line in its histogram. Frames per second are measured
with the limit of 60. Rows are appended to bench/results/panel.csv.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from bench.thresholds import hardware
from core.data.index import build_index, write_dataset
from core.metrics.histogram import score_histogram
from core.metrics.threshold_grid import grid_counts
from core.phantom import write_phantoms
from core.schema import MURA_BONES
from core.scores.import_frame import Columns
from core.workflows.import_scores import import_scores
from dashboard.threshold import live_panel
from tests.browser.server import chromium, serve, settle, wait_until_up

RESULTS = Path(__file__).parent / "results" / "panel.csv"
MOVES = 25
FIELDS = (
    "date", "what", "n", "peer", "ratio_median", "ratio_min", "ratio_max", "rounds", "ours", "theirs", "unit",
    "hardware", "versions", "command",
)  # fmt: skip
# Resolves at the frame after the one in which `read` returns something new: by then that one was painted.
PAINTED = """() => { window.painted = (read, act) => new Promise((done) => {
    const before = read(), start = performance.now();
    act();
    const look = () => read() === before ? requestAnimationFrame(look)
      : requestAnimationFrame(() => done(performance.now() - start));
    look();
}) }"""
PANEL = (
    "[...document.querySelectorAll('div')].map((e) => e.shadowRoot).find((root) => root?.querySelector('.histogram'))"
)
OURS = f"""(x) => {{
    const panel = {PANEL};
    const reach = panel.querySelector('.histogram .reach'), box = reach.getBoundingClientRect();
    const read = () => panel.querySelector('.sensitivity .v').textContent + panel.querySelector('.value').textContent;
    const at = {{ clientX: box.left + x * box.width, clientY: box.top + 90, pointerId: 1, bubbles: true }};
    return window.painted(read, () => reach.dispatchEvent(new PointerEvent('pointermove', at)));
}}"""
THEIRS = """() => {
    const line = () => document.querySelector('.js-plotly-plot')?._fullLayout?.shapes?.[0]?.x0;
    return window.painted(line, () => {});
}"""
PEER = "st.slider, rerun, two Plotly charts of 60 bars and 200 points"
PAGE = (
    ("page, first visit to panel drawn", "ms", "first", 1),
    ("page, later visits to panel drawn", "ms", "later", 5),
    ("threshold let go of to script done", "ms", "commit", 6),
    ("largest message to the browser: script, style and counts", "bytes", "bytes", 1),
)
DRAGGED = (
    ("frames per second while dragging (median interval)", "1/s", "fps"),
    ("interval between frames while dragging, 99th percentile", "ms", "worst"),
    ("websocket frames sent while dragging", "frames", "sent"),
)
VERSIONS = ("streamlit", "plotly", "pandas", "numpy")
UNLIMITED = ("--disable-frame-rate-limit", "--disable-gpu-vsync")
TICK = """() => {
    window.ticks = [];
    const tick = (now) => { window.ticks.push(now); window.ticking = requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
}"""
DONE = """(before) => location.href !== before
    && document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state') === 'notRunning'"""


def made(n: int, seed: int = 0) -> pd.DataFrame:
    """Make scores of n studies of MURA's seven bones, AUROC about .85."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n)
    score = expit(random.normal(1.5 * label - 0.75, 1.0))
    study = pd.Series(np.arange(n)).map("s{0:07d}".format)
    return pd.DataFrame({"study": study, "bone": random.choice(MURA_BONES, n), "label": label, "score": score})


@contextmanager
def serve_peer(scores: Path, home: Path):
    """Serve the peer's page on a separate port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("panel_peer.py"))]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
    log = home / "peer.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, "PANEL_SCORES": str(scores)}, stdout=out, stderr=out)
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def open_ours(browser, address: str, name: str):
    """Open our page with the panel drawn. `page.sent` counts the websocket frames that it sends."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.sent, page.got = [], []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(len(frame))))
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: page.got.append(len(frame))))
    page.goto(f"{address}/threshold?data={name}+(scores+only)")
    page.wait_for_selector(".sensitivity .v", timeout=120_000)
    settle(page, 120_000)
    page.evaluate(PAINTED)
    return page


def hold(page) -> None:
    """Press the mouse on the line and hold it."""
    box = page.locator(".histogram .grip").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(200)


def come_forward(page) -> None:
    """Bring the tab to the front and let it draw, so that this time is not part of a move."""
    page.bring_to_front()
    page.wait_for_timeout(150)


def move_ratios(browser, ours: str, theirs: str, name: str) -> tuple[list[float], list[float], int]:
    """Milliseconds from a move to painted, ours and the peer's alternating, and the frames that ours sent meanwhile."""
    page = open_ours(browser, ours, name)
    peer = browser.new_page(viewport={"width": 1440, "height": 1000})
    peer.goto(theirs)
    peer.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    peer.wait_for_timeout(2000)
    peer.evaluate(PAINTED)
    page.bring_to_front()
    hold(page)
    sent, mine, other = len(page.sent), [], []
    for turn in range(MOVES):
        come_forward(page)
        mine.append(page.evaluate(OURS, 0.15 + 0.7 * turn / MOVES))
        come_forward(peer)
        peer.locator("input[type=range]").focus()
        watch = peer.evaluate_handle(f"() => ({{ time: ({THEIRS})() }})")
        peer.keyboard.press("ArrowRight" if turn % 2 else "ArrowLeft")
        other.append(peer.evaluate("async (watch) => await watch.time", watch))
    quiet = len(page.sent) - sent
    page.close()
    peer.close()
    return mine, other, quiet


def frames_while_dragging(browser, address: str, name: str, seconds: float = 4.0) -> dict:
    """Move the mouse back and forth with the line held. Returns intervals between frames and the cost of a move."""
    page = open_ours(browser, address, name)
    hold(page)
    page.evaluate(TICK)
    box, sent, until = page.locator(".histogram").bounding_box(), len(page.sent), time.monotonic() + seconds
    step = 0
    while time.monotonic() < until:
        step += 1
        share = 0.5 + 0.4 * np.sin(step / 12)
        page.mouse.move(box["x"] + 40 + share * (box["width"] - 60), box["y"] + 120)
    gaps = np.diff(page.evaluate("() => { cancelAnimationFrame(window.ticking); return window.ticks }"))
    quiet = len(page.sent) - sent
    page.mouse.up()
    page.close()
    return {"fps": 1000 / float(np.median(gaps)), "worst": float(np.quantile(gaps, 0.99)), "moves": step, "sent": quiet}


def page_times(browser, address: str, name: str, rounds: int = 5) -> dict:
    """Milliseconds from the request to the drawn panel (first and later visits), and from a release to the new page."""
    loads, commits, size = [], [], 0
    for _ in range(rounds + 1):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        got = []
        page.on("websocket", lambda socket, got=got: socket.on("framereceived", lambda frame: got.append(len(frame))))
        start = time.monotonic()
        page.goto(f"{address}/threshold?data={name}+(scores+only)")
        page.wait_for_selector(".sensitivity .v", timeout=180_000)
        loads.append(1000 * (time.monotonic() - start))
        size = max(got)
        settle(page, 180_000)
        before = page.url
        hold(page)
        box = page.locator(".histogram").bounding_box()
        page.mouse.move(box["x"] + 0.37 * box["width"], box["y"] + 120)
        page.wait_for_timeout(50)
        start = time.monotonic()
        page.mouse.up()
        page.wait_for_function(DONE, arg=before, timeout=120_000)
        commits.append(1000 * (time.monotonic() - start))
        page.close()
    return {
        "first": loads[0],
        "later": statistics.median(loads[1:]),
        "commit": statistics.median(commits),
        "bytes": size,
    }


def row(what: str, n: int, unit: str, ours: float, peer: str = "", theirs=None, ratios=None, rounds: int = 1) -> dict:
    ends = {"median": np.median, "min": np.min, "max": np.max}
    shown = {f"ratio_{name}": "" if ratios is None else f"{end(ratios):.3g}" for name, end in ends.items()}
    return {
        "date": datetime.date.today().isoformat(), "what": what, "n": n, "peer": peer, **shown, "rounds": rounds,
        "ours": f"{ours:.4g}", "theirs": "" if theirs is None else f"{theirs:.4g}", "unit": unit,
        "hardware": hardware(),
        "versions": f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in VERSIONS),
        "command": "python -m bench.panel",
    }  # fmt: skip


def prepare(home: Path, scores: Path | None) -> dict[str, int]:
    """Import the scores; return their names and sizes. Also index a tiny set, since the pages need one to start."""
    write_phantoms(home / "phantoms", 4, 1)
    write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
    sizes = {}
    if scores:
        nih = Columns("y_Cardiomegaly", "p_Cardiomegaly", image="image", patient="patient_id")
        sizes["nih"] = import_scores(scores, "nih", nih).studies
    for name, n in (("valid", 1199), ("million", 1_000_000)):
        frame = made(n)
        frame.to_parquet(home / f"{name}.parquet")
        columns = Columns("label", "score", "study", bone="bone")
        sizes[name] = import_scores(home / f"{name}.parquet", name, columns).studies
    return sizes


def measure(home: Path, scores: Path | None) -> list[dict]:
    sizes, rows = prepare(home, scores), []
    with serve(home) as ours, chromium(*UNLIMITED) as browser:
        for name in ("valid", "million"):
            with serve_peer(home / f"{name}.parquet", home) as theirs:
                mine, other, quiet = move_ratios(browser, ours, theirs, name)
            ratios, n = np.array(other) / np.array(mine), sizes[name]
            rows.append(row("a move to painted", n, "ms", np.median(mine), PEER, np.median(other), ratios, MOVES))
            rows.append(row("websocket frames sent during these moves", n, "frames", quiet))
    with serve(home) as ours, chromium() as browser:
        for name, n in sizes.items():
            found = page_times(browser, ours, name)
            rows += [row(what, n, unit, found[key], rounds=turns) for what, unit, key, turns in PAGE]
            found = frames_while_dragging(browser, ours, name)
            rows += [row(what, n, unit, found[key], rounds=found["moves"]) for what, unit, key in DRAGGED]
    for n in (20, 22_433, 1_000_000):
        studies = made(n)
        sent = live_panel.payload(grid_counts(studies)) | {"bins": score_histogram(studies, "probability")}
        rows.append(row("counts sent to the panel", n, "bytes", len(json.dumps(sent))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, help="predictions.csv of the published NIH predictions")
    scores = parser.parse_args().scores
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OVERREAD_HOME"] = folder
        rows = measure(Path(folder), scores)
    new = not RESULTS.exists()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for found in rows:
        ratio = (
            f"{found['ratio_median']} x ({found['ratio_min']}-{found['ratio_max']})  " if found["ratio_median"] else ""
        )
        print(f"{ratio}{found['what']}, n = {found['n']:,}: {found['ours']} {found['unit']}")


if __name__ == "__main__":
    main()
