"""The runtime is chosen by a trial: ONNX Runtime only where its scores agree with torch's and it is faster."""

import numpy as np
import pytest

from core.errors import OverreadError
from core.models.checkpoint import read_checkpoint
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from core.serving import runtime
from core.serving.decoding import Upload
from core.serving.reader import load
from core.serving.reference import made_up_views, split_of, study_measures, trial_views
from core.serving.runtime import choose_runtime, onnx_file
from tests.refusals import refused
from tests.serving.conftest import png


class Other:
    """A scorer that gives the network's outputs, and a little more."""

    def __init__(self, classifier, more):
        self.classifier, self.more = classifier, more

    def scores(self, pixels, batch_size=64):
        return self.classifier.scores(pixels, batch_size) + self.more


@pytest.fixture
def choose(checkpoint, monkeypatch):
    """Chooses a runtime where ONNX Runtime's outputs differ by `more`, and it is so many times as fast as torch."""
    classifier = load(checkpoint.folder).classifier

    def chosen(wanted="auto", more=0.0, times=2.0):
        monkeypatch.setattr(runtime, "exported", lambda checkpoint: b"")
        monkeypatch.setattr(runtime, "OnnxScorer", lambda content, threads: Other(classifier, more))
        monkeypatch.setattr(
            runtime, "radiographs_a_second", lambda scorer, _: times if isinstance(scorer, Other) else 1.0
        )
        return choose_runtime(checkpoint, classifier, wanted, lambda: made_up_views(4, classifier.spec.size))

    return chosen


def test_onnx_runtime_gives_the_scores_of_torch_and_is_named_in_the_answer(checkpoint, point, monkeypatch):
    monkeypatch.setattr(runtime, "_SECONDS", 0.01)
    first, other = load(checkpoint.folder), load(checkpoint.folder, runtime="onnx")
    assert first.model["runtime"].startswith("torch ") and other.model["runtime"].startswith("onnxruntime ")
    for seed in range(6):
        one, two = (reader.read([Upload("1", png(seed)), Upload("2", png(seed + 10))]) for reader in (first, other))
        assert one.score == pytest.approx(two.score, abs=1e-6) and one.decision == two.decision
    facts = other.runtime.to_dict()
    assert facts["largest_difference"] <= 1e-6 and set(facts["radiographs_per_second"]) == {"torch", "onnx"}
    assert other.score(np.zeros((0, 8, 8), np.uint8)).shape == (0, 1)
    assert onnx_file(checkpoint).exists()


def test_the_faster_one_is_chosen(choose):
    assert choose().name.startswith("onnxruntime") and "2.00 times" in choose().why
    slower = choose(times=0.8)
    assert slower.name.startswith("torch") and "0.80 times" in slower.why and slower.difference == 0
    assert choose("onnx", times=0.8).name.startswith("onnxruntime")
    assert choose("torch").difference is None


def test_other_scores_are_never_served(choose):
    chosen = choose(more=1e-4)
    assert chosen.name.startswith("torch") and "differs by" in chosen.why and chosen.difference > 1e-6
    assert choose(more=float("nan")).name.startswith("torch")
    with refused("runtime-unusable"):
        choose("onnx", more=1e-4)


def test_a_network_that_cannot_be_exported_is_scored_by_torch(choose, checkpoint, monkeypatch):
    choose()

    def fail(_):
        raise OverreadError("It cannot be exported.", code="onnx-export-failed")

    monkeypatch.setattr(runtime, "exported", fail)
    classifier = load(checkpoint.folder).classifier
    chosen = choose_runtime(checkpoint, classifier, "auto", lambda: made_up_views(4, 16))
    assert chosen.scorer is classifier and chosen.why == "It cannot be exported."


def test_a_damaged_file_is_not_loaded(checkpoint):
    onnx_file(checkpoint).parent.mkdir(parents=True)
    onnx_file(checkpoint).write_bytes(b"not a network")
    assert "cannot load" in load(checkpoint.folder, runtime="auto").runtime.why
    with refused("runtime-unknown"):
        load(checkpoint.folder, runtime="gpu")


def test_the_trial_takes_the_radiographs_nearest_to_the_threshold(checkpoint, tree, point):
    store_predictions(scores := predict(source_of(checkpoint, tree), ["valid"]))
    source, spec = source_of(read_checkpoint(checkpoint.folder), tree), checkpoint.input_spec
    split = split_of(source, point, spec)
    assert list(split.rows["image_id"]) == list(scores["image_id"]) and (split.places >= 0).all()
    views = trial_views(source, (point,), spec, count=8)
    assert views.shape == (8, 16, 16)
    nearest = np.argsort(np.abs(split.rows["logit"] - np.log(point.threshold / (1 - point.threshold))))[:4]
    known = {split.squares[place].tobytes() for place in split.places[nearest]}
    assert {view.tobytes() for view in views[:4]} == known
    assert trial_views(source, (), spec, count=8).shape == (8, 16, 16)
    table = study_measures(split, point.aggregation)
    assert len(table) == scores["study_id"].nunique() and table.notna().all().all()
    assert table["n_views"].sum() == len(scores)
