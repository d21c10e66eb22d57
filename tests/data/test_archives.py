"""Zips of strangers: bombs, names that lead outside, links, clashes, damage, a full disk. Nothing half-made stays."""

import errno
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from core.data import archives
from core.data.archives import UnpackLimits, unpack
from tests.refusals import refused

SMALL = UnpackLimits(files=20, bytes=10_000_000, ratio=10, ratio_from=100_000, spare=0)


def packed(file: Path, *members, method=zipfile.ZIP_DEFLATED) -> Path:
    """A zip of (name or ZipInfo, content)."""
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


def leftovers(folder: Path, archive: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path != archive)


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


def test_a_whole_archive_is_unpacked_with_progress(place):
    archive = packed(place / "a.zip", ("tree/a.png", os.urandom(3_000_000)), ("tree/b/c.png", b"x"), ("tree/e/", b""))
    told = []
    folder = unpack(archive, place / "mine", lambda *said: told.append(said))
    assert (folder / "tree/b/c.png").read_bytes() == b"x"
    assert (folder / "tree/a.png").stat().st_size == 3_000_000
    assert told[-1][:2] == (2, 2) and [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert leftovers(place, archive) == ["mine"]


def test_clutter_of_operating_systems_is_left_out(place):
    archive = packed(place / "a.zip", ("x/.DS_Store", b"1"), ("__MACOSX/x/._a.png", b"1"), ("x\\a.png", b"2"))
    unpack(archive, place / "mine")
    assert [path.relative_to(place / "mine").as_posix() for path in (place / "mine").rglob("*.*")] == ["x/a.png"]


def test_a_bomb_is_refused_before_a_byte_is_written(place):
    archive = packed(place / "a.zip", ("a.png", b"\0" * 5_000_000))
    with refused("zip-bomb", "5.0 MB"):
        unpack(archive, place / "mine", limits=SMALL)
    assert not leftovers(place, archive)
    # A small file of zeros is none: an empty DICOM shrinks as much.
    unpack(packed(place / "b.zip", ("a.png", b"\0" * 90_000)), place / "mine", limits=SMALL)


def test_a_bomb_whose_list_lies_about_its_size_is_stopped(place):
    archive = packed(place / "a.zip", ("a.png", b"\0" * 4_000_000))
    content = bytearray(archive.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<I", 1000)
    archive.write_bytes(content)
    with refused("zip-damaged"):
        unpack(archive, place / "mine", limits=SMALL)
    assert not leftovers(place, archive)


def test_too_much_and_too_many_are_refused(place):
    archive = packed(place / "a.zip", ("a", os.urandom(11_000_000)))
    with refused("zip-too-large", "11 MB", "10 MB"):
        unpack(archive, place / "mine", limits=SMALL)
    many = packed(place / "b.zip", *((f"{number}.png", b"") for number in range(21)))
    with refused("zip-too-many-files", 21, 20):
        unpack(many, place / "mine", limits=SMALL)


def test_a_list_of_millions_is_refused_by_its_count_alone(place):
    """The count is in the last bytes; reading the list itself would fill the memory."""
    archive = place / "a.zip"
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 9_000_000, 9_000_000, 1, 0)
    archive.write_bytes(b"PK\x03\x04" + record + struct.pack("<4sHHHHIIH", b"PK\x05\x06", *[0xFFFF] * 4, 0, 0, 0))
    with refused("zip-too-many-files", "9,000,000"):
        unpack(archive, place / "mine")


@pytest.mark.parametrize(
    "name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:/a.png", "..\\a.png", "a\x07.png", "x" * 250, "a\n.png"]
)
def test_a_name_that_leads_elsewhere_is_refused(place, name):
    archive = packed(place / "a.zip", ("good.png", b"1"), (name, b"2"))
    with refused("zip-unsafe-name", "a.zip"):
        unpack(archive, place / "mine")
    assert not leftovers(place, archive) and not (place.parent / "a.png").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(place, kind):
    info = zipfile.ZipInfo("link.png")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    archive = packed(place / "a.zip", (info, b"/etc/passwd"))
    with refused("zip-link", "link.png"):
        unpack(archive, place / "mine")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("a.png", "A.png"), "zip-name-case"),
        (("Caf\u00e9.png", "Cafe\u0301.png"), "zip-name-case"),
        (("x/a.png", "./x/a.png"), "zip-name-twice"),
        (("x", "x/a.png"), "zip-name-case"),
        (("x/a.png", "X"), "zip-name-case"),
    ],
)
def test_names_that_would_overwrite_each_other_are_refused(place, names, code):
    archive = packed(place / "a.zip", *((name, b"1") for name in names))
    with refused(code, "a.zip"):
        unpack(archive, place / "mine")
    assert not leftovers(place, archive)


