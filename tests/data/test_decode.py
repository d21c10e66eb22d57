import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.data import decode as room
from core.data import measure_store, pixel_store, thumbnails
from core.data.cache import pixel_cache
from core.data.decode import decode, pixels_folder
from core.data.index import build_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.pixels import read_grey
from core.errors import OverreadError
from core.paths import cache_folder

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = InputSpec(32)
# Builds with a row counted every eight files, slowly enough to be hit in the middle.
SLOW_BUILD = """
import time
from core.data import decode
from core.data.cache import pixel_cache
from core.data.index import read_dataset, read_index
from core.data.input_spec import InputSpec
read = decode.read_grey
decode._COMMIT_EVERY = 8
decode.read_grey = lambda path, data: (time.sleep(.02), read(path, data))[1]
pixel_cache(read_dataset("tree"), read_index("tree"), InputSpec(32))
"""


@pytest.fixture
def tree(mura, workspace, tmp_path):
    """A copy of the tree that may be spoilt, indexed as 'tree'."""
    shutil.copytree(mura, tmp_path / "copy")
    return write_dataset("tree", build_index(tmp_path / "copy"))


@pytest.fixture
def reads(monkeypatch) -> list:
    """Every file that is decoded, as it is."""
    read = []
    monkeypatch.setattr(room, "read_grey", lambda path, data: read.append(path) or read_grey(path, data))
    return read


def test_each_file_is_decoded_once_for_everything(tree, reads):
    index = read_index("tree")
    found = decode(tree, index, SPEC, thumbnail=True)
    assert (found.files, found.failed) == (60, {}) and len(reads) == 60
    assert thumbnails.made(tree) == set(index["sha1"])
    assert decode(tree, index, SPEC, thumbnail=True).files == 0 and len(reads) == 60


def test_what_is_missing_alone_is_made(tree, reads):
    index = read_index("tree")
    decode(tree, index[:40], SPEC)
    for sha1 in index["sha1"][:7]:
        thumbnails.thumbnail_file(tree, sha1).unlink()
    decode(tree, index[:40], SPEC)  # thumbnails are not asked for
    assert len(reads) == 40
    decode(tree, index, SPEC, thumbnail=True)
    assert len(reads) == 40 + 20 + 7


def test_a_copy_stands_in_for_a_file_that_is_gone(tree):
    first, second = read_index("tree")["path"][:2]
    shutil.copy(f"{tree.root}/{first}", f"{tree.root}/{second}")
    tree = write_dataset("tree", build_index(tree.root))
    Path(tree.root, first).unlink()
    assert decode(tree, read_index("tree"), SPEC).failed == {}


def test_a_build_that_is_killed_goes_on_to_the_same_bytes(tree):
    index, folder = read_index("tree"), pixels_folder(tree, SPEC)
    build = subprocess.Popen([sys.executable, "-c", SLOW_BUILD], cwd=REPOSITORY)
    while len(pixel_store.known(folder, 32)) < 16:
        assert build.poll() is None, "the build ended before it could be killed"
        time.sleep(0.01)
    build.send_signal(signal.SIGKILL)
    build.wait()
    kept = len(pixel_store.known(folder, 32))
    assert 16 <= kept < 60 and not (folder / "g0001" / "manifest.json").exists()
    pixel_cache(tree, index, SPEC)
    interrupted = {name: (folder / "g0001" / name).read_bytes() for name in ("pixels.npy", "rows.txt", "manifest.json")}
    shutil.rmtree(cache_folder("tree"))
    pixel_cache(tree, index, SPEC)
    assert interrupted == {name: (folder / "g0001" / name).read_bytes() for name in interrupted}


def test_two_processes_at_once_make_each_row_once(tree):
    builds = [subprocess.Popen([sys.executable, "-c", SLOW_BUILD], cwd=REPOSITORY) for _ in range(2)]
    assert [build.wait() for build in builds] == [0, 0]
    hashes, pixels = pixel_store.load(pixels_folder(tree, SPEC), 32)
    assert hashes.is_unique and len(pixels) == 60


def test_a_build_that_is_stopped_keeps_what_it_made(tree, reads, monkeypatch):
    def stop(done, total, what):
        raise KeyboardInterrupt

    index = read_index("tree")
    with pytest.raises(KeyboardInterrupt):
        decode(tree, index, SPEC, progress=stop)
    kept = len(pixel_store.known(pixels_folder(tree, SPEC), 32))
    before = len(reads)
    decode(tree, index, SPEC)
    assert kept == 32 and len(reads) - before == 60 - kept


