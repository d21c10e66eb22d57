"""Training and scoring on a GPU against their limits: `python -m bench.gpu [CASE ...]`, or `make bench-gpu`.

Each case is a network, an image size and a batch, such as `resnet50:224:256:compiled`. Its radiographs are grains of
film made here, so no files are needed. An epoch of training is compared with the same steps on tensors that are ready
on the GPU, scoring from the pixel cache with the bare forward pass on one of those tensors. `first_epoch_ms` leaves out
the first step, in which the network is compiled; all networks are compiled first, side by side. Rows are appended to
bench/results/gpu.csv. Everything takes about five minutes.

`python -m bench.gpu decode FOLDER` decodes the JPEG files of a folder on all cores and on the GPU (nvJPEG).
`python -m bench.gpu compile CASE` fills the cache of compiled code, and says how long that took.
`python -m bench.gpu profile CASE` prints the kernels of an epoch and the time in which the GPU had none.
"""

import datetime
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from torch.profiler import ProfilerActivity, profile

from bench.pairs import RESULTS
from core.data.augment import Augmentation
from core.data.pixel_batches import keep_on_device
from core.device import autocast, move_to_device, wait_for
from core.models.networks import build
from core.scores.classifier import Classifier
from core.scores.predict import arithmetic_of, scores_in_order
from core.scores.scoring_plan import BATCH
from core.training.compiled import compiled
from core.training.loop import learn_epoch
from core.training.optim import optimiser_for
from core.training.parallel import Team
from core.training.recipe import Recipe
from core.training.samples import TrainingData, samples_of
from core.training.state import Learner
from core.training.step_graph import StepGraph, StepInput
from core.training.steps import Epoch, Steps

CASES = (
    "small_cnn:64:256",
    "resnet18:128:256",
    "resnet50:224:256",
    "densenet169:320:64",
    "convnext_tiny:224:128",
    "resnet50:224:256:compiled",
    "densenet169:224:128:compiled",
    "convnext_tiny:224:128:compiled",
    "mobilenetv2_100:320:128:compiled",
)
SECONDS = 1.5  # of an epoch
# Without a GPU the script runs on the CPU, which only shows that it works.
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
GRAPHS = DEVICE.type == "cuda"
ROUNDS = 3
COMPILE_SECONDS = 150  # for all compiled networks, which are compiled side by side


@dataclass
class Room:
    """A network on the GPU with its data, and the seconds of its first step."""

    name: str
    compiles: bool
    recipe: Recipe
    data: TrainingData
    epoch: Epoch
    cached: np.ndarray
    first_step: list[float] = field(default_factory=list)

    def learn(self, steps: int) -> float:
        """Train on so many batches; the seconds of it."""
        count = steps * self.recipe.batch_size
        rows = self.data.samples.rows.iloc[:count].reset_index(drop=True)
        part = TrainingData(samples_of(rows, False), self.data.image_ids[:count], self.data.pixels, self.data.places)
        return seconds_of(lambda: learn_epoch(self.epoch, part))


