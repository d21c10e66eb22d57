"""A JPEG whose data end early is unreadable, whatever follows them; a whole one never is."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.data.file_facts import inspect_file
from core.data.jpeg import END, is_truncated, read_layout
from core.data.pixels import UnreadableImage, read_grey

WAYS = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_rows": 1},
    "restart after 3 blocks": {"restart_marker_blocks": 3},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
    "no chroma subsampling": {"subsampling": 0, "quality": 98},
    "chroma subsampling": {"subsampling": 2},
}


def radiograph(seed: int = 0) -> Image.Image:
    """A bright shape with noise on a black background, so that the last rows are flat."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:150, :130]
    bone = 200 * np.exp(-(((columns - 60) / 20) ** 2)) * (rows < 120)
    return Image.fromarray(np.clip(bone + random.normal(0, 6, bone.shape) * (rows < 120), 0, 255).astype(np.uint8))


def encoded(way: str, mode: str = "L", seed: int = 0) -> bytes:
    file = io.BytesIO()
    radiograph(seed).convert(mode).save(file, "JPEG", **WAYS[way])
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("way", WAYS)
def test_a_whole_jpeg_is_read_also_with_other_bytes_after_it(tmp_path, way, mode):
    whole = encoded(way, mode)
    for extra in (b"", b"\n", b"trailer of a camera" * 20, bytes(300)):
        assert not is_truncated(whole + extra)
        (tmp_path / "x.jpg").write_bytes(whole + extra)
        assert read_grey(tmp_path / "x.jpg").shape == (150, 130)
        assert inspect_file(tmp_path / "x.jpg").width == 130


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    way=st.sampled_from(list(WAYS)),
    mode=st.sampled_from(["L", "RGB"]),
    part=st.floats(0, 0.75),
    after=st.sampled_from([b"", END, END + b"\n", END + bytes(100), bytes(4096)]),
    seed=st.integers(0, 3),
)
def test_a_jpeg_cut_anywhere_is_unreadable_whatever_is_put_after_it(tmp_path, way, mode, part, after, seed):
    whole = encoded(way, mode, seed)
    layout = read_layout(whole)
    first, last = layout.scans[0].start, layout.scans[-1].end
    cut = whole[: first + int((last - first) * part)] + after
    (tmp_path / "x.jpg").write_bytes(cut)
    with pytest.raises(UnreadableImage, match="truncated"):
        read_grey(tmp_path / "x.jpg")
    with pytest.raises(UnreadableImage, match="truncated"):
        inspect_file(tmp_path / "x.jpg")


def test_real_radiographs_are_whole_and_become_unreadable_when_cut(shared):
    files = sorted((shared / "data/radiographs/fracatlas/images").rglob("*.jpg"))[::40]
    assert len(files) > 50
    for file in files:
        whole = file.read_bytes()
        assert not is_truncated(whole), file
        scan = read_layout(whole).scans[0]
        assert is_truncated(whole[: (scan.start + scan.end) // 2] + END), file
    damaged = sorted((shared / "data/radiographs/fracatlas/truncated").glob("*.jpg"))
    assert damaged and all(is_truncated(file.read_bytes() + END) for file in damaged)
