"""The service under load: requests a second and latency against the bare network and other ways to serve it.

Run: `python -m bench.serving load [SECONDS] [PYTHON] [NETWORK]`, `cold` or `soak [SECONDS]`. Rows in
bench/results/serving.csv. PYTHON is an interpreter with LitServe, which is left out without one. NETWORK is a
checkpoint, or ARCHITECTURE:SIZE for random weights. Server and client share this machine. The bare network is measured
before each server. `cpu_ms` is the time on a core, of all processes of the server, for one study: unlike the rates,
other work on the machine hardly changes it.
"""

import asyncio
import contextlib
import csv
import datetime
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import count, product
from pathlib import Path

import numpy as np

from bench.pairs import RESULTS
from bench.serving_load import Measured, binary_pixels, multipart, press
from bench.serving_network import checkpoint_to_serve
from bench.thresholds import hardware
from core.paths import home

CHECKPOINT, CONCURRENCIES, BATCH = "resnet-narrow-128", (1, 4, 16, 64), 32
_LOADS = ("p50_ms", "p95_ms", "p99_ms", "of_bare", "cpu_ms", "of_bare_cpu", "errors")
TOGETHER = 8  # decoded radiographs, each a study, in one request of the Open Inference Protocol


def radiographs() -> list[bytes]:
    """A hundred phantoms as PNG files; they are drawn once for a workspace."""
    from core.phantom import write_phantoms

    report = write_phantoms(home() / "bench-phantoms", 36, 7, valid_fraction=0.5)
    return [file.read_bytes() for file in sorted(report.folder.rglob("*.png"))[:100]]


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@contextlib.contextmanager
def started(arguments: list[str], port: int, python: str = sys.executable) -> Iterator[subprocess.Popen]:
    """A server as a process of its own, ended afterwards with every process that it started.

    LitServe leaves its workers behind when it ends, and each then uses a tenth of a core during all later measurements.
    """
    process = subprocess.Popen(
        [python, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until_ready(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(90)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(port: int, process: subprocess.Popen) -> None:
    for _ in range(6000):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise RuntimeError("the server was not ready in five minutes")


def overread(port: int, runtime: str, *more: str, checkpoint: str = CHECKPOINT) -> list[str]:
    waiting = ["--waiting", "1024", "--point", "none"]
    return ["-m", "core", "serve", checkpoint, "--port", str(port), "--runtime", runtime, *waiting, *more]


def bare_loops(folder: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    """The bare network in a loop on decoded batches of 32: radiographs a second, and ms on a core of each."""
    import torch

    from core.models.checkpoint import read_checkpoint
    from core.scores.classifier import load_classifier
    from core.serving.reference import made_up_views
    from core.serving.runtime import OnnxScorer, exported

    checkpoint = read_checkpoint(folder)
    classifier = load_classifier(checkpoint)
    pixels = made_up_views(BATCH, classifier.spec.size)

    def loop(scorer, seconds: float = 2.0) -> tuple[float, float]:
        scorer.scores(pixels, BATCH)
        begun, used, calls = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - begun < seconds:
            scorer.scores(pixels, BATCH)
            calls += 1
        spent = 1e3 * (time.process_time() - used) / (calls * BATCH)
        return calls * BATCH / (time.perf_counter() - begun), spent

    onnx = OnnxScorer(exported(checkpoint), torch.get_num_threads())
    return {"torch": lambda: loop(classifier), "onnx": lambda: loop(onnx)}


def decoding_seconds(files: list[bytes]) -> float:
    """Median seconds to decode one file, in this process."""
    from core.data.input_spec import InputSpec
    from core.models.checkpoint import read_checkpoint
    from core.serving.decoding import Upload, decode_view

    spec: InputSpec = read_checkpoint(CHECKPOINT).input_spec
    times = []
    for data in files:
        begun = time.perf_counter()
        decode_view(Upload("file", data), spec)
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def load(seconds: str = "5", python: str = "", network: str = CHECKPOINT) -> None:
    """Every server at every concurrency."""
    from core.models.checkpoint import read_checkpoint
    from core.serving.reference import made_up_views

    files, folder = radiographs(), checkpoint_to_serve(network)
    size, serving = read_checkpoint(folder).input_spec.size, str(folder)
    squares = made_up_views(64, size)
    route = f"/v2/models/{folder.name}/infer"
    png = [multipart("/v1/studies", [data]) for data in files]
    one = [binary_pixels(route, squares[place : place + 1]) for place in range(64)]
    many = [binary_pixels(route, squares[place : place + TOGETHER]) for place in range(0, 64, TOGETHER)]
    bare = bare_loops(folder)
    keep(
        what="decoding one PNG radiograph, one process",
        value=1e3 * decoding_seconds(files),
        unit="ms",
        n=len(files),
    )
    own = {"PNG": png, "decoded": one, f"decoded, {TOGETHER} studies a request": many}
    kinds = [
        ("Overread, ONNX Runtime", lambda port: overread(port, "onnx", checkpoint=serving), own, sys.executable),
        ("Overread, torch", lambda port: overread(port, "torch", checkpoint=serving), own, sys.executable),
        ("Overread without batches", lambda port: peer("alone", serving, port), {"PNG": png}, sys.executable),
        ("plain FastAPI, torch", lambda port: peer("fastapi", serving, port), {"PNG": png}, sys.executable),
    ]
    if python:
        kinds.append(("LitServe, torch", lambda port: litserve(serving, port), {"PNG": png}, python))
    for name, arguments, inputs, interpreter in kinds:
        port, speeds = free_port(), {runtime: measure() for runtime, measure in bare.items()}
        for runtime, (speed, spent) in speeds.items():
            what = f"bare network in a loop, {runtime}, batches of {BATCH}"
            keep(what=what, value=speed, unit="radiographs/s", cpu_ms=f"{spent:.3g}")
        of = speeds["onnx" if "ONNX" in name or "without" in name else "torch"]
        with started(arguments(port), port, interpreter) as process:
            for concurrency, (kind, requests) in product(CONCURRENCIES, inputs.items()):
                studies, before = TOGETHER if "studies" in kind else 1, processor_seconds(process.pid)
                found = asyncio.run(press(port, requests, concurrency, float(seconds)))
                spent = (processor_seconds(process.pid) - before) / (found.answered * studies)
                keep_load(f"{name}: {kind}, {concurrency} at once", found, studies, 1e3 * spent, of)


def litserve(checkpoint: str, port: int) -> list[str]:
    return ["-m", "bench.serving_litserve", checkpoint, str(port)]


def peer(kind: str, checkpoint: str, port: int) -> list[str]:
    return ["-m", "bench.serving_peer", kind, checkpoint, str(port)]


def cold(repeats: str = "3") -> None:
    """Seconds from the start of the process to the first answer, with each runtime."""
    request = multipart("/v1/studies", radiographs()[:1])
    for name, runtime in (("torch", "torch"), ("auto, exported before", "auto"), ("auto, exported now", "auto")):
        times = []
        for _ in range(int(repeats)):
            if name.endswith("now"):
                for file in (home() / "onnx").glob("*.onnx"):
                    file.unlink()
            port, begun = free_port(), time.perf_counter()
            with started(overread(port, runtime), port):
                found = asyncio.run(press(port, [request], 1, 0.0))
                times.append(time.perf_counter() - begun)
                assert found.errors == 0
        keep(what=f"start to the first answer, runtime {name}", value=float(np.median(times)), unit="s", n=len(times))


def soak(seconds: str = "600", concurrency: int = 8) -> None:
    """Memory of the service, all its processes, while good and bad requests arrive without a break."""
    files = radiographs()
    mixed = [multipart("/v1/studies", files[place : place + 1 + place % 3]) for place in range(60)]
    mixed += [multipart("/v1/studies", [b"not a picture"]), multipart("/v1/studies", [files[0][:5000], files[1]])]
    port = free_port()
    with started(overread(port, "auto", "--log"), port) as process:
        ended, memory = threading.Event(), []

        def watch() -> None:
            for second in count(step := 10, 10):
                if ended.wait(step):
                    break
                memory.append((second, resident_megabytes(process.pid)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        found = asyncio.run(press(port, mixed, concurrency, float(seconds)))
        ended.set()
        watcher.join()
    places = {"start": memory[2], "middle": memory[len(memory) // 2], "end": memory[-1]}
    for place, (second, size) in places.items():
        what = f"memory of the service under load, {place} ({second} s), {concurrency} clients"
        keep(what=what, value=size, unit="MB", n=len(found.latencies))
    later = [size for second, size in memory if second >= 60]
    keep(what="growth of memory, slope from the first minute on", value=slope(later), unit="MB/minute")
    what = f"soak, {concurrency} clients, {found.errors} answers other than 200 and 422"
    keep(what=what, value=found.per_second, unit="studies/s", n=len(found.latencies))


def slope(sizes: list[float]) -> float:
    """Megabytes a minute, by least squares over measurements every ten seconds."""
    return float(np.polyfit(np.arange(len(sizes)) / 6, sizes, 1)[0]) if len(sizes) > 2 else float("nan")


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and its children."""
    total = 0
    for one in [pid, *children(pid)]:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total / 1024


def children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def processor_seconds(pid: int) -> float:
    """Seconds on a core of a process and its children."""
    ticks = 0
    for one in [pid, *children(pid)]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def keep_load(what: str, found: Measured, studies: int, spent: float, bare: tuple[float, float]) -> None:
    """Keep one row of a load. bare: rate and ms on a core of the bare network, of which the shares are kept."""
    rate = found.per_second * studies
    p50, p95, p99 = (f"{1e3 * value:.3g}" for value in np.percentile(found.latencies, (50, 95, 99)))
    shares = {"of_bare": f"{rate / bare[0]:.2f}", "cpu_ms": f"{spent:.3g}", "of_bare_cpu": f"{bare[1] / spent:.2f}"}
    more = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, **shares, "errors": found.errors}
    keep(what=what, value=rate, unit="studies/s", n=len(found.latencies), **more)


def keep(what: str, value: float, unit: str, n: int = 1, **more) -> None:
    """Append one row to bench/results/serving.csv and print it."""
    packages = ("torch", "onnxruntime", "fastapi", "uvicorn")
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    loads = {name: more.get(name, "") for name in _LOADS}
    row = {
        "date": datetime.date.today().isoformat(),
        "what": what,
        "n": n,
        "value": f"{value:.4g}",
        "unit": unit,
        **loads,
        "load": f"{os.getloadavg()[0]:.1f}",
        "hardware": hardware(),
        "versions": ", ".join(versions),
        "command": " ".join(["python -m bench.serving", *(one for one in sys.argv[1:] if "/" not in one)]),
    }
    file = RESULTS / "serving.csv"
    new = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    shown = ", ".join(
        f"{name} {row[name]}" for name in ("p50_ms", "p95_ms", "p99_ms", "of_bare", "errors") if row[name] != ""
    )
    print(f"{row['value']} {unit}, n = {n}, load {row['load']}: {what} {shown}", flush=True)


if __name__ == "__main__":
    {"load": load, "cold": cold, "soak": soak}[sys.argv[1]](*sys.argv[2:])