def room_of(case: str) -> Room:
    """The room of a case. Its radiographs are noise over smooth shapes."""
    architecture, side, batch, *more = case.split(":")
    size, batch_size, device = int(side), int(batch), DEVICE
    recipe = Recipe(
        "bench",
        architecture,
        size=size,
        batch_size=batch_size,
        augmentation=Augmentation(horizontal_flip=0.5, rotation=10),
        compile="compiled" in more,
        epochs=1000,
    )
    # Of small radiographs as many as MURA has in train, so that an epoch is not over at once.
    count = 36_864 if size <= 128 else max(64 * batch_size, 8192)
    random = np.random.default_rng(0)
    films = 64 + 20 * random.standard_normal((256, size, size)) + 60 * np.linspace(0, 1, size)
    cached = np.tile(films.clip(0, 255).astype(np.uint8), (-(-count // 256), 1, 1))[:count]
    rows = pd.DataFrame({"image_id": [f"study{n}/image.png" for n in range(count)]})
    rows = rows.assign(study_id=rows["image_id"], label=np.arange(count) % 2, bone="wrist", member=-1)
    torch.manual_seed(0)
    model = move_to_device(build(architecture), device)
    team = Team(0, 1, device, "")
    learner = Learner(model, optimiser_for(model, recipe))
    pixels, places = keep_on_device(cached, np.arange(count), device)
    data = TrainingData(samples_of(rows, False), rows["image_id"].to_numpy(), pixels, places)
    found = Room(case, recipe.compile, recipe, data, None, cached)
    found.epoch = Epoch(
        recipe,
        1,
        learner,
        compiled(model, recipe.compile),
        team,
        "bfloat16",
        graph=StepGraph(device, count, batch_size) if GRAPHS and "eager" not in more else None,
        first_step=found.first_step.append,
    )
    return found


def seconds_of(call: Callable) -> float:
    """Seconds of a call and of all that it leaves in the queue of the GPU."""
    wait_for(DEVICE)
    start = time.perf_counter()
    call()
    wait_for(DEVICE)
    return time.perf_counter() - start


def ready(room: Room, steps: int) -> float:
    """Seconds of so many of the same steps on tensors that are on the GPU already."""
    recipe, graph = room.recipe, room.epoch.graph
    size, device = recipe.batch_size, DEVICE
    spec = recipe.input_spec()
    inputs = []
    for number in range(8):
        unit = torch.from_numpy(room.cached[number * size : (number + 1) * size]).to(device)[:, None].float() / 255
        target = torch.arange(size, device=device).float() % 2
        numbers = torch.arange(number * size, (number + 1) * size, device=device)
        inputs.append(StepInput(spec.normalise(unit), numbers, target, torch.ones_like(target)))
    taker = Steps(room.epoch, room.data.samples, len(room.data))

    def run() -> None:
        with taker.graphed():
            for number in range(steps):
                if graph:
                    graph.run(taker._whole_step, inputs[number % 8])
                    graph.pace(number + 1)
                else:
                    taker._whole_step(inputs[number % 8])

    return seconds_of(run)


def trained(room: Room) -> dict:
    """An epoch of training over the same steps on ready tensors: the median of paired ratios."""
    first = room.learn(8)
    per_step = room.learn(16) / 16
    steps = int(min(max(SECONDS / per_step, 16), len(room.data) // room.recipe.batch_size))
    ours, limits = [], []
    for number in range(ROUNDS):
        for mine in (True, False) if number % 2 else (False, True):
            (ours if mine else limits).append(room.learn(steps) if mine else ready(room, steps))
    count, share = steps * room.recipe.batch_size, np.array(limits) / np.array(ours)
    graph = room.epoch.graph
    return {
        "what": "training",
        "n": count,
        "ours_per_s": round(count / statistics.median(ours)),
        "limit_per_s": round(count / statistics.median(limits)),
        "share_median": f"{np.median(share):.3f}",
        "share_min": f"{share.min():.3f}",
        "share_max": f"{share.max():.3f}",
        "first_step_ms": round(1000 * room.first_step[0]),
        "first_epoch_ms": round(1000 * (first - room.first_step[0] + (steps - 8) * per_step)),
        "epoch_ms": round(1000 * statistics.median(ours)),
        "graph": "none" if graph is None else graph.failed or "captured",
    }


def scored(room: Room) -> dict:
    """Scoring of a pixel cache, in the parts of `predict`, over the bare forward pass on a ready batch."""
    model = room.epoch.learner.model.eval()
    classifier = Classifier(model, room.recipe.input_spec(), DEVICE)
    count = min(len(room.cached), (128 if room.recipe.size <= 128 else 32) * BATCH)
    rows, cached = room.data.samples.rows.iloc[:count], room.cached[:count]
    size = arithmetic_of(classifier).batch
    slices = [slice(start, start + size) for start in range(0, count, size)]
    batch = classifier.tensor(cached[:size])

    def ours() -> None:
        list(scores_in_order(classifier, ((cached[part], rows.iloc[part]) for part in slices)))

    def bare() -> None:
        with torch.inference_mode(), autocast(classifier.device):
            for _ in slices:
                model(batch)

    ours(), bare()
    mine, limits = [], []
    for _ in range(ROUNDS):
        limits.append(seconds_of(bare))
        mine.append(seconds_of(ours))
    share = np.array(limits) / np.array(mine)
    return {
        "what": "scoring",
        "n": count,
        "ours_per_s": round(count / statistics.median(mine)),
        "limit_per_s": round(count / statistics.median(limits)),
        "share_median": f"{np.median(share):.3f}",
        "share_min": f"{share.min():.3f}",
        "share_max": f"{share.max():.3f}",
    }


COLUMNS = (
    *("date", "case", "what", "n", "ours_per_s", "limit_per_s", "share_median", "share_min", "share_max"),
    *("first_step_ms", "first_epoch_ms", "epoch_ms", "graph", "peak_gb", "hardware", "versions", "command"),
)


def keep(row: dict, command: str) -> None:
    """Append a row to gpu.csv and print it."""
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    row |= {
        "date": datetime.date.today().isoformat(),
        "peak_gb": f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if GRAPHS else "",
        "hardware": f"{torch.cuda.get_device_name() if GRAPHS else 'no GPU'}, {os.cpu_count()} cores",
        "versions": versions,
        "command": command,
    }
    file = Path(os.environ.get("OVERREAD_BENCH_RESULTS", RESULTS)) / "gpu.csv"
    frame = pd.DataFrame([row]).reindex(columns=COLUMNS)
    frame.to_csv(file, mode="a", header=not file.exists(), index=False)
    shown = {key: value for key, value in row.items() if key not in ("date", "versions", "hardware", "command")}
    print(" ".join(f"{key}={value}" for key, value in shown.items()), flush=True)


def compile_all(cases: list[str]) -> list[str]:
    """Fill the cache of compiled code for these cases, in a process each. Returns those that took too long."""
    processes = {case: subprocess.Popen([sys.executable, "-m", "bench.gpu", "compile", case]) for case in cases}
    until, late = time.monotonic() + COMPILE_SECONDS, []
    for case, process in processes.items():
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            late.append(case)
    return late


def run_case(case: str) -> None:
    """Measure a case; a case that fails is a row that says why."""
    try:
        room = room_of(case)
        for part in (trained, scored):
            keep({"case": case, **part(room)}, f"python -m bench.gpu {case}")
    except Exception as error:  # noqa: BLE001  the other cases go on
        print(case, "failed:", repr(error)[:600], flush=True)
        return
    del room
    gc.collect()
    if GRAPHS:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def decode(folder: str, side: int = 320) -> None:
    """Files a second: decoded and fitted on all cores as the pixel cache does, and decoded by nvJPEG on the GPU."""
    from core.data.pixels import read_grey, to_square

    def read(file: Path) -> torch.Tensor:
        return torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8)

    files = sorted(path for path in Path(folder).rglob("*.jp*g"))[:2048]
    torchvision.io.decode_jpeg([read(files[0])], device="cuda")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cores = seconds_of(lambda: list(pool.map(lambda file: to_square(read_grey(file), side, "pad"), files)))

    def on_gpu() -> None:
        for start in range(0, len(files), 128):
            read = [
                torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8) for file in files[start : start + 128]
            ]
            torchvision.io.decode_jpeg(read, mode=torchvision.io.ImageReadMode.GRAY, device="cuda")

    gpu = seconds_of(on_gpu)
    keep(
        {
            "case": f"jpeg:{side}",
            "what": "decoding on all cores over nvJPEG",
            "n": len(files),
            "ours_per_s": round(len(files) / cores),
            "limit_per_s": round(len(files) / gpu),
            "share_median": f"{gpu / cores:.3f}",
        },
        "python -m bench.gpu decode FOLDER",
    )


def profiled(case: str) -> None:
    """Print the kernels of 16 steps by their time, and the share of the time in which the GPU had none."""
    room = room_of(case)
    room.learn(16)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        wall = room.learn(16)
    kernels = [event for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    spans = sorted((event.time_range.start, event.time_range.end) for event in kernels)
    busy, until = 0.0, 0.0
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    print(f"{case}: {1000 * wall / 16:.2f} ms a step (while profiled), GPU busy {busy / 1e6 / wall:.1%} of it")
    print(found.key_averages().table(sort_by="cuda_time_total", row_limit=14, max_name_column_width=60))


if __name__ == "__main__":
    if sys.argv[1:2] == ["decode"]:
        decode(*sys.argv[2:])
    elif sys.argv[1:2] == ["profile"]:
        profiled(sys.argv[2])
    elif sys.argv[1:2] == ["compile"]:
        room = room_of(sys.argv[2])
        room.learn(2)
        print(f"{sys.argv[2]}: the first step took {room.first_step[0]:.1f} s")
    else:
        wanted = sys.argv[1:] or list(CASES)
        late = compile_all([case for case in wanted if case.endswith(":compiled")])
        for one in wanted:
            if one in late:
                print(f"{one}: not compiled within {COMPILE_SECONDS} s, so not measured", flush=True)
            else:
                run_case(one)
