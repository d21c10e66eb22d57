"""A pass of a network on a CPU, with the memory of freed arrays kept in the process and with glibc's default.

Run: `python -m bench.freed_memory [ARCHITECTURE] [PX]`. The setting cannot be taken back, so each side is measured in a
process of its own, by turns. Rows in bench/results/freed_memory.csv.
"""

import datetime
import subprocess
import sys
import time

import numpy as np
import torch

from bench.pairs import hardware, keep

ROUNDS, BATCHES, SECONDS = 5, (1, 8, 64), 2.0
KEPT, DEFAULT = "kept", "default"


def passes(how: str, architecture: str, size: int) -> list[float]:
    """Median seconds of a pass of each batch size, in this process."""
    from core.device import channels_last, keep_freed_memory
    from core.models.networks import build

    if how == KEPT:
        keep_freed_memory()
    model = build(architecture).eval().to(memory_format=torch.channels_last)
    found = []
    with torch.inference_mode():
        for batch in BATCHES:
            inputs, times = channels_last(torch.rand(batch, 1, size, size)), []
            model(inputs)
            until = time.perf_counter() + SECONDS
            while len(times) < 3 or time.perf_counter() < until:
                started = time.perf_counter()
                model(inputs)
                times.append(time.perf_counter() - started)
            found.append(float(np.median(times)))
    return found


def main(architecture: str = "mobilenetv2_100", size: str = "224") -> None:
    times: dict[str, list[list[float]]] = {KEPT: [], DEFAULT: []}
    for number in range(ROUNDS):
        for how in (KEPT, DEFAULT) if number % 2 else (DEFAULT, KEPT):
            command = [sys.executable, "-m", "bench.freed_memory", "--one", how, architecture, size]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times[how].append([float(word) for word in said.split()])
    ours, peer = np.array(times[KEPT]), np.array(times[DEFAULT])
    rows = []
    for place, batch in enumerate(BATCHES):
        ratios = peer[:, place] / ours[:, place]
        rows.append(
            {
                "date": datetime.date.today().isoformat(),
                "what": f"a pass of {architecture} at {size} px",
                "n": batch,
                "peer": "glibc's default",
                "ratio_median": f"{np.median(ratios):.3g}",
                "ratio_min": f"{ratios.min():.3g}",
                "ratio_max": f"{ratios.max():.3g}",
                "rounds": ROUNDS,
                "ours_ms": f"{1000 * np.median(ours[:, place]):.4g}",
                "peer_ms": f"{1000 * np.median(peer[:, place]):.4g}",
                "hardware": hardware(),
                "versions": f"torch {torch.__version__}",
                "command": f"python -m bench.freed_memory {architecture} {size}",
            }
        )
    keep(rows, "freed_memory.csv")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(*passes(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main(*sys.argv[1:])