def test_an_encrypted_archive_is_refused(place):
    archive = packed(place / "a.zip", ("a.png", b"12"))
    content = bytearray(archive.read_bytes())
    for start, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.find(start) + offset] |= 1
    archive.write_bytes(content)
    with refused("zip-encrypted", "a.png"):
        unpack(archive, place / "mine")


def test_a_damaged_or_truncated_archive_leaves_nothing(place):
    archive = packed(place / "a.zip", *((f"{number}.png", os.urandom(50_000)) for number in range(4)))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with refused("zip-damaged"):
        unpack(archive, place / "mine")
    archive.write_bytes(whole[:150_100] + b"\xff" * 50 + whole[150_150:])
    with refused("zip-damaged"):
        unpack(archive, place / "mine")
    archive.write_bytes(b"PK\x03\x04 no zip at all")
    with refused("zip-damaged"):
        unpack(archive, place / "mine")
    assert not leftovers(place, archive)


def test_an_empty_archive_is_refused(place):
    with refused("zip-empty"):
        unpack(packed(place / "a.zip", ("x/", b"")), place / "mine")


def test_a_disk_without_room_is_refused_first(place, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: _usage(1_000_000))
    archive = packed(place / "a.zip", ("a.png", os.urandom(900_000)))
    with refused("disk-full", "1.0 MB"):
        unpack(archive, place / "mine")
    assert not leftovers(place, archive)


def _usage(free: int):
    from collections import namedtuple

    return namedtuple("usage", "free")(free)


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk-full"), (errno.EACCES, "folder-no-rights"), (errno.EIO, "file-unwritable")],
)
def test_a_disk_that_fails_in_the_middle_leaves_nothing(place, monkeypatch, number, code):
    archive = packed(place / "a.zip", ("a.png", b"1"), ("b.png", b"2"))
    opened = Path.open

    def fails(path, mode="r", *more, **options):
        if path.name == "b.png":
            raise OSError(number, os.strerror(number))
        return opened(path, mode, *more, **options)

    monkeypatch.setattr(Path, "open", fails)
    with refused(code):
        unpack(archive, place / "mine")
    assert not leftovers(place, archive)


def test_a_stop_in_the_middle_leaves_nothing(place):
    archive = packed(place / "a.zip", ("a.png", b"1"), ("b.png", b"2"))

    def stop(done, total, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, place / "mine", stop)
    assert not leftovers(place, archive)


def test_what_a_killed_process_left_is_replaced(place):
    (place / ".mine.unpacking" / "half").mkdir(parents=True)
    archive = packed(place / "a.zip", ("a.png", b"1"))
    unpack(archive, place / "mine")
    assert leftovers(place, archive) == ["mine"] and [path.name for path in (place / "mine").iterdir()] == ["a.png"]


def test_a_folder_that_exists_is_never_written_into(place):
    (place / "mine").mkdir()
    with refused("folder-exists"):
        unpack(packed(place / "a.zip", ("a.png", b"1")), place / "mine")
