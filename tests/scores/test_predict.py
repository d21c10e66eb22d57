import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from core.data.index import build_index, read_dataset, read_index, write_dataset
from core.data.source_rows import SourceTables
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights
from core.models.networks import build
from core.scores.classifier import Classifier, padded_length
from core.scores.loading import find_scores, split_scores
from core.scores.predict import predict
from core.scores.predictions import read_file, store_predictions
from core.scores.source import source_of
from core.scores.stored_scores import effective_splits, read_predictions
from core.training.recipe import Recipe
from tests.refusals import refused

RECIPE = Recipe("tiny", "small_cnn", {"width": 2, "hidden": 4}, size=16)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def checkpoint(tmp_path, tree):
    return untrained(tmp_path / "checkpoints" / "tiny", RECIPE)


def untrained(folder, recipe, learned=None):
    """A complete checkpoint with random weights that records the rows of `learned` as its training data."""
    torch.manual_seed(0)
    learned = pd.DataFrame({"sha1": [], "part": []}, dtype="str") if learned is None else learned
    manifest = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec(), learned)
    save_weights(folder, manifest, build(recipe.architecture, recipe.model_kwargs).state_dict())
    return read_checkpoint(folder)


def test_a_checkpoint_trained_on_other_data_scores_everything(checkpoint, tree):
    scores = predict(source_of(checkpoint, tree))
    assert len(scores) == 60
    assert set(scores["split"]) == {"train", "valid"}


def test_a_checkpoint_trained_on_this_data_scores_what_it_was_not_trained_on(tmp_path, tree):
    own = untrained(tmp_path / "own", RECIPE, learned_of(read_index("tree")))
    assert set(predict(source_of(own, tree))["split"]) == {"tune", "valid"}
    assert set(predict(source_of(own, tree), ["train"])["split"]) == {"train"}


def learned_of(index, fold=1):
    """The record that training with this holdout fold would write."""
    train = index[index["split"] == "train"]
    return train.assign(part=np.where(train["fold"] == fold, "tune", "train"))


def test_training_radiographs_are_never_valid_however_they_are_indexed(tmp_path, tree, mura):
    """The same files as a list without splits, and one more radiograph of a known patient."""
    own = untrained(tmp_path / "own", RECIPE, learned_of(read_index("tree")))
    before = read_index("tree")
    patient = before[before["split"] == "train"].iloc[0]
    Image.new("L", (40, 40), 99).save(tmp_path / "new.png")
    rows = [f"{mura / row.path},{row.bone},{row.label:g},{row.patient_id}" for row in before.itertuples()]
    rows.append(f"{tmp_path / 'new.png'},{patient.bone},{patient.label:g},{patient.patient_id}")
    (tmp_path / "labels.csv").write_text("path,bone,label,patient\n" + "\n".join(rows))
    for seed in range(3):
        write_dataset("again", build_index(tmp_path, SourceTables(allow_outside=True), seed=seed))
        index = read_index("again")
        split = effective_splits(index, own)
        dealt_valid = index["split"] == "valid"
        learned = index["sha1"].isin(own.learned().index)
        assert (dealt_valid & learned).any()
        assert set(split[learned]) == {"train", "tune"}
        assert set(split[~learned & (index["patient_id"] == patient.patient_id)]) <= {"train", "tune"}
        scored = predict(source_of(own, read_dataset("again")))
        assert not scored["image_id"].isin(index.loc[learned & (split == "train"), "image_id"]).any()


def test_a_score_of_train_is_not_mistaken_for_a_result(checkpoint, tree):
    store_predictions(predict(source_of(checkpoint, tree), ["train"]))
    frame, used = split_scores(find_scores("tiny", "tree"))
    assert used == "valid"
    assert set(frame["split"]) == {"valid"}


def test_a_table_of_another_kind_is_not_replaced(checkpoint, tree, tmp_path):
    pd.DataFrame({"note": ["mine"]}).to_parquet(tmp_path / "notes.parquet")
    with refused("not-predictions", "note"):
        store_predictions(predict(source_of(checkpoint, tree)), tmp_path / "notes.parquet")
    assert pd.read_parquet(tmp_path / "notes.parquet")["note"].tolist() == ["mine"]


def test_an_unknown_split_is_refused_even_with_a_known_one(checkpoint, tree):
    with refused("split-unknown", "foo"):
        predict(source_of(checkpoint, tree), ["foo", "valid"])


def test_scores_of_a_renamed_set_merge_under_one_name(checkpoint, tree, mura, tmp_path):
    out = tmp_path / "scores.parquet"
    store_predictions(predict(source_of(checkpoint, tree), ["train"]), out)
    renamed = write_dataset("renamed", build_index(mura, folds=4))
    store_predictions(predict(source_of(checkpoint, renamed), ["valid"]), out)
    assert read_file(out)["dataset"].nunique() == 1
    assert len(read_file(out)) == 60


