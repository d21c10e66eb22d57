import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import decode
from core.data.cache import pixel_cache
from core.data.index import build_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.pixels import read_grey
from core.data.thumbnails import thumbnail
from core.paths import cache_folder
from tests.refusals import refused

SPEC = InputSpec(32)


@pytest.fixture
def tree(mura, workspace, tmp_path):
    """A copy of the tree that tests may damage, indexed as 'tree'."""
    root = tmp_path / "copy"
    shutil.copytree(mura, root)
    return write_dataset("tree", build_index(root))


def test_the_cache_has_the_pixels_of_the_files(tree):
    index = read_index("tree")
    cache = pixel_cache(tree, index, SPEC)
    for place in (0, 17, 59):
        row = cache.rows_of([index["image_id"][place]])[0]
        assert (cache.pixels[row] == SPEC.pixels(f"{tree.root}/{index['path'][place]}")).all()
    assert cache.rows_of(["unknown"]) == [-1]
    assert not cache.pixels.flags.writeable


def test_nothing_is_decoded_twice(tree, monkeypatch):
    index = read_index("tree")
    pixel_cache(tree, index, SPEC)
    shutil.rmtree(tree.root)
    assert pixel_cache(tree, index, SPEC).pixels.shape == (60, 32, 32)


def test_any_part_of_a_set_uses_the_same_array(tree):
    index = read_index("tree")
    part = index[20:30].reset_index(drop=True)
    pixel_cache(tree, part, SPEC)
    whole, again = pixel_cache(tree, index, SPEC), pixel_cache(tree, part, SPEC)
    assert len(list(cache_folder("tree").rglob("pixels.npy"))) == 1
    for image_id, path in zip(index["image_id"], index["path"]):
        assert (whole.pixels[whole.rows_of([image_id])[0]] == SPEC.pixels(f"{tree.root}/{path}")).all()
    assert (again.rows_of(part["image_id"]) == whole.rows_of(part["image_id"])).all()
    assert (again.rows_of(index["image_id"][:20]) == -1).all()


def test_a_copy_of_a_file_shares_its_row(tree):
    index = read_index("tree")
    shutil.copy(f"{tree.root}/{index['path'][0]}", f"{tree.root}/{index['path'][1]}")
    tree = write_dataset("tree", build_index(tree.root))
    index = read_index("tree")
    cache = pixel_cache(tree, index, SPEC)
    rows = cache.rows_of(index["image_id"])
    assert rows[0] == rows[1] and len(cache.pixels) == 59


def test_numpy_opens_the_array_and_the_manifest_has_its_size(tree):
    pixel_cache(tree, read_index("tree"), SPEC)
    array = np.load(only("pixels.npy"), mmap_mode="r")
    facts = json.loads(only("manifest.json").read_text())
    assert array.shape == (60, 32, 32) and array.dtype == np.uint8
    assert facts["images"] == 60 and facts["bytes"] == array.nbytes and facts["fit"] == "pad"


def test_a_damaged_file_is_listed_and_the_others_are_decoded(tree):
    index = read_index("tree")
    (Path(tree.root) / index["path"][5]).write_bytes(b"gone")
    cache = pixel_cache(tree, index, SPEC)
    assert [entry["path"] for entry in cache.failed] == [index["image_id"][5]]
    assert "changed since it was indexed" in cache.failed[0]["reason"]
    assert cache.rows_of(index["image_id"])[5] == -1 and (np.delete(cache.rows_of(index["image_id"]), 5) >= 0).all()


def test_a_restored_file_is_decoded(tree):
    index = read_index("tree")
    file = Path(tree.root) / index["path"][5]
    file.rename(file.with_suffix(".away"))
    gone = pixel_cache(tree, index, SPEC)
    assert gone.rows_of(index["image_id"])[5] == -1 and gone.failed[0]["reason"] == "the file does not exist"
    file.with_suffix(".away").rename(file)
    again = pixel_cache(tree, index, SPEC)
    assert again.failed == []
    assert (again.pixels[again.rows_of(index["image_id"])[5]] == SPEC.pixels(file)).all()


