"""Kept maps: whole after every damage, bounded in size, and the same figures whenever they are made."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.data.input_spec import InputSpec
from core.explain import map_store
from core.explain.make_maps import MapMaker, make_records
from core.explain.map_record import MapKey, MapRecord, MapTask
from core.explain.map_values import Attribution
from core.explain.method_list import METHOD_LIST
from core.explain.methods import METHODS
from core.explain.trust_report import Check
from core.scores.classifier import Classifier

SPEC = InputSpec(32, mean=0.5, std=0.5)
KNOWN = (0.9, 0.8)


class Middle(nn.Module):
    """The logit is the contrast in the middle, with a weight that can be shuffled."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.rand(8, 8) + 0.5)

    def forward(self, x):
        return (x[:, 0, 12:20, 12:20] ** 2 * self.weight).mean((1, 2))[:, None] * 6 - 3


CLASSIFIER = Classifier(Middle().eval(), SPEC, torch.device("cpu"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path))
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 2, (32, 32)).astype(np.uint8) * 255
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    return tmp_path


def task_of(home, *numbers: int, method: str = "smooth_grad", aggregation: str = "") -> MapTask:
    files = tuple((str(home / f"{number}.png"), f"sha{number}") for number in numbers)
    return MapTask("", "d" * 64, SPEC.to_json(), files, method, aggregation=aggregation)


def record_of(number: int) -> MapRecord:
    values = np.full((32, 32), number, np.float32)
    return MapRecord(
        MapKey("d" * 64, "{}", f"sha{number}", "saliency"),
        Attribution("saliency", values, 1.5, "this radiograph's logit", "a note"),
        checks=(Check("edges", 0.4, float("nan"), True, "better"),),
        better_than_edges=True,
        curves={"map": {"insertion": [0.1, 0.9]}},
        network=KNOWN,
    )


def files_of(record: MapRecord):
    folder = map_store.maps_folder() / record.key.digest[:16]
    return folder / f"{record.key.name}.json", folder / f"{record.key.name}.npz"


def test_a_record_is_read_as_it_was_written():
    before = map_store.write_record(record_of(1))
    after = map_store.read_record(before.key, KNOWN)
    assert (after.attribution.map == before.attribution.map).all() and after.verdict == "holds up"
    assert after.to_dict() == before.to_dict() and np.isnan(after.attribution.gap)
    with pytest.raises(ValueError, match="read-only"):
        after.attribution.map[0, 0] = 5


def test_the_verdict_needs_the_network_and_not_the_finding():
    record = map_store.write_record(record_of(1))
    assert map_store.read_record(record.key, None).verdict == "do not trust"
    assert "no known AUROC" in map_store.read_record(record.key, None).why
    assert map_store.read_record(record.key, (0.7, 0.55)).verdict == "do not trust"
    finding = np.zeros((32, 32), bool)
    finding[30:, 30:] = True
    report = record.report_with(finding)
    assert not {check.name: check.passed for check in report.checks}["pointing"]
    assert report.verdict == record.verdict == "holds up" and not report.failed


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("which", [0, 1])
def test_a_record_with_one_changed_byte_is_made_again(which, place):
    record = map_store.write_record(record_of(1))
    file = files_of(record)[which]
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 2
    file.write_bytes(bytes(data))
    assert map_store.read_record(record.key, KNOWN) is None
    assert not any(one.exists() for one in files_of(record))
    map_store.write_record(record)
    assert map_store.read_record(record.key, KNOWN).verdict == "holds up"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"sha256": 1}'])
def test_a_file_that_is_no_record_is_removed(text):
    record = map_store.write_record(record_of(1))
    files_of(record)[0].write_text(text)
    assert map_store.read_record(record.key, KNOWN) is None and not files_of(record)[0].exists()


