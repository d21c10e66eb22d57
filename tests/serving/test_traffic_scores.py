"""The scores of a service's traffic as imported sets: those of the network, for the studies that are indexed."""

from pathlib import Path

import pytest

from core.scores.imports import imported_predictions
from core.scores.predict import predict
from core.scores.source import find_source, source_of
from core.serving.decision_log import DecisionLog, log_table
from core.serving.reader import load
from core.serving.traffic_scores import import_traffic
from core.workflows.compare import Side, compare_sources
from tests.refusals import refused
from tests.serving.conftest import make_checkpoint
from tests.serving.test_reader import study_files


def test_both_models_of_a_service_can_be_compared(checkpoint, tree, point, tmp_path):
    other = make_checkpoint(tmp_path / "checkpoints" / "shadow", seed=3)
    log, readers = DecisionLog(tmp_path / "log"), (load(checkpoint.folder), load(other.folder))
    studies = study_files(tree)
    for files in [*studies.values(), next(iter(studies.values()))]:  # one is read again
        for reader, shadow in zip(readers, (False, True)):
            log.append(reader.read(files), shadow=shadow)
    table = log_table(log.folder)
    found = import_traffic(table, checkpoint.weights_hash, other.weights_hash, tree)
    assert found.studies == len(studies) and found.answered.dataset.startswith("tree@")
    assert checkpoint.weights_hash in found.answered.source and other.weights_hash in found.shadow.source
    for imported, model in ((found.answered, checkpoint), (found.shadow, other)):
        frame = imported_predictions(imported).set_index("image_id")
        expected = predict(source_of(model, tree), ["valid"]).set_index("image_id")
        assert list(frame.index) == list(expected.index) and list(frame["label"]) == list(expected["label"])
        assert frame["logit"].to_numpy() == pytest.approx(expected["logit"].to_numpy(), abs=1e-5)
    facts = compare_sources(*(Side(find_source(one.name, tree)) for one in (found.answered, found.shadow)))
    assert facts["n"] == len(studies)


def test_traffic_that_is_not_indexed_is_refused(checkpoint, tree, point, tmp_path):
    log, reader = DecisionLog(tmp_path / "log"), load(checkpoint.folder)
    file = Path(next(iter(study_files(tree).values()))[0])
    log.append(reader.read([file]))
    with refused("traffic-not-indexed", "tree"):
        import_traffic(log_table(log.folder), checkpoint.weights_hash, "other", tree)