def test_folders_of_an_older_version_are_removed(tree):
    folder = cache_folder("tree") / "pad32" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    assert len(pixel_cache(tree, read_index("tree"), SPEC).pixels) == 60
    assert not folder.exists()


def test_a_missing_folder_is_refused(tree):
    index = read_index("tree")
    shutil.move(tree.root, tree.root + "_moved")
    with refused("no-readable-radiograph", "None of the 60 radiographs"):
        pixel_cache(tree, index, SPEC)
    shutil.move(tree.root + "_moved", tree.root)
    assert not pixel_cache(tree, index, SPEC).failed


def test_only_added_files_are_decoded(tree, monkeypatch):
    pixel_cache(tree, read_index("tree"), SPEC)
    folder = Path(tree.root) / "train/XR_ELBOW/patient00000/study1_positive"
    Image.fromarray(np.full((40, 50), 9, np.uint8)).save(folder / "image7.png")
    newer, read = write_dataset("tree", build_index(tree.root)), []
    monkeypatch.setattr(decode, "read_grey", lambda path, data: read.append(path) or read_grey(path, data))
    assert len(pixel_cache(newer, read_index("tree"), SPEC).pixels) == 61
    assert read == [folder / "image7.png"]


def test_changed_files_are_decoded_again_and_their_old_rows_removed(tree):
    index = read_index("tree")
    before = pixel_cache(tree, index, SPEC)
    first = before.pixels[before.rows_of(index["image_id"][:1])[0]].copy()
    for path in index["path"][:40]:
        Image.fromarray(255 - np.asarray(Image.open(f"{tree.root}/{path}"))).save(f"{tree.root}/{path}")
    tree = write_dataset("tree", build_index(tree.root))
    after = pixel_cache(tree, read_index("tree"), SPEC)
    assert len(after.pixels) == 60 and not after.failed
    for image_id, path in zip(index["image_id"], index["path"]):
        assert (after.pixels[after.rows_of([image_id])[0]] == SPEC.pixels(f"{tree.root}/{path}")).all()
    # An array that was opened before still has its old rows.
    assert (before.pixels[before.rows_of(index["image_id"][:1])[0]] == first).all()


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_pad_and_crop_keep_the_aspect_ratio(workspace, tmp_path, fit):
    disc = (np.hypot(*np.mgrid[-60:60, -100:100]) < 50).astype(np.uint8) * 255
    for split in ("train", "valid"):
        for patient, label in enumerate(("positive", "negative")):
            file = (
                tmp_path / f"MURA-v1.1/{split}/XR_HAND/patient{patient}{split == 'valid':d}/study1_{label}/image1.png"
            )
            file.parent.mkdir(parents=True)
            disc[0, 0] = 10 * patient + (split == "valid")
            Image.fromarray(disc).save(file)
    made = write_dataset("disc", build_index(tmp_path / "MURA-v1.1", folds=2))
    square = pixel_cache(made, read_index("disc"), InputSpec(64, fit)).pixels[0] > 127
    width, height = square.any(axis=0).sum(), square.any(axis=1).sum()
    assert abs(int(width) - int(height)) <= 1 and width > 20


def test_a_thumbnail_is_made_in_the_same_pass(tree):
    index = read_index("tree")
    pixel_cache(tree, index, SPEC)
    shutil.rmtree(tree.root)
    for path, sha1 in zip(index["path"], index["sha1"]):
        assert thumbnail(tree, path, sha1)[:2] == b"\xff\xd8"


def test_a_thumbnail_is_a_small_jpeg_made_once(tree):
    row = read_index("tree").iloc[0]
    first = thumbnail(tree, row["path"], row["sha1"])
    shutil.rmtree(tree.root)
    assert first[:2] == b"\xff\xd8" and first == thumbnail(tree, row["path"], row["sha1"])


def only(name: str) -> Path:
    """The one file of that name in the cache."""
    (file,) = cache_folder("tree").rglob(name)
    return file
