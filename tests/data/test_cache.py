import json
import shutil

import numpy as np
import pytest

from core.data import cache as room
from core.data.cache import pixel_cache
from core.data.index import build_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.thumbnails import thumbnail
from core.errors import OverreadError

SPEC = InputSpec(32)


@pytest.fixture
def tree(mura, workspace, tmp_path):
    """A copy of the tree that may be spoilt, indexed as 'tree'."""
    root = tmp_path / "copy"
    shutil.copytree(mura, root)
    return write_dataset("tree", build_index(root))


def test_the_cache_holds_what_the_files_hold(tree):
    index = read_index("tree")
    cache = pixel_cache(tree, index, SPEC)
    for row in (0, 17, 59):
        assert (cache.pixels[row] == SPEC.pixels(f"{tree.root}/{index['path'][row]}")).all()
    assert (cache.rows_of(index["image_id"][[3, 1]]) == [3, 1]).all() and cache.rows_of(["unknown"]) == [-1]
    assert not cache.pixels.flags.writeable


def test_nothing_is_decoded_twice(tree, monkeypatch):
    index = read_index("tree")
    pixel_cache(tree, index, SPEC)
    shutil.rmtree(tree.root)
    assert pixel_cache(tree, index, SPEC).pixels.shape == (60, 32, 32)


def test_a_build_that_was_stopped_goes_on_where_it_was(tree, monkeypatch):
    index, decoded = read_index("tree"), []

    def stop_after_twenty(self, path):
        decoded.append(path)
        if len(decoded) == 20:
            raise KeyboardInterrupt
        return np.full((32, 32), 7, np.uint8)

    monkeypatch.setattr(InputSpec, "pixels", stop_after_twenty)
    with pytest.raises(KeyboardInterrupt):
        pixel_cache(tree, index, SPEC)
    before = len(decoded)
    assert not list(room.cache_folder("tree").rglob("manifest.json"))
    monkeypatch.setattr(InputSpec, "pixels", lambda self, path: decoded.append(path) or np.full((32, 32), 7, np.uint8))
    assert (pixel_cache(tree, index, SPEC).pixels == 7).all()
    # Only what was in flight when it stopped may be decoded again.
    assert 60 <= len(decoded) <= 60 + 2 * 8 and before < 60 + 8


def test_a_file_that_went_bad_is_listed_and_the_rest_goes_on(tree):
    index = read_index("tree")
    (room.Path(tree.root) / index["path"][5]).write_bytes(b"gone")
    cache = pixel_cache(tree, index, SPEC)
    assert [entry["path"] for entry in cache.failed] == [index["image_id"][5]]
    assert cache.rows_of(index["image_id"])[5] == -1 and (np.delete(cache.rows_of(index["image_id"]), 5) >= 0).all()


def test_a_file_that_comes_back_is_decoded_then(tree):
    index = read_index("tree")
    file = room.Path(tree.root) / index["path"][5]
    file.rename(file.with_suffix(".away"))
    assert pixel_cache(tree, index, SPEC).rows_of(index["image_id"])[5] == -1
    file.with_suffix(".away").rename(file)
    again = pixel_cache(tree, index, SPEC)
    assert again.failed == []
    assert (again.pixels[5] == SPEC.pixels(file)).all()


@pytest.mark.parametrize("name", ["pixels.npy", "state.npy"])
def test_a_file_without_its_header_is_begun_anew(tree, name):
    index = read_index("tree")
    folder = room.cache_folder("tree") / "pad32" / room._key(index)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"")
    assert (pixel_cache(tree, index, SPEC).pixels[9] == SPEC.pixels(f"{tree.root}/{index['path'][9]}")).all()


def test_a_sibling_that_is_damaged_is_left_alone(tree):
    folder = room.cache_folder("tree") / "pad32" / "sibling"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    assert len(pixel_cache(tree, read_index("tree"), SPEC).pixels) == 60


def test_a_disk_that_fills_up_is_an_error_and_no_bus_error(tree, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.os, "posix_fallocate", full)
    with pytest.raises(OverreadError, match="could not be written .No space left on device"):
        pixel_cache(tree, read_index("tree"), SPEC)


def test_a_folder_that_is_gone_is_one_sentence_and_leaves_no_cache(tree):
    index = read_index("tree")
    shutil.move(tree.root, tree.root + "_moved")
    with pytest.raises(OverreadError, match="None of the 60 radiographs.*index it again"):
        pixel_cache(tree, index, SPEC)
    shutil.move(tree.root + "_moved", tree.root)
    assert not pixel_cache(tree, index, SPEC).failed


def test_a_full_disk_is_one_sentence_before_anything_is_written(tree, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(OverreadError, match="needs .* MB.*free some space"):
        pixel_cache(tree, read_index("tree"), SPEC)


def test_a_new_index_makes_a_new_cache_and_drops_the_old(tree, mura):
    pixel_cache(tree, read_index("tree"), SPEC)
    folder = room.Path(tree.root) / "train/XR_ELBOW/patient00000/study1_positive"
    shutil.copy(folder / "image1.png", folder / "image7.png")
    newer = write_dataset("tree", build_index(tree.root))
    assert pixel_cache(newer, read_index("tree"), SPEC).pixels.shape[0] == 61
    assert len(list(room.cache_folder("tree").rglob("manifest.json"))) == 1


def test_a_damaged_manifest_is_one_sentence(tree):
    index = read_index("tree")
    pixel_cache(tree, index, SPEC)
    manifest = next(room.cache_folder("tree").rglob("manifest.json"))
    manifest.write_text(json.dumps({})[:1])
    with pytest.raises(OverreadError, match="Delete that folder"):
        pixel_cache(tree, index, SPEC)


def test_a_thumbnail_is_a_small_jpeg_made_once(tree):
    row = read_index("tree").iloc[0]
    first = thumbnail(tree, row["path"], row["sha1"])
    shutil.rmtree(tree.root)
    assert first[:2] == b"\xff\xd8" and first == thumbnail(tree, row["path"], row["sha1"])
