"""`make hard`: its attacks find what they look for, are the same for the same seed, and find nothing here."""

import argparse
import ast
import json
import random
import subprocess
import sys

import pytest

from core import checksums
from core.errors import OverreadError
from core.parquet_files import read_parquet, write_parquet
from hard import __main__ as program
from hard import mutations
from hard.artifacts import Artifact
from hard.database import compared
from hard.flips import flip_file
from hard.fuzz import fuzz_input
from hard.inputs import Input
from hard.packets import destination
from hard.readers import Read
from hard.readers import compared as compared_presses
from hard.trials import FAULTS, Trial, caught, faults, markdown, table
from tests.conftest import REPOSITORY


def outcomes(trials) -> set[str]:
    return {trial.outcome for trial in trials}


def test_the_same_seed_makes_the_same_changes():
    changes = (mutations.any_bytes, mutations.any_table, mutations.any_json, mutations.any_text)
    for change in changes:
        content = json.dumps({"a": [1, 2], "b": {"c": "d"}}).encode()
        first, again = ([change(content, draw) for _ in range(50)] for draw in (random.Random(3), random.Random(3)))
        assert first == again and len({new for new, _ in first}) > 20


def test_a_flip_always_changes_the_content():
    draw = random.Random(4)
    assert all(mutations.flip(b"abc", draw)[0] != b"abc" for _ in range(2000))


def artifact(file, read) -> Artifact:
    return Artifact("file", file, read)


def test_a_flip_that_is_believed_is_silent_and_one_that_is_checked_is_not(tmp_path):
    plain, checked = tmp_path / "plain.json", tmp_path / "checked.json"
    plain.write_text(json.dumps({"threshold": 123456}))
    checksums.write_json(checked, {"threshold": 123456})

    def refusing():
        try:
            return checksums.read_json(checked)
        except ValueError as error:
            raise OverreadError(f"{checked} was altered.", code="altered") from error

    assert "silent" in outcomes(flip_file(artifact(plain, lambda: plain.read_bytes()), 1, 20))
    assert outcomes(flip_file(artifact(checked, refusing), 1, 40)) <= {"refused", "same"}
    assert json.loads(plain.read_text()) == {"threshold": 123456}


def test_a_refusal_that_does_not_name_the_file_is_a_fault(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"abc")

    def read():
        if file.read_bytes() != b"abc":
            raise OverreadError("Something was altered.", code="altered")
        return "abc"

    assert outcomes(flip_file(artifact(file, read), 1, 5)) == {"unnamed"} <= set(FAULTS)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (OverreadError("It is bad.", code="bad"), "refused"),
        (OverreadError("It is bad."), "uncaught"),
        (KeyError("x"), "uncaught"),
        (RecursionError(), "uncaught"),
        (None, "read"),
    ],
)
def test_only_a_sentence_with_a_code_is_a_refusal(error, outcome):
    with caught() as found:
        if error:
            raise error
    assert found.name == outcome


def test_parquet_that_is_flipped_is_never_another_table(tmp_path):
    import pandas as pd

    file = write_parquet(tmp_path / "table.parquet", pd.DataFrame({"a": range(50), "b": "text"}))

    def read():
        try:
            return read_parquet(file).to_csv()
        except (OSError, ValueError) as error:
            raise OverreadError(f"{file} was altered ({error!r}).", code="altered") from error

    assert not faults(flip_file(artifact(file, read), 5, 40))


def test_a_reader_that_fails_on_some_input_is_found(tmp_path):
    whole = Input(
        "numbers", ".txt", (b"12\n13\n",), mutations.any_bytes, lambda file: [*map(int, file.read_text().split())]
    )
    assert "uncaught" in outcomes(fuzz_input(whole, tmp_path, 1, 40))


def test_the_table_counts_outcomes_and_always_shows_the_faults():
    rows = table([Trial("a", "same"), Trial("a", "silent"), Trial("b", "same"), Trial("a", "same")])
    assert rows == [{"subject": "a", "tried": 3, "same": 2, "silent": 1}, {"subject": "b", "tried": 1, "same": 1}]
    head, _, first, second = markdown([{"part": "flips", **row} for row in rows]).splitlines()
    assert head == "| part | subject | tried | same | silent | uncaught | unnamed | fetched | lost |"
    assert first == "| flips | a | 3 | 2 | 1 | 0 | 0 | 0 | 0 |" and second.startswith("| flips | b | 1 | 1 | 0 |")


