import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from core.data.input_spec import InputSpec
from core.explain.cohort import (
    Cohort,
    check_cohort,
    crop_to_body,
    mean_map,
    sample_rows,
    trust_folder,
    trust_rows,
    trust_table,
)
from core.explain.map_record import MapTask
from core.scores.classifier import Classifier
from tests.refusals import refused


class FakeCheckpoint:
    reference = "model@0123abcd"


class Middle(nn.Module):
    def forward(self, x):
        return (x[:, 0, 12:20, 12:20] ** 2).mean((1, 2))[:, None] * 6 - 3


CLASSIFIER = Classifier(Middle().eval(), InputSpec(32, mean=0.5, std=0.5), torch.device("cpu"))


def rows(count: int = 4) -> pd.DataFrame:
    names = [f"image{number}" for number in range(count)]
    bones = ["wrist", "elbow"] * count
    return pd.DataFrame({"image_id": names, "sha1": names, "label": [0.0, 1.0] * (count // 2), "bone": bones[:count]})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A workspace, with three radiographs of noise and one that is cut off."""
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path))
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 2, (32, 32)).astype(np.uint8) * 255
        Image.fromarray(pixels).save(tmp_path / f"image{seed}.png")
    (tmp_path / "image3.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    return tmp_path


@pytest.fixture
def task(home):
    """From a row and a method to the task of its map."""
    return lambda row, method: MapTask(
        "", "0123abcd", CLASSIFIER.spec.to_json(), ((str(home / f"{row['image_id']}.png"), row["sha1"]),), method
    )


def test_a_stopped_check_continues_and_survives_a_truncated_line(task):
    made = []
    stop_after_three = lambda: len(made) >= 3  # noqa: E731

    def progress(done, total, what):
        made.append(what)

    arguments = (FakeCheckpoint(), CLASSIFIER, Cohort(rows(), task), ("saliency", "occlusion"), (0.9, 0.8))
    first = check_cohort(*arguments, progress=progress, cancelled=stop_after_three)
    assert 0 < len(first) < 6 and "maps checked" not in made
    file = next(trust_folder(FakeCheckpoint()).iterdir())
    kept = file.read_text()
    file.write_text(kept + kept.splitlines()[0][:40])  # a power failure in the middle of a line
    done = check_cohort(*arguments)
    # Three readable radiographs and two methods; the unreadable radiograph is skipped.
    assert len(done) == 6 and set(done["image_id"]) == {"image0", "image1", "image2"}
    assert file.read_text().startswith(kept)
    size = file.stat().st_size
    again = check_cohort(*arguments)
    assert file.stat().st_size == size and again.equals(done)
    assert len(trust_rows(FakeCheckpoint())) == 6


def test_a_refused_method_is_a_row_with_the_reason(task):
    found = check_cohort(FakeCheckpoint(), CLASSIFIER, Cohort(rows(2), task), ("guided_backprop",))
    assert found["refused"].str.contains("is refused").all()
    table = trust_table(found)
    assert table.loc[0, "verdict"] == "do not use" and "is refused" in table.loc[0, "why"]


def test_an_unknown_method_is_refused(task):
    with refused("saliency-method-unknown", "'tea_leaves'"):
        check_cohort(FakeCheckpoint(), CLASSIFIER, Cohort(rows(2), task), ("tea_leaves",))


def test_the_sample_is_deterministic_and_covers_both_labels_and_every_bone():
    count = 400
    frame = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "label": [float(number % 10 == 0) for number in range(count)],
            "bone": ["elbow" if number < 8 else "wrist" for number in range(count)],
        }
    )
    taken = sample_rows(frame, 20)
    assert len(taken) == 20 and (taken["label"] == 1).sum() == 10 and {"elbow", "wrist"} == set(taken["bone"])
    assert sample_rows(frame.sample(frac=1, random_state=1), 20)["image_id"].tolist() == taken["image_id"].tolist()
    assert sample_rows(frame.assign(label=np.nan), 20).empty


def test_the_table_equals_counts_by_hand():
    base = {"refused": None, "randomisation": 0.1, "stability": 0.9, "outside": 0.2, "seconds": 1.0}
    base |= {"model": 0.8, "model_low": 0.7, "verdict": "do not trust"}
    frame = pd.DataFrame(
        [
            {**base, "method": "a", "better_than_edges": True, "edges": 0.5, "pointing": 1.0, "chance": 0.1}
            | {"verdict": "holds up"},
            {**base, "method": "a", "better_than_edges": True, "edges": 0.3, "pointing": 0.0, "chance": 0.3},
            {**base, "method": "a", "better_than_edges": None, "edges": None, "pointing": None, "chance": None},
            {**base, "method": "b", "better_than_edges": False, "edges": -0.2, "pointing": None, "chance": None},
            {**base, "method": "c", "better_than_edges": True, "edges": 0.2, "pointing": None, "chance": None}
            | {"randomisation": 0.8},
        ]
    )
    table = trust_table(frame).set_index("method")
    assert table.loc["a", ["n", "judged", "better", "pointed", "hits"]].tolist() == [3, 2, 2, 2, 1]
    assert table.loc["a", ["held", "held_hits"]].tolist() == [1, 1] and table.loc["b", "held"] == 0
    assert table.loc["a", "chance"] == pytest.approx(0.2) and table.loc["a", "advantage"] == pytest.approx(0.4)
    assert table["verdict"].to_dict() == {"a": "usable", "b": "do not use", "c": "do not use"}
    assert "shuffled weights" in table.loc["c", "why"] and "0 of 1" in table.loc["b", "why"]


@pytest.mark.parametrize(("value", "low"), [(0.55, 0.46), (0.608, 0.552), (0.7, None), (None, None)])
def test_no_method_is_usable_on_a_network_without_a_sufficient_auroc(value, low):
    """Occlusion finds what moves the score of random weights too, so beating the edges does not make it usable."""
    row = {"method": "occlusion", "refused": None, "better_than_edges": True, "edges": 0.5, "randomisation": 0.1}
    row |= {name: None for name in ("stability", "outside", "pointing", "chance", "seconds", "verdict")}
    table = trust_table(pd.DataFrame([{**row, "model": value, "model_low": low}] * 3))
    assert table.loc[0, "verdict"] == "do not use" and "network" in table.loc[0, "why"]
    known = trust_table(pd.DataFrame([{**row, "model": 0.8, "model_low": 0.7}] * 3))
    assert known.loc[0, "verdict"] == "usable"


def test_maps_are_cropped_to_the_body_and_averaged():
    pixels = np.zeros((100, 100), np.uint8)
    pixels[20:60, 30:90] = 150
    found = np.zeros((100, 100))
    found[20:40, 30:60] = 2.0  # the upper left quarter of the body
    framed = crop_to_body(found, pixels)
    assert framed.shape == (64, 64)
    assert framed[4:28, 4:28].min() > 0.9 and np.abs(framed[36:, 36:]).max() < 0.1
    moved = np.roll(pixels, (25, -20), (0, 1)), np.roll(found, (25, -20), (0, 1))
    mean, film = mean_map([(found, pixels), (moved[1], moved[0])])
    assert np.abs(mean - framed).mean() < 0.05 and film.max() > 0.9
    assert not mean_map([])[0].any()
