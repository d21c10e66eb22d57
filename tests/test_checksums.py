"""No file is believed unread: a changed byte is found, and a kill between two writes leaves a file that fits."""

import json
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import checksums
from core.checksums import (
    check_file,
    checksum_file,
    file_hash,
    json_text,
    parse_json,
    read_json,
    write_checked,
    write_json,
)
from core.parquet_files import read_parquet, read_schema, write_parquet

FRAME = pd.DataFrame({"image_id": [f"i{number}" for number in range(50)], "logit": [0.5 * n for n in range(50)]})


def flips(content: bytes, count: int = 40):
    """The content with one bit changed, at places drawn at random."""
    drawn = random.Random(3)
    for _ in range(count):
        changed = bytearray(content)
        changed[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        yield bytes(changed)


def test_every_flip_in_parquet_is_found(tmp_path):
    file = write_parquet(tmp_path / "t.parquet", FRAME, {b"facts": b'{"patients": 12}'})
    pd.testing.assert_frame_equal(read_parquet(file), FRAME)
    assert read_schema(file).metadata[b"facts"] == b'{"patients": 12}'
    content = file.read_bytes()
    for changed in flips(content):
        file.write_bytes(changed)
        with pytest.raises(ValueError, match="checksum"):
            read_parquet(file)
    file.write_bytes(content)
    pd.testing.assert_frame_equal(read_parquet(file), FRAME)


def test_pages_are_checked_where_the_checksum_of_the_file_is_missing(tmp_path):
    file = write_parquet(tmp_path / "t.parquet", FRAME, beside=False)
    assert not checksum_file(file).exists()
    content = file.read_bytes()
    place = pq.ParquetFile(file).metadata.row_group(0).column(1).dictionary_page_offset + 60  # inside a page
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises((OSError, ValueError), match="CRC"):
        read_parquet(file)


def test_a_file_of_an_earlier_version_is_read_as_it_is(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "old.parquet")
    (tmp_path / "old.json").write_text(json.dumps({"a": 1, "digest": "0" * 64}))
    assert not check_file(tmp_path / "old.parquet") and list(read_parquet(tmp_path / "old.parquet")["a"]) == [1, 2]
    assert read_json(tmp_path / "old.json") == {"a": 1, "digest": "0" * 64}


def test_every_flip_in_json_is_found_or_changes_nothing(tmp_path):
    values = {"name": "demo", "studies": 27, "patients": [1, 2.5, None], "nested": {"b": 1, "a": "é"}}
    file = write_json(tmp_path / "facts.json", values, indent=1)
    assert read_json(file) == values
    found = 0
    for changed in flips(file.read_bytes(), 200):
        file.write_bytes(changed)
        try:
            assert read_json(file) == values
        except ValueError:
            found += 1
    assert found > 150


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '{"a": ' * 100_000])
def test_what_is_no_object_is_refused_in_words(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_line_carries_its_checksum():
    line = json_text({"split": "valid", "n": 3})
    assert parse_json(line) == {"split": "valid", "n": 3}
    with pytest.raises(ValueError, match="checksum"):
        parse_json(line.replace("3", "4", 1))


def test_a_kill_between_any_two_writes_leaves_a_file_that_fits(tmp_path, monkeypatch):
    file = tmp_path / "state.bin"
    write_checked(file, lambda path: path.write_bytes(b"old"))
    write, contents = checksums.write_atomically, set()
    for killed_at in range(1, 4):
        steps = iter(range(1, 9))

        def stop(path, call, killed_at=killed_at, steps=steps):
            if next(steps) == killed_at:
                raise KeyboardInterrupt
            return write(path, call)

        monkeypatch.setattr(checksums, "write_atomically", stop)
        with pytest.raises(KeyboardInterrupt):
            write_checked(file, lambda path: path.write_bytes(b"new"))
        monkeypatch.setattr(checksums, "write_atomically", write)
        assert check_file(file)
        contents.add(file.read_bytes())
    assert contents == {b"old", b"new"}


def test_a_checksum_that_is_damaged_names_its_file(tmp_path):
    file = write_parquet(tmp_path / "t.parquet", FRAME)
    assert checksum_file(file).read_text() == f"{file_hash(file)}  t.parquet\n"
    checksum_file(file).write_text("nothing\n")
    with pytest.raises(ValueError, match=r"t\.parquet\.sha256"):
        read_parquet(file)
