"""Temporary files of killed processes go at the next start; those of living ones stay."""

import os
import subprocess
import sys
import time

from core.paths import write_atomically
from core.temporaries import keep_private, remove_stale, stale_temporaries


def test_only_files_that_no_living_process_owns_are_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "deep").mkdir()
    dead, old_name = tmp_path / f".a.json.{gone.pid}.7.tmp", tmp_path / "deep" / f"b.png.{gone.pid}.tmp"
    living, mine = tmp_path / f".a.json.{os.getpid()}.7.tmp", tmp_path / "notes.tmp"
    for file in (dead, old_name, living, mine):
        file.write_text("half")
    assert stale_temporaries(tmp_path) == sorted([dead, old_name])
    assert remove_stale(tmp_path) == 2 and living.exists() and mine.exists()
    # A number that was given again: the file is older than the process that has the number now.
    before = time.time() - 10 * 24 * 3600
    os.utime(living, (before, before))
    assert stale_temporaries(tmp_path) == [living]


def test_the_first_write_into_a_folder_clears_it(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".facts.json.{gone.pid}.7.tmp"
    left.write_text("half")
    write_atomically(tmp_path / "facts.json", lambda path: path.write_text("{}"))
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_new_files_are_for_their_owner_alone_unless_told_otherwise(tmp_path, monkeypatch):
    before = os.umask(0)
    try:
        keep_private()
        (tmp_path / "mine").touch()
        monkeypatch.setenv("OVERREAD_UMASK", "027")
        keep_private()
        (tmp_path / "ours").touch()
    finally:
        os.umask(before)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("mine", "ours")] == ["0o600", "0o640"]
