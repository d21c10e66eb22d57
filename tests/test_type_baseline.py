"""The baseline of type errors: it is compared by file and code, and it may only shrink."""

from collections import Counter

import pytest

from tools import check_types

OUTPUT = """core/a.py:3: error: Item "None" of "int | None" has no attribute "x"  [union-attr]
core/a.py:9: error: Item "None" of "int | None" has no attribute "y"  [union-attr]
core/a.py:9: note: a note is no error
core/b.py:1: error: Incompatible return value type (got "str", expected "int")  [return-value]
"""
COUNTS = Counter({("core/a.py", "union-attr"): 2, ("core/b.py", "return-value"): 1})
ONE = Counter({("core/a.py", "union-attr"): 1})


@pytest.fixture
def baseline(tmp_path, monkeypatch):
    monkeypatch.setattr(check_types, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(check_types, "mypy_output", lambda: OUTPUT)
    return lambda *flags: monkeypatch.setattr("sys.argv", ["check_types.py", *flags]) or check_types.main()


def test_errors_are_counted_by_file_and_code():
    assert check_types.count_errors(OUTPUT) == COUNTS


def test_the_baseline_is_written_and_met(baseline):
    assert baseline() == 1
    assert baseline("--write") == 0
    assert check_types.read_baseline() == COUNTS
    assert baseline() == 0


@pytest.mark.parametrize(("stored", "allowed"), [(COUNTS - ONE, False), (COUNTS + ONE, True)])
def test_another_count_fails_and_only_a_smaller_total_may_be_written(baseline, stored, allowed, capsys):
    check_types.write_baseline(stored)
    assert baseline() == 1
    assert "core/a.py [union-attr]: 2 type errors" in capsys.readouterr().out
    assert (baseline("--write") == 0) is allowed
    assert (baseline() == 0) is allowed


def test_a_rename_moves_counts_without_changing_the_total(baseline):
    check_types.write_baseline(Counter({("core/old.py", "union-attr"): 2, ("core/b.py", "return-value"): 1}))
    assert baseline() == 1
    assert baseline("--write") == 0
    assert baseline() == 0
