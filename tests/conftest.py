"""Shared fixtures: an empty workspace, a small MURA tree with a signal to learn, the real radiographs."""

import os
from pathlib import Path

# Set before torch is imported, and inherited by the processes that tests start. The tensors of the tests are too small
# to gain from threads, and OpenMP threads that busy-wait are ten times slower where another process uses their core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
from PIL import Image

from core import paths

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser) -> None:
    """`--all-families`: every family of networks in the saliency table instead of a sample of them."""
    parser.addoption(
        "--all-families", action="store_true", help="Test every family of networks, and the tests marked slow."
    )


def pytest_configure(config) -> None:
    """`settings.get_profile("many")` and "some": so many examples, and a third of them in the quick suite."""
    part = 1 if config.getoption("--all-families") else 3
    hypothesis.settings.register_profile("many", max_examples=120 // part)
    hypothesis.settings.register_profile("some", max_examples=45 // part)


# Files that take longest run first, so that no process is left with one of them at the end.
LONGEST = (
    "tests/browser/",
    "tests/serving/test_orthanc",
    "tests/test_jobs",
    "tests/test_repository",
    "tests/workflows/",
    "tests/training/",
    "tests/dashboard/",
    "tests/explain/",
)


def pytest_collection_modifyitems(config, items) -> None:
    """Put the longest files first, and skip what is marked slow unless everything is asked for (`make test-all`)."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    if not config.getoption("--all-families"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow; run by make test-all"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real radiographs, weights and published predictions. Tests that need it are skipped without it."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real test material (shared/) is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def thorough(request) -> bool:
    """True under `make test-all`: a test that repeats itself does so as often as it takes to find a rare fault."""
    return request.config.getoption("--all-families")


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """An empty OVERREAD_HOME, and an empty folder of checkpoints."""
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path / "workspace"))
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    return tmp_path / "workspace"


@pytest.fixture(scope="session")
def mura(tmp_path_factory) -> Path:
    """A tree in MURA's layout: 30 patients, two bones, two views a study. Abnormal studies show a bright square."""
    root = tmp_path_factory.mktemp("tree") / "MURA-v1.1"
    random = np.random.default_rng(0)
    for number in range(30):
        split = "train" if number < 22 else "valid"
        bone, abnormal = ("ELBOW", "WRIST")[number % 2], number % 4 < 2
        study = root / split / f"XR_{bone}" / f"patient{number:05}" / f"study1_{'positive' if abnormal else 'negative'}"
        for view in (1, 2):
            write_radiograph(study / f"image{view}.png", random, abnormal)
    return root


def write_radiograph(
    file: Path, random: np.random.Generator, abnormal: bool, width: int = 60, height: int = 80
) -> Path:
    """Write a grey PNG of noise, with a bright square if abnormal."""
    grey = random.integers(20, 90, (height, width)).astype(np.uint8)
    if abnormal:
        grey[20:45, 15:40] = 230
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(file)
    return file
