"""Time the augmentation page in Chromium, from releasing a slider to 12 painted samples, against plain Streamlit.

Run: `python -m bench.augment_page` (needs Chromium and the demo of OVERREAD_HOME: `python -m core demo`). The peer
(`bench/augment_peer.py`) augments the same radiograph 12 times with torchvision v2 and shows each by `st.image`. Ours
and the peer alternate, each with one move of the rotation by key. A move counts as painted at the frame after the one
in which the last picture of the grid changed; in the second row, its scores too. Rows are appended to
bench/results/augment_page.csv.
"""

import csv
import datetime
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.pairs import hardware
from core.data.index import list_datasets, read_index
from core.paths import home
from tests.browser.server import chromium, serve, settle, wait_until_up

RESULTS = Path(__file__).parent / "results" / "augment_page.csv"
MOVES, GATE = 15, 300
PEER = "st.slider, rerun, 12 x torchvision v2 and st.image"
SPEC = "horizontal_flip:0.5,rotation:10,translation:0.03,scale:0.08,brightness:0.05,contrast:0.1"
# Ends at the frame after the one in which `read` returns something new: by then that one was painted.
TIMED = """([read, key]) => new Promise((done) => {
    const seen = () => eval(read), before = seen(), start = performance.now();
    const look = () => seen() === before ? requestAnimationFrame(look)
      : requestAnimationFrame(() => done(performance.now() - start));
    window.moved = look;
    look();
})"""
OURS = "[...document.querySelectorAll('.gallery .card .views img')].at(-1)?.src"
SCORES = "[...document.querySelectorAll('.gallery .card .words > div')].map((e) => e.innerText).join()"
THEIRS = "document.querySelector('[data-testid=stText]')?.innerText"


@contextmanager
def serve_peer(film: Path, folder: Path):
    """Serve the peer's page on a separate port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("augment_peer.py"))]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
    log = folder / "peer.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, "AUGMENT_FILM": str(film)}, stdout=out, stderr=out)
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def move(page, slider: str, read: str, key: str) -> float:
    """Milliseconds from a key on the slider to the painted change."""
    page.bring_to_front()
    page.locator(slider).focus()
    page.wait_for_timeout(400)
    with page.expect_event("console", lambda said: said.text.startswith("painted")) as told:
        page.evaluate(
            f"([read, key]) => {{ ({TIMED})([read, key]).then((ms) => console.log('painted ' + ms)); }}", [read, key]
        )
        page.keyboard.press(key)
    return float(told.value.text.split()[1])


def moves(ours, theirs, read: str) -> tuple[list[float], list[float]]:
    """Milliseconds of each side, alternating; the first two of each are dropped."""
    sides: tuple[list[float], list[float]] = ([], [])
    for number in range(MOVES + 2):
        key = "ArrowRight" if number % 4 < 2 else "ArrowLeft"
        for side in (0, 1) if number % 2 else (1, 0):
            page, slider, what = (
                (ours, ".st-key-aug_rotation input", read) if side == 0 else (theirs, ".stSlider input", THEIRS)
            )
            sides[side].append(move(page, slider, what, key))
    return sides[0][2:], sides[1][2:]


def row(what: str, ours: list[float], theirs: list[float]) -> dict:
    """One row of the results."""
    ratios = [their / our for our, their in zip(ours, theirs)]
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in ("streamlit", "torch"))]
    return {
        "date": datetime.date.today().isoformat(),
        "what": what,
        "n": 12,
        "peer": PEER,
        "ratio_median": f"{statistics.median(ratios):.3g}",
        "ratio_min": f"{min(ratios):.3g}",
        "ratio_max": f"{max(ratios):.3g}",
        "rounds": len(ours),
        "ours_ms": f"{statistics.median(ours):.4g}",
        "ours_worst_ms": f"{max(ours):.4g}",
        "within_300_ms": sum(value <= GATE for value in ours),
        "peer_ms": f"{statistics.median(theirs):.4g}",
        "hardware": hardware(),
        "versions": ", ".join(versions),
        "command": "python -m bench.augment_page",
    }


def main() -> None:
    dataset = next(found for found in list_datasets() if found.name == "demo")
    film = Path(dataset.root) / read_index("demo")["path"].iloc[0]
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(home()) as address,
        serve_peer(film, Path(folder)) as other,
        chromium() as browser,
    ):
        theirs = browser.new_page(viewport={"width": 1440, "height": 1000})
        theirs.goto(other)
        theirs.wait_for_selector("[data-testid=stText]", timeout=120_000)
        for what, model, read in (
            ("rotation let go of to 12 samples painted, 128 px", "resnet-narrow-128", OURS),
            (
                "rotation let go of to 12 samples and their scores painted, resnet-narrow-128",
                "resnet-narrow-128",
                SCORES,
            ),
        ):
            ours = browser.new_page(viewport={"width": 1440, "height": 1000})
            ours.goto(f"{address}/augmentation?data=demo&model={model}&spec={SPEC}")
            settle(ours, 120_000)
            ours.wait_for_timeout(3000)
            rows.append(row(what, *moves(ours, theirs, read)))
            ours.close()
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for one in rows:
        print(
            f"{one['what']}: {one['ours_ms']} ms (worst {one['ours_worst_ms']}; {one['within_300_ms']} of "
            f"{one['rounds']} within {GATE} ms) against {one['peer_ms']} ms: {one['ratio_median']} "
            f"({one['ratio_min']}-{one['ratio_max']})"
        )


if __name__ == "__main__":
    main()
