"""Cached functions take values, and the values are the key: a changed hash or a rewritten file gives a new result."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.index import read_dataset
from core.scores.predictions import read_file, store_predictions
from core.scores.source import Source, source_of
from core.scores.view import View
from dashboard.shared import loaders, study_tables
from dashboard.shared.cache import cached_data, cached_resource, stamp
from tests.dashboard.conftest import House, enter

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"
HELPER = DASHBOARD / "shared" / "cache.py"


def trees() -> dict[Path, ast.Module]:
    return {file: ast.parse(file.read_text()) for file in sorted(DASHBOARD.rglob("*.py")) if file != HELPER}


def test_only_the_helper_names_streamlit_s_caches():
    named = {
        file.relative_to(DASHBOARD).as_posix()
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) in ("cache_data", "cache_resource")
    }
    assert not named


def test_cached_functions_are_in_loader_modules_and_hide_no_argument_from_the_key():
    found = [
        (file, function)
        for file, tree in trees().items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any("cached_" in ast.unparse(decorator) for decorator in function.decorator_list)
    ]
    assert len(found) > 40
    for file, function in found:
        assert file.name == "loader.py" or file.parent.name == "shared", f"{file} has the cached {function.name}"
        # Streamlit leaves an argument that begins with an underscore out of the key.
        hidden = [argument.arg for argument in function.args.args if argument.arg.startswith("_")]
        assert not hidden, f"{file}: {function.name} hides {hidden}"


class Model:
    reference = "net@12345678"


SOURCE = Source("checkpoint", "net", "1" * 64, "wrists", "2" * 64, "/home", (("a", 1, 2),), Model())


@pytest.mark.parametrize("cached", [cached_data, cached_resource])
def test_sources_that_differ_get_results_of_their_own(cached):
    calls = []

    @cached()
    def counted(view: View, array: np.ndarray) -> int:
        calls.append(view)
        return len(calls)

    counted.clear()
    array = np.zeros((1000, 1000), np.uint8)
    first = counted(View(SOURCE, "valid"), array)
    assert counted(View(replace(SOURCE, model=Model()), "valid"), array.copy()) == first
    changes = [{"digest": "3" * 64}, {"index_hash": "3" * 64}, {"stamps": (("a", 2, 2),)}, {"workspace": "/other"}]
    results = {counted(View(replace(SOURCE, **change), "valid"), array) for change in changes}
    results |= {counted(View(SOURCE, *more), array) for more in (("test",), ("valid", "wrist"), ("valid", "", "max"))}
    other = array.copy()
    other[999, 999] = 1  # Streamlit's own hash of a large array is of a sample and would miss one pixel
    assert len(results | {first, counted(View(SOURCE, "valid"), other)}) == 9


def test_a_stamp_changes_when_its_file_is_written(tmp_path):
    file = tmp_path / "rows.csv"
    missing = stamp(file)
    file.write_text("a")
    assert missing.modified == 0 and stamp(file) != missing and stamp(file) == stamp(file)


def test_rewritten_scores_are_seen_at_once(built, tmp_path, monkeypatch):
    import shutil

    house = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, house.home)
    enter(house, monkeypatch)
    demo = read_dataset("demo")
    checkpoint = loaders.checkpoints()[0]["alpha"]
    before = View(source_of(checkpoint, demo), "valid")
    area = study_tables.areas(before)[0].value
    file = source_of(checkpoint, demo).scores_file
    scores = read_file(file)
    store_predictions(scores.assign(logit=-scores["logit"]))
    after = View(source_of(checkpoint, demo), "valid")
    assert after != before
    assert study_tables.areas(after)[0].value == pytest.approx(1 - area)
    pd.testing.assert_frame_equal(loaders.predictions(after.source)[["logit"]], -scores[["logit"]])


def test_a_threshold_does_not_make_the_tables_again(house):
    view = View(source_of(loaders.checkpoints()[0]["alpha"], read_dataset("demo")), "valid")
    assert study_tables.tables(view) is study_tables.tables(replace(view, threshold=0.123))
    assert loaders.studies(view)["score"].equals(loaders.studies(replace(view, threshold=0.9))["score"])