def test_the_records_used_longest_ago_are_removed_first():
    records = [map_store.write_record(record_of(number)) for number in range(10)]
    for number, record in enumerate(records):
        os.utime(files_of(record)[0], (number, number))
    map_store.read_record(records[0].key, KNOWN)  # used now
    size = sum(file.stat().st_size for record in records for file in files_of(record))
    assert map_store.prune(size) == 0
    assert map_store.prune(size * 0.75) == 4
    kept = [number for number, record in enumerate(records) if map_store.read_record(record.key, KNOWN)]
    assert kept == [0, 5, 6, 7, 8, 9]


def test_a_workspace_keeps_its_bound(monkeypatch):
    monkeypatch.setenv("OVERREAD_MAPS_MB", "0.02")
    for number in range(120):
        map_store.write_record(record_of(number))
    # Looked at every 50 records, each of less than 2 kB.
    assert sum(file.stat().st_size for file in map_store.maps_folder().rglob("*.*")) < 0.02e6 + 50 * 2000


def test_two_runs_make_the_same_map_and_the_same_figures(home):
    """SmoothGrad draws noise, and the checks draw orders and shuffles: all from the key."""
    task = task_of(home, 0)
    (first,) = make_records(CLASSIFIER, task, KNOWN)
    for file in files_of(first):
        file.unlink()
    torch.manual_seed(77)
    np.random.seed(77)  # noqa: NPY002
    (second,) = make_records(CLASSIFIER, task, KNOWN)
    assert second is not first and (second.attribution.map == first.attribution.map).all()
    assert second.to_dict() == first.to_dict()
    (other,) = make_records(CLASSIFIER, task_of(home, 1), KNOWN)
    assert other.key.seed != first.key.seed


def test_a_kept_record_is_not_made_again(home):
    task = task_of(home, 0)
    make_records(CLASSIFIER, task, KNOWN)
    (home / "0.png").unlink()  # nothing can be made without it
    assert make_records(CLASSIFIER, task, KNOWN)[0].complete


def test_the_map_is_kept_before_its_checks(home):
    task = task_of(home, 0)
    maker = MapMaker(CLASSIFIER, task)
    maker.make_maps()
    (key,) = task.keys
    waiting = map_store.read_record(key, KNOWN)
    assert waiting.verdict == "not checked yet" and waiting.report is None and waiting.attribution.map.any()
    parts = 1
    while not maker.make_part_of_checks(0):
        assert not map_store.read_record(key, KNOWN).complete
        parts += 1
    assert parts == 3 and map_store.read_record(key, KNOWN).complete


def test_cancelled_checks_continue_with_the_part_that_was_cancelled(home):
    from core.explain.attribution_target import MapCancelled

    calls = []
    maker = MapMaker(CLASSIFIER, task_of(home, 0), lambda: calls.append(1) or len(calls) == 8)
    maker.make_maps()
    made, cancelled = [], 0
    while not made or not made[-1]:
        try:
            made.append(maker.make_part_of_checks(0))
        except MapCancelled:
            cancelled += 1
    assert cancelled == 1 and made == [False, False, True]


def test_the_views_of_a_study_have_one_record_each_and_share_a_seed(home):
    task = task_of(home, 0, 1, 2, method="saliency", aggregation="mean")
    records = make_records(CLASSIFIER, task, KNOWN)
    assert [record.key.sha1 for record in records] == ["sha0", "sha1", "sha2"]
    assert len({record.key.seed for record in records}) == 1 and all(record.complete for record in records)
    assert records[0].key != task_of(home, 0, method="saliency").keys[0]
    assert "the study's score" in records[0].attribution.explains


def test_the_list_of_methods_describes_every_method():
    assert list(METHOD_LIST) == list(METHODS)
    assert all(METHODS[name].call.__doc__.splitlines()[0] == facts.line for name, facts in METHOD_LIST.items())


def test_a_record_is_no_pickle():
    record = map_store.write_record(record_of(1))
    with np.load(files_of(record)[1], allow_pickle=False) as opened:
        assert opened.files == ["map"] and opened["map"].dtype == np.float32
    assert json.loads(files_of(record)[0].read_text())["format"] == 1
