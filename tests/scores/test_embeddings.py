"""Feature vectors, and the most similar studies compared with a search by hand."""

import numpy as np
import pandas as pd
import pytest

from core.data.index import build_index, write_dataset
from core.models.networks import build
from core.scores.classifier import load_classifier
from core.scores.embeddings import (
    Embeddings,
    compute_embeddings,
    embeddings_files,
    features,
    neighbours,
    neighbours_sentence,
    read_embeddings,
)
from core.scores.source import source_of
from tests.dashboard.conftest import write_checkpoint


@pytest.fixture
def pair(workspace, mura, tmp_path):
    dataset = write_dataset("tree", build_index(mura, folds=4))
    return write_checkpoint(tmp_path / "checkpoints" / "net", dataset, seed=1), dataset


def test_features_are_the_input_of_the_last_layer(pair):
    classifier = load_classifier(pair[0], "cpu")
    pixels = np.random.default_rng(0).integers(0, 255, (5, 32, 32)).astype(np.uint8)
    seen = features(classifier, pixels, np.array([3, 1, 4]))
    head = classifier.model.get_classifier()
    logits = seen @ head.weight.detach().numpy()[0] + head.bias.detach().numpy()[0]
    np.testing.assert_allclose(logits, classifier.logits(pixels[[3, 1, 4]]), rtol=1e-4, atol=1e-5)
    assert not head._forward_pre_hooks


@pytest.mark.parametrize("architecture", ["resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_any_family_has_features(architecture):
    from types import SimpleNamespace

    import torch

    from core.data.input_spec import InputSpec

    size = 224 if architecture.startswith("vit") else 64
    spec = InputSpec(size, "pad", 0.5, 0.25)
    model = build(architecture).eval()

    def tensor(pixels):
        return torch.from_numpy(pixels).unsqueeze(1).float() / 255

    fed = SimpleNamespace(model=model, spec=spec, device=torch.device("cpu"), tensor=tensor)
    seen = features(fed, np.zeros((2, size, size), np.uint8), np.arange(2))
    assert seen.shape == (2, model.num_features) or seen.shape[1] == model.get_classifier().in_features


def test_stored_vectors_are_read_and_half_written_ones_are_not(pair):
    assert read_embeddings(source_of(*pair)) is None
    made = compute_embeddings(source_of(*pair))
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1, rtol=1e-5)
    again = read_embeddings(source_of(*pair))
    np.testing.assert_array_equal(again.vectors, made.vectors)
    pd.testing.assert_frame_equal(again.rows, made.rows)
    vectors, _ = embeddings_files(source_of(*pair))
    vectors.write_bytes(vectors.read_bytes()[:200])
    assert read_embeddings(source_of(*pair)) is None


def test_neighbours_are_those_of_a_search_by_hand():
    random = np.random.default_rng(1)
    vectors = random.normal(size=(600, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    study = np.arange(600) // 3
    rows = pd.DataFrame(
        {
            "image_id": [f"i{place:03}" for place in range(600)],
            "study_id": [f"s{place}" for place in study],
            "group_id": [f"p{place // 2}" for place in study],
            "bone": [("hand", "wrist")[place % 2] for place in study],
            "label": np.where(study % 7 == 0, np.nan, study % 3 == 0),
            "path": "a.png",
            "sha1": "0",
            "split": np.where(study < 150, "train", np.where(study < 160, "tune", "valid")),
        }
    )
    own = 170
    best = {}
    for place in range(600):
        other = study[place]
        same_patient, same_bone = other // 2 == own // 2, other % 2 == own % 2
        if other < 160 and other % 7 and same_bone and not same_patient:
            alike = max(float(vectors[place] @ vectors[mine]) for mine in range(600) if study[mine] == own)
            best[f"s{other}"] = max(best.get(f"s{other}", -1), alike)
    wanted = sorted(best, key=lambda name: -best[name])[:10]
    found = neighbours(Embeddings(rows, vectors), f"s{own}")
    assert found["study_id"].tolist() == wanted
    np.testing.assert_allclose(found["similarity"], [best[name] for name in wanted], rtol=1e-5)
    normal = int((found["label"] == 0).sum())
    most = max(normal, 10 - normal)
    assert neighbours_sentence(found).startswith(f"{most} of the 10 most similar")
    assert neighbours(Embeddings(rows, vectors), "nobody").empty
