"""A small workspace: phantoms scored by one of two checkpoints, and a data set without scores."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from core import paths
from core.data.index import build_index, read_index, write_dataset
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights, write_manifest
from core.phantom import write_phantoms
from core.schema import PREDICTIONS
from core.scores.predictions import store_predictions
from core.scores.source import Source
from core.scores.view import View
from dashboard import page_list

HOME = Path(__file__).resolve().parents[2] / "dashboard" / "Home.py"
# The pages about the chosen data set; the others open without one, and show none.
PAGES = tuple(page.name for page in page_list.PAGES if page.needs_data)

# An AppTest looks for components in the metadata of every installed package, which takes longer than many a page.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@dataclass(frozen=True)
class House:
    """The folders of a made-up workspace and its checkpoints."""

    home: Path
    checkpoints: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory, mura) -> House:
    """A workspace made once a session; tests that change it work on a copy."""
    house = House(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("checkpoints"))
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        write_phantoms(house.home / "phantoms", 30, 5, processes=1, valid_fraction=0.6)
        demo = write_dataset("demo", build_index(house.home / "phantoms" / "MURA-v1.1"))
        write_dataset("cold", build_index(mura, folds=4))
        scored = write_checkpoint(house.checkpoints / "alpha", demo, seed=1)
        write_checkpoint(house.checkpoints / "beta", demo, seed=2)
        store_predictions(made_up_scores(scored, demo))
    return house


@pytest.fixture
def films(monkeypatch) -> list[list[dict]]:
    """The films sent to the browser, one list per run; AppTest runs no components."""
    from dashboard.shared.case import films as component

    sent: list[list[dict]] = []
    monkeypatch.setattr(component, "draw_films", lambda shown, case, **more: sent.append(shown))
    return sent


@pytest.fixture
def house(built, monkeypatch) -> Iterator[House]:
    """The workspace of the session. What a test adds to it is removed, so that no other test sees it."""
    before = things_in(built.home)
    enter(built, monkeypatch)
    yield built
    for added in things_in(built.home) - before:
        shutil.rmtree(added) if added.is_dir() else added.unlink()


def things_in(home: Path) -> set[Path]:
    """The data sets of a workspace, its imported scores, audits and measures."""
    places = ("datasets/*", "imported/*", "audits/*", "cache/*/measures-*")
    return {found for place in places for found in home.glob(place)}


def enter(house: House, patch: pytest.MonkeyPatch) -> None:
    """Make this the workspace of the process."""
    patch.setenv("OVERREAD_HOME", str(house.home))
    patch.setattr(paths, "CHECKPOINTS", house.checkpoints)


def write_checkpoint(folder: Path, dataset, seed: int):
    """A complete checkpoint of a tiny untrained network with a made-up history."""
    import torch

    from core.models.networks import build
    from core.training.recipe import Recipe

    recipe = Recipe(folder.name, "small_cnn", {"width": 4, "hidden": 8}, size=32, epochs=3, learning_rate=1e-3 * seed)
    torch.manual_seed(seed)
    manifest = begin_checkpoint(
        folder, recipe.to_json(), recipe.input_spec(), pd.DataFrame(columns=["sha1", "part"], dtype="str")
    )
    manifest |= {
        "dataset": dataset.name,
        "index_hash": "of another set",
        "phantom": dataset.phantom,
        "parameters": 1234,
        "epoch": 2,
    }
    write_manifest(folder, save_weights(folder, manifest, build(recipe.architecture, recipe.model_kwargs).state_dict()))
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [0.7, 0.6, 0.5],
            "seconds": 1.5,
            "images_per_second": 100.0,
            "tune_loss": [0.7, 0.65, 0.66],
            "tune_auroc": [0.5, 0.7, 0.69],
            "tune_auroc_low": [0.3, 0.5, 0.5],
            "tune_auroc_high": [0.7, 0.9, 0.9],
            "tune_studies": 40,
            "best": [True, True, False],
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    return read_checkpoint(folder)


def made_up_scores(checkpoint, dataset) -> pd.DataFrame:
    """Scores better than chance with every outcome among them; no finger is scored in train."""
    frame = read_index(dataset.name)
    frame = frame[(frame["split"] != "train") | (frame["bone"] != "finger")].reset_index(drop=True)
    noise = np.random.default_rng(0).normal(size=frame["study_id"].nunique())
    by_study = dict(zip(frame["study_id"].unique(), noise))
    frame["logit"] = 2 * frame["label"] - 1 + 1.5 * frame["study_id"].map(by_study)
    return frame.assign(checkpoint=checkpoint.reference, dataset=dataset.reference)[list(PREDICTIONS)]


def open_page(name: str, **query: str) -> AppTest:
    """Open a page as a visitor does: through Home, with its address."""
    app = AppTest.from_file(HOME, default_timeout=60)
    for key, value in {"data": "demo", **query}.items():
        app.query_params[key] = value
    if name != "overview":
        # As switch_page does after a run; that first run of the overview would take as long as the page.
        app._page_hash = calc_hash(name)
    return app.run()


def made_up_view(data: str = "a", model: str = "m", images: bool = True, threshold: float = 0.5) -> View:
    """A view of no files, for functions that only write links."""
    source = Source("checkpoint" if images else "imported", model, "", data, "", "", (), None)
    return View(source, "valid", threshold=threshold)


def words(app: AppTest) -> str:
    """All text of a page that is drawn as HTML, without the marks of the glossary's terms and of the run."""
    drawn = " ".join(block.value for block in app.html if "<style>" not in block.value)
    drawn = re.sub(r'<i data-drawn="\w*"></i>| data-expected="\w*"', "", drawn)
    return re.sub(r'<abbr class="term"[^>]*>(.*?)</abbr>', r"\1", drawn)


def end_run_after(monkeypatch, module, name: str) -> None:
    """Let the browser ask for another run once `module.name` has returned, as on a busy server.

    The run of the click ends at its next access to the session, and the click is forgotten.
    """
    do = getattr(module, name)

    def do_and_ask(*args, **kwargs):
        done = do(*args, **kwargs)
        run = get_script_run_ctx()
        run.script_requests.request_rerun(RerunData(run.query_string, page_script_hash=run.page_script_hash))
        return done

    monkeypatch.setattr(module, name, do_and_ask)
