import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.data.file_facts import inspect_file
from core.data.input_spec import InputSpec
from core.data.pixels import UnreadableImage, from_square, padded_box, read_grey, to_square
from core.errors import OverreadError
from tests.refusals import refused


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_mode_of_a_grey_image_reads_the_same(tmp_path, mode):
    grey = np.repeat(np.array([[0, 255]], np.uint8), 20, axis=1).repeat(30, axis=0)
    suffix = "tif" if mode == "CMYK" else "png"
    Image.fromarray(grey).convert(mode).save(tmp_path / f"x.{suffix}")
    assert (read_grey(tmp_path / f"x.{suffix}") == grey).mean() == 1


def test_sixteen_bits_are_scaled_by_their_own_range(tmp_path):
    levels = np.linspace(1000, 3000, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    grey = read_grey(tmp_path / "x.png").astype(int)
    assert grey.min() == 0 and grey.max() == 255
    assert (np.diff(grey.ravel()) >= 0).all()
    # The middle level becomes middle grey.
    assert abs(int(grey.ravel()[200]) - 128) <= 1


LEVELS = np.linspace(100, 4000, 30 * 20).reshape(30, 20).astype(np.uint16)


def deep_png(file, channels: int, alpha: int = 65535):
    """A 16-bit PNG that uses 12 bits, with this many channels; alpha is the last one."""
    stored = np.repeat(LEVELS[..., None], channels, axis=2)
    if channels in (2, 4):
        stored[..., -1] = alpha
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 20, 30, 16, kind, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored))
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return file


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_in_colour_or_with_alpha_are_scaled_too(tmp_path, channels):
    grey = read_grey(deep_png(tmp_path / "x.png", channels)).astype(int)
    plain = read_grey(deep_png(tmp_path / "plain.png", 1)).astype(int)
    assert np.abs(grey - plain).max() <= 1 and grey[-1, -1] == 255


def test_a_truncated_16_bit_colour_file_is_refused(tmp_path):
    file = deep_png(tmp_path / "x.png", 3)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_grey(file)


def test_a_16_bit_tiff_may_store_white_as_zero(tmp_path):
    Image.fromarray(LEVELS).save(tmp_path / "black.tif")
    Image.fromarray(LEVELS).save(tmp_path / "white.tif", tiffinfo={262: 0})
    black, white = (read_grey(tmp_path / f"{name}.tif").astype(int) for name in ("black", "white"))
    assert black[-1, -1] == 255 and (black + white == 255).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_parts_become_black(tmp_path, mode):
    picture = Image.new(mode, (8, 6), "white")
    alpha = Image.new("L", (8, 6), 255)
    alpha.paste(0, (0, 0, 4, 6))
    picture.putalpha(alpha)
    picture.save(tmp_path / "x.png")
    grey = read_grey(tmp_path / "x.png")
    assert (grey[:, :4] == 0).all() and (grey[:, 4:] == 255).all()


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_the_exif_orientation_applies_to_pixels_and_size(tmp_path, orientation, ending):
    upright = np.zeros((40, 24), np.uint8)
    upright[:16, :8] = 255  # top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    backwards = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    Image.fromarray(upright).transpose(backwards).save(tmp_path / f"x.{ending}", exif=exif, quality=95)
    grey = read_grey(tmp_path / f"x.{ending}")
    assert np.abs(grey.astype(int) - upright).mean() < 4
    facts = inspect_file(tmp_path / f"x.{ending}")
    assert (facts.height, facts.width) == grey.shape and "orientation" in facts.conversion


@pytest.mark.parametrize(
    ("mode", "ending", "reason"),
    [("CMYK", "jpg", "stored in CMYK"), ("P", "png", "a palette"), ("LA", "png", "alpha"), ("L", "png", "")],
)
def test_a_conversion_to_grey_is_reported(tmp_path, mode, ending, reason):
    Image.fromarray(np.eye(9, dtype=np.uint8) * 200).convert(mode).save(tmp_path / f"x.{ending}")
    assert (
        reason in inspect_file(tmp_path / f"x.{ending}").conversion
        if reason
        else not inspect_file(tmp_path / "x.png").conversion
    )


def test_a_flat_sixteen_bit_image_is_readable(tmp_path):
    Image.fromarray(np.full((9, 9), 700, np.uint16)).save(tmp_path / "x.png")
    assert (read_grey(tmp_path / "x.png") == 0).all()


def test_real_sixteen_bit_wrist(shared):
    file = shared / "data/radiographs/grazpedwri_sample/3799_0949300875_03_WRI-L1_M010.png"
    grey = read_grey(file)
    assert grey.shape == (953, 720) and grey.std() > 20


def test_padding_keeps_the_aspect_ratio_and_adds_black():
    square = to_square(np.full((40, 20), 200, np.uint8), 10)
    assert padded_box(20, 40, 10) == (2, 0, 5, 10)
    assert (square[:, 2:7] == 200).all() and (square[:, :2] == 0).all() and (square[:, 7:] == 0).all()