def test_scores_are_stored_for_the_model_and_the_data_set_that_they_name(checkpoint, tree, mura):
    renamed = source_of(checkpoint, write_dataset("renamed", build_index(mura, folds=4)))
    here, there = predict(source_of(checkpoint, tree), ["train"]), predict(renamed, ["valid"])
    assert store_predictions(there) == renamed.scores_file
    assert read_predictions(source_of(checkpoint, tree)) is None
    for several, found in ((pd.concat([here, there]), "renamed@"), (there.head(0), "no checkpoint")):
        with refused("scores-of-several-sources", found):
            store_predictions(several)


def test_scores_in_a_csv_file_are_the_same_to_the_last_digit(checkpoint, tree, tmp_path):
    out = tmp_path / "scores.csv"
    scored = predict(source_of(checkpoint, tree), ["train"])
    scored.loc[0, "patient_id"] = "=NA()"
    store_predictions(scored, out)
    assert out.read_text().startswith("image_id,") and "'=NA()" in out.read_text()
    pd.testing.assert_frame_equal(read_file(out), scored, check_dtype=False, check_exact=True)
    store_predictions(predict(source_of(checkpoint, tree), ["valid"]), out)
    assert set(read_file(out)["split"]) == {"train", "valid"} and len(read_file(out)) == 60
    assert split_scores(find_scores(str(out)), split="valid")[1] == "valid"
    (tmp_path / "labels.csv").write_text("path,label\na.png,1\n")
    with refused("not-predictions", "label"):
        store_predictions(scored, tmp_path / "labels.csv")
    with refused("scores-file-unknown", ".xlsx"):
        store_predictions(scored, tmp_path / "scores.xlsx")


def test_an_unreadable_radiograph_is_left_out_and_the_rest_scored(checkpoint, mura, tmp_path, workspace):
    import shutil

    shutil.copytree(mura, tmp_path / "copy")
    other = write_dataset("copy", build_index(tmp_path / "copy"))
    (tmp_path / "copy/valid/XR_ELBOW/patient00022/study1_negative/image1.png").write_bytes(b"gone")
    scores = predict(source_of(checkpoint, other))
    assert len(scores) == 59
    assert [entry["path"] for entry in scores.attrs["left_out"]] == [
        "valid/XR_ELBOW/patient00022/study1_negative/image1.png"
    ]


def test_scores_do_not_depend_on_the_batch(checkpoint, tree):
    classifier = Classifier(build("small_cnn").eval(), checkpoint.input_spec, torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 16, 16)).astype(np.uint8)
    assert classifier.logits(pixels, 64) == pytest.approx(classifier.logits(pixels, 7), abs=1e-5)
    assert classifier.logits(pixels[:0]).shape == (0,)


def test_stored_scores_are_found_only_for_their_weights_and_index(checkpoint, tree, mura):
    store_predictions(predict(source_of(checkpoint, tree), ["valid"]))
    store_predictions(predict(source_of(checkpoint, tree), ["train"]))
    stored = read_predictions(source_of(checkpoint, tree))
    assert len(stored) == 60
    assert not stored["image_id"].duplicated().any()
    assert read_predictions(source_of(checkpoint, write_dataset("tree", build_index(mura, folds=5)))) is None


def test_scores_in_a_checkpoint_belong_to_a_renamed_data_set_too(checkpoint, tree, mura):
    store_predictions(predict(source_of(checkpoint, tree)), checkpoint.folder / "predictions.parquet")
    renamed = write_dataset("renamed", build_index(mura, folds=4))
    assert len(read_predictions(source_of(checkpoint, renamed))) == 60


def test_a_damaged_score_file_is_named_and_replaced(checkpoint, tree):
    store_predictions(predict(source_of(checkpoint, tree)))
    file = source_of(checkpoint, tree).scores_file
    file.write_bytes(file.read_bytes()[:100])
    with refused("predictions-unreadable"):
        read_file(file)
    store_predictions(predict(source_of(checkpoint, tree)))
    assert len(read_file(file)) == 60


def test_the_named_split_is_the_one_that_is_read(checkpoint, tree, tmp_path):
    frame, used = split_scores(find_scores("tiny", "tree"))
    assert used == "valid"
    assert len(frame) == 16
    assert split_scores(find_scores("tiny", "tree"), "train")[1] == "train"
    with refused("split-unknown", "test"):
        split_scores(find_scores(str(source_of(checkpoint, tree).scores_file)), split="test")
    with refused("checkpoint-without-scores", "--data"):
        split_scores(find_scores("tiny"))
    with refused("split-unknown", "test"):
        predict(source_of(checkpoint, tree), ["test"])
    with refused("predictions-missing"):
        split_scores(find_scores(str(tmp_path / "none.parquet")))


def test_a_gpu_sees_few_lengths_of_batches():
    assert [padded_length(count, 256) for count in (1, 2, 3, 17, 129, 256)] == [1, 2, 4, 32, 256, 256]
    assert padded_length(20, 24) == 24 and {padded_length(count, 32) for count in range(1, 33)} == {1, 2, 4, 8, 16, 32}
