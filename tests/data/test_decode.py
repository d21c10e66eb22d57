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
from tests.refusals import refused

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = InputSpec(32)
# A build that commits every eight files, slow enough to be killed in the middle.
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
    """A copy of the tree that tests may damage, indexed as 'tree'."""
    shutil.copytree(mura, tmp_path / "copy")
    return write_dataset("tree", build_index(tmp_path / "copy"))


@pytest.fixture
def reads(monkeypatch) -> list:
    """Records every file that is decoded."""
    read = []
    monkeypatch.setattr(room, "read_grey", lambda path, data: read.append(path) or read_grey(path, data))
    return read


def test_each_file_is_decoded_once_for_all_results(tree, reads):
    index = read_index("tree")
    found = decode(tree, index, SPEC, thumbnail=True)
    assert (found.files, found.failed) == (60, {}) and len(reads) == 60
    assert thumbnails.hashes_with_thumbnail(tree) == set(index["sha1"])
    assert decode(tree, index, SPEC, thumbnail=True).files == 0 and len(reads) == 60


def test_only_missing_results_are_made(tree, reads):
    index = read_index("tree")
    decode(tree, index[:40], SPEC)
    for sha1 in index["sha1"][:7]:
        thumbnails.thumbnail_file(tree, sha1).unlink()
    decode(tree, index[:40], SPEC)  # without thumbnails
    assert len(reads) == 40
    decode(tree, index, SPEC, thumbnail=True)
    assert len(reads) == 40 + 20 + 7


def test_a_copy_replaces_a_missing_file(tree):
    first, second = read_index("tree")["path"][:2]
    shutil.copy(f"{tree.root}/{first}", f"{tree.root}/{second}")
    tree = write_dataset("tree", build_index(tree.root))
    Path(tree.root, first).unlink()
    assert decode(tree, read_index("tree"), SPEC).failed == {}


def test_a_killed_build_continues_and_gives_the_same_bytes(tree):
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


def test_two_processes_make_each_row_once(tree):
    builds = [subprocess.Popen([sys.executable, "-c", SLOW_BUILD], cwd=REPOSITORY) for _ in range(2)]
    assert [build.wait() for build in builds] == [0, 0]
    stored = pixel_store.load(pixels_folder(tree, SPEC), 32)
    assert stored.hashes.is_unique and len(stored.pixels) == 60


def test_an_interrupted_build_keeps_its_results(tree, reads, monkeypatch):
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
def test_a_damaged_store_keeps_its_whole_rows_and_rebuilds_the_others(tree, reads, spoil):
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
    # A damaged header is repaired in the next pass; only numpy uses it.
    assert len(reads) == 60 + {"half": 30, "garbage": 30, "headless": 0, "gone": 60, "short": 30}[spoil]
    for image_id, path in zip(index["image_id"], index["path"]):
        assert (cache.pixels[cache.rows_of([image_id])[0]] == SPEC.pixels(f"{tree.root}/{path}")).all()


def test_a_small_disk_is_refused_before_decoding(tree, reads, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 90, 10))
    with refused("disk-space-short", "0 MB free"):
        decode(tree, read_index("tree"), SPEC)
    assert not reads


def test_a_disk_that_fills_up_keeps_the_results_so_far(tree, monkeypatch):
    index, write, written = read_index("tree"), pixel_store._write_whole, []

    def fills_up(file, data, place):
        written.append(place)
        if len(written) > 30:
            raise OSError(28, "No space left on device")
        write(file, data, place)

    with monkeypatch.context() as patch:
        patch.setattr(room, "_COMMIT_EVERY", 8)
        patch.setattr(pixel_store, "_write_whole", fills_up)
        with pytest.raises(OverreadError, match="No space left on device"):
            decode(tree, index, SPEC)
    folder = pixels_folder(tree, SPEC)
    kept = len(pixel_store.known(folder, 32))
    assert 16 <= kept < 30 and (folder / "g0001" / "pixels.npy").stat().st_size == 128 + kept * 32 * 32
    cache = pixel_cache(tree, index, SPEC)
    assert len(cache.pixels) == 60 and not cache.failed


def test_a_folder_without_permission_is_refused(tree, monkeypatch):
    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pixel_store.os, "open", deny)
    with pytest.raises(OverreadError, match="Permission denied"):
        decode(tree, read_index("tree"), SPEC)


def test_an_unreadable_file_is_named_and_tried_again(tree, reads):
    index = read_index("tree")[:2]
    Path(tree.root, index["path"][1]).unlink()
    assert decode(tree, index, SPEC).failed == {index["sha1"][1]: "the file does not exist"}
    assert decode(tree, index, SPEC).failed == {index["sha1"][1]: "the file does not exist"}
    assert len(reads) == 1


def test_measures_are_made_once_and_parts_are_merged(tree, reads, monkeypatch):
    class FakeMeasures:
        VERSION, MEASURES = 7, ("mean", "rows")

        @staticmethod
        def measure(grey):
            return {"mean": float(grey.mean()), "rows": len(grey)}

    monkeypatch.setattr(measure_store, "_measures", lambda: FakeMeasures)
    monkeypatch.setattr(room, "_COMMIT_EVERY", 2)
    index = read_index("tree")
    room.measures_table(tree, index[:50])
    table = room.measures_table(tree, index)
    assert len(reads) == 60 and len(room.measures_table(tree, index)) == 60 and len(reads) == 60
    for sha1, path in zip(index["sha1"], index["path"]):
        assert table.loc[sha1, "mean"] == np.asarray(Image.open(f"{tree.root}/{path}")).mean()
    assert len(list((cache_folder("tree") / "measures-v7").glob("*.parquet"))) < 20
    monkeypatch.setattr(FakeMeasures, "VERSION", 8)
    assert len(room.measures_table(tree, index)) == 60 and len(reads) == 120


def test_a_measure_that_is_added_is_made_for_earlier_files_too(tree, reads, monkeypatch):
    class FakeMeasures:
        VERSION, MEASURES = 7, ("mean",)

        @staticmethod
        def measure(grey):
            return dict.fromkeys(FakeMeasures.MEASURES, float(grey.mean()))

    monkeypatch.setattr(measure_store, "_measures", lambda: FakeMeasures)
    index = read_index("tree")[:5]
    decode(tree, index, measures=True)
    monkeypatch.setattr(FakeMeasures, "MEASURES", ("mean", "rows"))
    assert len(measure_store.read_measures(tree)) == 5 and measure_store.complete_measures(tree).empty
    decode(tree, index, measures=True)
    assert len(reads) == 10 and len(measure_store.complete_measures(tree)) == 5


def test_without_measures_the_table_is_empty_and_has_its_columns(tree, monkeypatch):
    class FakeMeasures:
        VERSION, MEASURES = 1, {"mean": "words"}

    monkeypatch.setattr(measure_store, "_measures", lambda: FakeMeasures)
    table = measure_store.read_measures(tree)
    assert isinstance(table, pd.DataFrame) and table.empty and list(table.columns) == ["mean"]