def test_cropping_keeps_the_middle_and_stretching_keeps_everything():
    grey = np.zeros((20, 60), np.uint8)
    grey[:, 20:40] = 250
    assert (to_square(grey, 20, "crop") == 250).all()
    stretched = to_square(grey, 30, "stretch")
    assert stretched.shape == (30, 30) and (stretched[:, 0] == 0).all() and (stretched[:, 15] == 250).all()


def test_a_strip_of_one_pixel_fits():
    assert to_square(np.full((1, 20000), 9, np.uint8), 64).shape == (64, 64)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not recognised"),
        (b"plain text", "not recognised"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "."),
        (None, "does not exist"),
    ],
)
def test_damage_is_named_with_its_file(tmp_path, content, reason):
    file = tmp_path / "x.png"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason) as raised:
        read_grey(file)
    assert str(file) in str(raised.value) and "Replace the file" in str(raised.value)


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    Image.new("1", (12000, 11000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImage, match="12,000 x 11,000 pixels"):
        read_grey(tmp_path / "bomb.png")


def test_every_real_truncated_file_is_refused(shared):
    files = sorted((shared / "data/radiographs/fracatlas/truncated").glob("*.jpg"))
    for file in files:
        with pytest.raises(UnreadableImage, match="truncated"):
            read_grey(file)
    assert len(files) == 50


def test_an_input_spec_survives_json_and_refuses_unknown_keys():
    spec = InputSpec(96, "crop", 0.4, 0.2)
    assert InputSpec.from_json(spec.to_json()) == spec
    assert spec.normalise(0.6) == pytest.approx(1.0)
    with refused("input-spec-keys", "'size'"):
        InputSpec.from_json('{"size": 9}')
    for bad in ({"size": 4}, {"size": 64, "fit": "squash"}, {"size": 64, "std": 0}):
        with pytest.raises(OverreadError):
            InputSpec(**bad)


def test_an_unreadable_image_survives_being_sent_between_processes():
    sent = pickle.loads(pickle.dumps(UnreadableImage("a/b.png", "it is not a file")))
    assert (sent.path, sent.reason, sent.code) == ("a/b.png", "it is not a file", "image-unreadable")
    assert str(sent) == str(UnreadableImage("a/b.png", "it is not a file"))


@pytest.mark.parametrize(("width", "height"), [(40, 40), (60, 30), (30, 61)])
@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
def test_a_map_of_a_square_returns_to_the_shape_of_its_film(fit, width, height):
    film = np.zeros((height, width), np.uint8)
    # A bright block in the middle, which every fit keeps.
    film[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5] = 255
    back = from_square(to_square(film, 32, fit).astype(np.float32), width, height, fit)
    assert max(back.shape) == 32 and back.shape[1] / back.shape[0] == pytest.approx(width / height, rel=0.07)
    rows, columns = np.nonzero(back > 127)
    assert rows.mean() / back.shape[0] == pytest.approx(0.5, abs=0.06)
    assert columns.mean() / back.shape[1] == pytest.approx(0.5, abs=0.06)
    assert np.ptp(columns) == pytest.approx(10 * back.shape[1] / width, abs=2.5)


def _with_wrong_checksum(data: bytes, kind: bytes) -> bytes:
    start = data.index(kind)
    end = start + 4 + int.from_bytes(data[start - 4 : start])
    return data[:end] + bytes(byte ^ 0xFF for byte in data[end : end + 4]) + data[end + 4 :]


def _png_with_text(file) -> bytes:
    text = PngInfo()
    text.add_text("Comment", "left wrist")
    Image.fromarray((LEVELS // 16).astype(np.uint8)).save(file, pnginfo=text, dpi=(100, 100))
    return file.read_bytes()


@pytest.mark.parametrize("kind", [b"tEXt", b"pHYs"])
def test_a_png_with_a_wrong_checksum_in_an_ancillary_chunk_is_read(tmp_path, kind):
    data = _png_with_text(tmp_path / "whole.png")
    (tmp_path / "x.png").write_bytes(_with_wrong_checksum(data, kind))
    assert np.array_equal(read_grey(tmp_path / "x.png"), read_grey(tmp_path / "whole.png"))
    assert kind.decode() in inspect_file(tmp_path / "x.png").conversion


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_with_a_wrong_checksum_in_a_critical_chunk_is_unreadable(tmp_path, kind):
    (tmp_path / "x.png").write_bytes(_with_wrong_checksum(_png_with_text(tmp_path / "whole.png"), kind))
    for read in (read_grey, inspect_file):
        with pytest.raises(UnreadableImage, match=f"{kind.decode()} fails its checksum"):
            read(tmp_path / "x.png")
