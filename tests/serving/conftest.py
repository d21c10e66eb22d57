"""A small checkpoint that was scored on a MURA tree, its operating point, and a service around it."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from core.data.index import build_index, write_dataset
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights
from core.models.networks import build
from core.scores.operating_points import lock
from core.scores.source import source_of
from core.scores.view import View
from core.serving.app import create_app
from core.serving.decision_log import DecisionLog
from core.serving.limits import Limits
from core.serving.reader import load
from core.serving.service import Service, served_models
from core.training.recipe import Recipe
from core.workflows.thresholds import Criterion, choose_threshold

RECIPE = Recipe("tiny", "small_cnn", {"width": 2, "hidden": 4}, size=16)


def png(seed: int = 0, shape: tuple = (40, 30)) -> bytes:
    """A grey PNG of noise."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def make_checkpoint(folder, seed=0):
    """A complete checkpoint with random weights."""
    torch.manual_seed(seed)
    learned = pd.DataFrame({"sha1": [], "part": []}, dtype="str")
    manifest = begin_checkpoint(folder, RECIPE.to_json(), RECIPE.input_spec(), learned)
    save_weights(folder, manifest, build(RECIPE.architecture, RECIPE.model_kwargs).state_dict())
    return read_checkpoint(folder)


@pytest.fixture
def tree(mura, workspace):
    """An indexed tree of 30 patients."""
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def checkpoint(tmp_path, workspace):
    """A checkpoint called tiny."""
    return make_checkpoint(tmp_path / "checkpoints" / "tiny")


@pytest.fixture
def lock_point(checkpoint, tree):
    """Locks an operating point of the checkpoint for a rule."""

    def lock_it(rule: str = "youden"):
        criterion = Criterion(rule, bound="none")
        return lock(choose_threshold(View(source_of(checkpoint, tree), "valid"), criterion), "Ada", "")

    return lock_it


@pytest.fixture
def point(lock_point):
    """A locked operating point of the checkpoint."""
    return lock_point()


@pytest.fixture
def serving(checkpoint, tmp_path):
    """Starts a service and gives its client. log: whether it has one. Its decoders are threads: they start at once."""
    started = []

    def start(
        limits=Limits(),
        tokens=(),
        log=False,
        readers=None,
        shadows=(),
        make_pool=ThreadPoolExecutor,
        outbox=None,
        local=False,
    ):
        readers = readers or [load(checkpoint.folder, limits=limits)]
        models = {served.reader.name: served for served in served_models(readers)}
        kept = DecisionLog(tmp_path / "log") if log else None
        service = Service(models, tuple(served_models(shadows)), limits, kept, decoders=1, make_pool=ThreadPoolExecutor)
        client = TestClient(create_app(service, tokens, outbox, local), raise_server_exceptions=False)
        client.__enter__()
        started.append(client)
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)
