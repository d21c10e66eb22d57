"""Files on their way from a browser: in pieces to the disk, continued after a break, bounded, and removed if left."""

import os
import time

import pytest

from core.data import arriving
from core.data.arriving import (
    Announced,
    add_piece,
    arrived_files,
    begin_arrival,
    forget_arrival,
    read_arrival,
    remove_abandoned,
)
from core.data.uploads import UploadLimits
from tests.refusals import refused

TWO = [Announced("set/a.png", 6, 1), Announced("labels.csv", 3, 2)]


def on_disk(workspace) -> list[str]:
    return sorted(path.name for path in (workspace / "uploads" / ".arriving").rglob("*.part"))


def test_pieces_become_the_files_also_after_a_break(workspace):
    first = begin_arrival("visitor", TWO)
    assert first.have == (0, 0) and not first.complete
    assert add_piece(first.id, 0, 0, b"abc") == 3
    again = begin_arrival("visitor", TWO)  # the same browser comes back with the same files
    assert again.id == first.id and again.have == (3, 0)
    with refused("upload-cut-off"):
        arrived_files(first.id)
    assert add_piece(first.id, 0, 3, b"def") == 6 and add_piece(first.id, 1, 0, b"xyz") == 3
    assert [(name, path.read_bytes()) for name, path in arrived_files(first.id)] == [
        ("set/a.png", b"abcdef"),
        ("labels.csv", b"xyz"),
    ]
    assert begin_arrival("somebody else", TWO).id != first.id


def test_a_piece_sent_twice_or_out_of_turn_changes_nothing(workspace):
    found = begin_arrival("visitor", TWO)
    add_piece(found.id, 0, 0, b"abc")
    assert add_piece(found.id, 0, 0, b"abc") == 3 and add_piece(found.id, 0, 5, b"f") == 3
    assert read_arrival(found.id).have == (3, 0)


def test_an_upload_is_refused_before_its_first_byte(workspace):
    with refused("upload-too-large", "3.2 GB", "2.1 GB"):
        begin_arrival("visitor", [Announced("mura.zip", 3_221_225_472)])
    with refused("upload-too-many-files", 2, 1):
        begin_arrival("visitor", TWO, UploadLimits(files=1))
    with refused("zip-unsafe-name", ".."):
        begin_arrival("visitor", [Announced("../a.png", 1)])
    with refused("upload-name-twice"):
        begin_arrival("visitor", [Announced("a.png", 1), Announced("A.png", 1)])
    assert not (workspace / "uploads").exists()


def test_a_file_that_is_longer_than_announced_is_refused(workspace):
    found = begin_arrival("visitor", TWO)
    with refused("upload-too-large", "set/a.png", "6 bytes"):
        add_piece(found.id, 0, 0, b"1234567")
    with refused("upload-unknown-file", 2, 3):
        add_piece(found.id, 2, 0, b"1")
    assert on_disk(workspace) == []


def test_a_disk_that_fills_up_leaves_no_part_of_a_piece(workspace, monkeypatch):
    found = begin_arrival("visitor", TWO)
    add_piece(found.id, 0, 0, b"abc")
    write = arriving._write

    def full(part, piece):
        write(part, piece[:1])
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(arriving, "_write", full)
        with refused("disk-full"):
            add_piece(found.id, 0, 3, b"def")
    assert read_arrival(found.id).have == (3, 0)


@pytest.mark.parametrize("how", ["nobody continues it", "the visitor stops it"])
def test_an_upload_that_is_left_leaves_nothing(workspace, how):
    found = begin_arrival("visitor", TWO)
    add_piece(found.id, 0, 0, b"abc")
    assert remove_abandoned() == 0
    if how == "the visitor stops it":
        forget_arrival(found.id)
    else:
        long_ago = time.time() - 2 * arriving.KEPT_SECONDS
        os.utime(workspace / "uploads" / ".arriving" / found.id, (long_ago, long_ago))
        assert remove_abandoned() == 1
    assert list((workspace / "uploads" / ".arriving").iterdir()) == []
    with refused("upload-gone"):
        add_piece(found.id, 0, 3, b"def")
    with refused("upload-gone"):
        read_arrival("../../etc")