@pytest.mark.parametrize("spoil", ["half", "garbage", "headless", "gone", "short"])
def test_a_store_that_is_damaged_keeps_its_whole_rows_and_makes_the_rest_again(tree, reads, spoil):
    index = read_index("tree")
    decode(tree, index, SPEC)
    folder = pixels_folder(tree, SPEC) / "g0001"
    journal, pixels = folder / "rows.txt", folder / "pixels.npy"
    lines = journal.read_text().splitlines(keepends=True)
    if spoil == "half":
        journal.write_text("".join(lines[:31]) + lines[31][:17])
    elif spoil == "garbage":
        journal.write_text("".join(lines[:31]) + "\0" * 41 + "\n" + "".join(lines[32:]))
    elif spoil == "headless":
        pixels.write_bytes(b"\0" * 128 + pixels.read_bytes()[128:])
    elif spoil == "gone":
        pixels.unlink()
    elif spoil == "short":
        pixels.write_bytes(pixels.read_bytes()[: 128 + 30 * 32 * 32 + 5])
    cache = pixel_cache(tree, index, SPEC)
    # A header that is damaged is put right by the next pass; nobody reads by it but numpy.
    assert len(reads) == 60 + {"half": 30, "garbage": 30, "headless": 0, "gone": 60, "short": 30}[spoil]
    for image_id, path in zip(index["image_id"], index["path"]):
        assert (cache.pixels[cache.rows_of([image_id])[0]] == SPEC.pixels(f"{tree.root}/{path}")).all()


def test_a_disk_that_is_too_small_is_one_sentence_before_anything_is_decoded(tree, reads, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(OverreadError, match="needs .* MB.*free some space"):
        decode(tree, read_index("tree"), SPEC)
    assert not reads


def test_a_disk_that_fills_up_keeps_what_was_made(tree, monkeypatch):
    index, write, written = read_index("tree"), pixel_store._write_whole, []

    def fills_up(file, data, place):
        written.append(place)
        if len(written) > 30:
            raise OSError(28, "No space left on device")
        write(file, data, place)

    with monkeypatch.context() as patch:
        patch.setattr(room, "_COMMIT_EVERY", 8)
        patch.setattr(pixel_store, "_write_whole", fills_up)
        with pytest.raises(OverreadError, match="could not be written .No space left on device"):
            decode(tree, index, SPEC)
    folder = pixels_folder(tree, SPEC)
    kept = len(pixel_store.known(folder, 32))
    assert 16 <= kept < 30 and (folder / "g0001" / "pixels.npy").stat().st_size == 128 + kept * 32 * 32
    cache = pixel_cache(tree, index, SPEC)
    assert len(cache.pixels) == 60 and not cache.failed


def test_a_folder_without_rights_is_one_sentence(tree, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pixel_store.os, "open", refused)
    with pytest.raises(OverreadError, match="could not be written .Permission denied"):
        decode(tree, read_index("tree"), SPEC)


def test_one_file_out_of_two_that_cannot_be_read_is_named_and_tried_again(tree, reads):
    index = read_index("tree")[:2]
    Path(tree.root, index["path"][1]).unlink()
    assert decode(tree, index, SPEC).failed == {index["sha1"][1]: "there is no such file"}
    assert decode(tree, index, SPEC).failed == {index["sha1"][1]: "there is no such file"}
    assert len(reads) == 1


def test_measures_are_made_once_and_survive_parts(tree, reads, monkeypatch):
    class Made:
        VERSION, MEASURES = 7, ("mean", "rows")

        @staticmethod
        def measure(grey):
            return {"mean": float(grey.mean()), "rows": len(grey)}

    monkeypatch.setattr(measure_store, "_measures", lambda: Made)
    monkeypatch.setattr(room, "_COMMIT_EVERY", 2)
    index = read_index("tree")
    room.measures_table(tree, index[:50])
    table = room.measures_table(tree, index)
    assert len(reads) == 60 and len(room.measures_table(tree, index)) == 60 and len(reads) == 60
    for sha1, path in zip(index["sha1"], index["path"]):
        assert table.loc[sha1, "mean"] == np.asarray(Image.open(f"{tree.root}/{path}")).mean()
    assert len(list((cache_folder("tree") / "measures-v7").glob("*"))) < 20
    monkeypatch.setattr(Made, "VERSION", 8)
    assert len(room.measures_table(tree, index)) == 60 and len(reads) == 120


def test_without_anything_measured_the_table_is_empty_and_has_its_columns(tree, monkeypatch):
    class Made:
        VERSION, MEASURES = 1, {"mean": "words"}

    monkeypatch.setattr(measure_store, "_measures", lambda: Made)
    table = measure_store.read(tree)
    assert isinstance(table, pd.DataFrame) and table.empty and list(table.columns) == ["mean"]