def test_the_program_ends_with_1_where_there_is_a_fault_and_keeps_the_seed(tmp_path, monkeypatch, capsys):
    import hard.flips as part

    given = argparse.Namespace(count=None, report=tmp_path / "report.md", results=tmp_path / "results.csv")
    for trials, status in (([Trial("a", "same")], 0), ([Trial("a", "lost", "entry 7")], 1)):
        monkeypatch.setattr(part, "run", lambda folder, seed, count, trials=trials: iter(trials))
        assert program.run_part("flips", 4711, given) == status
    assert "entry 7" in capsys.readouterr().out and "seed 4711" in (tmp_path / "report.md").read_text()
    assert [line.split(",")[2] for line in (tmp_path / "results.csv").read_text().splitlines()] == [
        "seed",
        "4711",
        "4711",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["flips", "fuzz", "kills", "database", "restarts", "readers", "packets"])
def test_a_part_runs_alone_and_finds_nothing(part, tmp_path):
    count = {"fuzz": "150"}.get(part, "1")
    command = [
        sys.executable,
        "-m",
        "hard",
        part,
        "--count",
        count,
        "--seed",
        "1",
        "--report",
        str(tmp_path / "report.md"),
    ]
    done = subprocess.run(
        [*command, "--results", str(tmp_path / "results.csv")], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert ", 0 faults" in (tmp_path / "report.md").read_text()


def frame(protocol: int, port: int, payload: bytes = b"") -> bytes:
    """An Ethernet frame with an IPv4 packet to 203.0.113.9."""
    head = bytes(12) + b"\x08\x00" + b"\x45" + bytes(8) + bytes([protocol]) + bytes(6) + bytes([203, 0, 113, 9])
    return head + bytes(2) + port.to_bytes(2, "big") + bytes(4) + payload


def test_a_packet_is_told_by_where_it_goes():
    question = bytes(12) + b"\x07example\x03org\x00\x00\x01"
    assert destination(frame(17, 53, question)) == "look-up of example.org"
    assert destination(frame(6, 443, bytes(12))) == "TCP to 203.0.113.9 port 443"
    assert destination(bytes(12) + b"\x08\x06" + bytes(28)) == "frame of type 0x0806"
    six = bytes(12) + b"\x86\xdd" + bytes(6) + b"\x11" + bytes(17) + bytes(15) + b"\x01" + bytes(2) + b"\x00\x09"
    assert destination(six) == "UDP to ::1 port 9"


def test_a_press_that_is_lost_doubled_or_on_another_study_is_found():
    one = Read("Ana", ["a", "b", "b", "c"], refused=["d"])
    assert [trial.outcome for trial in compared_presses(one, ["a", "b", "b", "c"])] == ["kept"] * 4 + ["refused"]
    assert [trial.outcome for trial in compared_presses(one, ["a", "b", "c", "c"])][3:] == ["lost", "silent", "refused"]
    one.fault = "TimeoutError"
    assert [trial.outcome for trial in compared_presses(one, [])] == ["lost"] * 4 + ["refused", "uncaught"]


def test_a_verdict_that_was_refused_and_is_there_is_found():
    told = {"stored": {"a", "b"}, "refused": {"c"}, "unknown": {"d"}, "failed": set()}
    assert compared(told, ["a", "b", "d"], ()) == ("kept", "")
    assert compared(told, ["b", "d"], ())[0] == "lost"
    assert compared(told, ["a", "b", "c"], ())[0] == "silent"
    assert compared(told, ["a", "a", "b"], ())[0] == "silent"
    assert compared(told, ["a", "b"], ("entry 3 was altered",))[0] == "silent"
    assert compared({**told, "failed": {"KeyError: x"}}, ["a", "b"], ())[0] == "uncaught"
    assert compared({**told, "stored": set()}, [], ())[0] == "uncaught"


NAMED = [
    (file.name, node.module, alias.name)
    for file in [*(REPOSITORY / "hard").glob("*.py"), REPOSITORY / "bench" / "scale.py"]
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("core", "dashboard", "hard")
    for alias in node.names
]


def names_in(module: str) -> set[str]:
    """What a module defines or imports at its top, and the modules in a package, without loading them."""
    place = REPOSITORY.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    found = {one.stem for one in place.iterdir()} if place.is_dir() else set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        else:
            found |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return found


def test_everything_that_the_attacks_import_is_there():
    """They import within functions, so that a name that has moved would be missed."""
    assert len(NAMED) > 50
    assert not [(file, module, name) for file, module, name in NAMED if name not in names_in(module)]
