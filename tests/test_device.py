"""The choice of the device, and the reason that is reported. No GPU is needed: torch's answers are replaced."""

import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from core import device
from core.device import in_a_passing_thread, pick_device, send, why_no_gpu
from tests.conftest import REPOSITORY
from tests.refusals import refused

CPU = torch.device("cpu")


def says(answer):
    """A function that returns the answer, or raises it."""

    def call(*arguments, **named):
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


@pytest.fixture
def no_gpu(monkeypatch, tmp_path):
    """torch finds no GPU, and there is no driver."""
    monkeypatch.setattr(torch.cuda, "is_available", says(False))
    monkeypatch.setattr(device, "_NVIDIA_DRIVER", str(tmp_path / "version"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "version"


def test_without_a_gpu_the_cpu_is_taken(no_gpu):
    assert pick_device() == (CPU, "the CPU, since torch finds no GPU")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_the_reason(no_gpu, monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert why_no_gpu() == f"CUDA_VISIBLE_DEVICES={hidden} hides every GPU from torch"


def test_a_driver_that_is_too_old_is_the_reason(no_gpu, monkeypatch):
    no_gpu.write_text("NVRM version: 470.57")
    monkeypatch.setattr(torch.cuda, "init", says(RuntimeError("The NVIDIA driver on your system is too old.")))
    chosen, why = pick_device()
    assert chosen == CPU and why.startswith("the CPU, since the GPU cannot be used (The NVIDIA driver")


def test_a_gpu_that_another_process_holds_is_the_reason(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", says(True))
    monkeypatch.setattr(torch, "zeros", says(RuntimeError("CUDA-capable device(s) is/are busy or unavailable")))
    chosen, why = pick_device()
    assert chosen == CPU and "busy or unavailable" in why


def test_a_device_that_was_asked_for_is_never_replaced(no_gpu, monkeypatch):
    monkeypatch.setattr(torch, "zeros", says(RuntimeError("busy")))
    with refused("device-unavailable", "'cuda'", "busy", "--device cpu"):
        pick_device("cuda")


@pytest.mark.parametrize("writeable", [True, False])
def test_what_is_sent_has_the_values_of_the_array(writeable):
    values = np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2]
    values.flags.writeable = writeable
    assert send(values, CPU).tolist() == values.tolist()


FAULTS = """
import resource, sys, torch
from core.device import move_to_device
if sys.argv[1] == "moved":
    move_to_device(torch.nn.Conv2d(1, 1, 1), torch.device("cpu"))
for _ in range(10):
    torch.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns large arrays by a threshold")
def test_a_network_on_a_cpu_keeps_the_memory_of_freed_arrays():
    """Ten arrays of 64 MiB: without it, each has its 16,384 pages zeroed by the system again."""
    counts = {}
    for how in ("moved", "default"):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        command = [sys.executable, "-c", FAULTS, how]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
        counts[how] = int(said.stdout)
    assert counts["moved"] < counts["default"] / 2


def test_a_passing_thread_gives_its_answer_and_has_ended():
    thread = in_a_passing_thread(threading.current_thread)
    assert thread is not threading.current_thread() and not thread.is_alive()
    with pytest.raises(ZeroDivisionError):
        in_a_passing_thread(lambda: 1 / 0)
