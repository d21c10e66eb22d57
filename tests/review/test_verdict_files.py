"""Exported CSV is imported as the same entries; a bad file names the line and adds nothing."""

import csv
import io
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.data.index import build_index, read_index, write_dataset
from core.review.database import open_store
from core.review.store import add_verdict, undo_entry, verdicts_table
from core.review.verdict_files import export_csv, import_csv
from tests.refusals import refused
from tests.review.test_store import HOSTILE, entry


@pytest.fixture
def filled(store):
    """Two readers, an undo, and a hostile note."""
    add_verdict(store, entry("s1", "Ana", note=HOSTILE, score=1 / 3, threshold=0.1))
    stored = add_verdict(store, entry("s2", 'Ben, "B" <i>', "label_wrong", score_visible=False))
    undo_entry(store, stored.id, 'Ben, "B" <i>')
    add_verdict(store, entry("NA", "Ana", "poor_image", given_label=None, confidence="low"))
    return store


def test_an_exported_file_is_imported_bit_for_bit(filled, tmp_path):
    assert export_csv(filled, tmp_path / "out.csv") == 4
    other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    done = import_csv(other, tmp_path / "out.csv", keep_unknown=True)
    assert (done.imported, done.already, done.new_reviewers) == (4, 0, ("Ana", 'Ben, "B" <i>'))
    export_csv(other, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    pd.testing.assert_frame_equal(
        verdicts_table(other).drop(columns="sequence"), verdicts_table(filled).drop(columns="sequence")
    )
    again = import_csv(other, tmp_path / "out.csv", keep_unknown=True)
    assert (again.imported, again.already) == (0, 4)


@settings(settings.get_profile("some"), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(note=some.text(max_size=200).filter(lambda text: "\0" not in text))
def test_any_note_survives_the_round_trip(tmp_path_factory, note):
    folder = tmp_path_factory.mktemp("round")
    one, two = (open_store(f"sqlite:///{folder / name}.sqlite") for name in ("one", "two"))
    add_verdict(one, entry(note=note))
    export_csv(one, folder / "out.csv")
    import_csv(two, folder / "out.csv", keep_unknown=True)
    assert verdicts_table(two)["note"].tolist() == [note]
    one.engine.dispose(), two.engine.dispose()


def write(file, rows: list[dict]):
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


@pytest.fixture
def indexed(workspace, mura):
    """A data set, and the ids of an abnormal and a normal study of it."""
    dataset = write_dataset("demo", build_index(mura))
    index = pd.read_parquet(dataset.folder / "index.parquet")
    return SimpleNamespace(
        abnormal=index.loc[index["label"] == 1, "study_id"].iloc[0],
        normal=index.loc[index["label"] == 0, "study_id"].iloc[0],
    )


def test_a_few_columns_suffice_and_a_file_adds_its_rows_once(workspace, indexed, tmp_path):
    store = open_store()
    file = write(
        tmp_path / "hand.csv",
        [
            {"study_id": indexed.abnormal, "reviewer": "Ana", "verdict": "label_wrong"},
            {"study_id": indexed.normal, "reviewer": "Ana", "verdict": "label_wrong"},
        ],
    )
    assert import_csv(store, file, "demo").imported == 2
    assert import_csv(store, file, "demo").already == 2
    assert verdicts_table(store)["read"].tolist() == ["normal", "abnormal"]


def test_an_unknown_study_is_named_with_its_line_and_nothing_is_added(workspace, indexed, tmp_path):
    store = open_store()
    file = write(
        tmp_path / "hand.csv",
        [
            {"study_id": indexed.abnormal, "reviewer": "Ana", "verdict": "true_miss"},
            {"study_id": "<b>gone</b>", "reviewer": "Ana", "verdict": "cannot_tell"},
            {"study_id": indexed.normal, "reviewer": "", "verdict": "cannot_tell"},
        ],
    )
    with refused("study-unknown", "line 3", "'<b>gone</b>'", "'demo'", "Nothing was imported"):
        import_csv(store, file, "demo")
    assert verdicts_table(store, history=True).empty
    done = import_csv(store, file, "demo", skip=True)
    assert (done.imported, [row["line"] for row in done.skipped]) == (1, [3, 4])
    assert import_csv(store, file, "demo", skip=True, keep_unknown=True).imported == 1


@pytest.mark.parametrize(
    ("content", "code", "figure"),
    [
        (b"", "verdict-file-unreadable", "0 bytes"),
        (b"a,b\n1,2\n", "column-missing", "study_id, reviewer"),
        (b"study_id,reviewer\ns,Ana\n", "column-missing", "verdict or reading"),
        (b"study_id,reviewer,verdict\ns,Ana\n", "verdict-row-incomplete", "line 2"),
        (b'study_id,reviewer,verdict\ns,"Ana', "verdict-file-unreadable", "line 2"),
        (b"study_id,reviewer,verdict\ns,Ana,nonsense\n", "verdict-value-unknown", "line 2"),
        (b"study_id,reviewer,verdict,created\ns,Ana,cannot_tell,yesterday\n", "verdict-time-invalid", "yesterday"),
        (b"study_id,reviewer,verdict,score\ns,Ana,cannot_tell,high\n", "verdict-number-invalid", "high"),
        (b"study_id,reviewer,verdict,score_visible\ns,Ana,cannot_tell,perhaps\n", "verdict-value-unknown", "perhaps"),
        (b"study_id,reviewer,verdict,action\ns,Ana,cannot_tell,delete\n", "verdict-value-unknown", "delete"),
        (b"study_id,reviewer,verdict,supersedes\ns,Ana,cannot_tell,nobody\n", "entry-missing", "nobody"),
        (b"\xff\xfe\x00", "verdict-file-unreadable", "byte 0"),
        (b"study_id,reviewer,verdict,note\ns,Ana,cannot_tell," + b"n" * 100_000 + b"\n", "text-too-long", "100,000"),
        (b"study_id,reviewer,verdict,note\ns,Ana,cannot_tell," + b"n" * 200_000 + b"\n", "text-too-long", "200,000"),
    ],
)
def test_a_bad_file_is_refused_and_earlier_entries_stay(workspace, tmp_path, content, code, figure):
    store = open_store()
    add_verdict(store, entry("before"))
    (tmp_path / "bad.csv").write_bytes(content)
    with refused(code, figure):
        import_csv(store, tmp_path / "bad.csv", "demo", keep_unknown=True)
    assert verdicts_table(store, history=True)["study_id"].tolist() == ["before"]


def test_an_import_says_which_rows_match_repeat_or_contradict(workspace, indexed, tmp_path):
    store = open_store()
    row = {"study_id": indexed.abnormal, "reviewer": "Ana", "verdict": "label_wrong"}
    file = write(tmp_path / "hand.csv", [row, row, {**row, "reviewer": "Bo"}, {**row, "study_id": "gone"}])
    done = import_csv(store, file, "demo", skip=True)
    report = done.join
    assert (report.matched, report.unmatched_rows, report.duplicates, report.contradictions) == (3, 1, 1, 0)
    assert done.imported == 2 and [row["line"] for row in done.skipped] == [5]
    other = {"study_id": indexed.normal, "reviewer": "Ana", "verdict": "label_wrong"}
    file = write(tmp_path / "two.csv", [other, {**other, "reviewer": " ana", "verdict": "cannot_tell"}])
    with refused("verdicts-contradict", "line 2", "2, 3", indexed.normal):
        import_csv(store, file, "demo")
    done = import_csv(store, file, "demo", skip=True)
    assert (done.imported, len(done.skipped), done.join.contradictions) == (0, 2, 1)


def test_verdicts_of_another_data_set_are_refused_and_near_matches_are_offered(workspace, indexed, tmp_path):
    store = open_store()
    row = {"study_id": f"elsewhere/{indexed.abnormal.upper()}", "reviewer": "Ana", "verdict": "cannot_tell"}
    file = write(tmp_path / "hand.csv", [row])
    for more in ({}, {"skip": True}):
        with refused("join-matches-nothing", "1 row", "row 2", "demo", "--allow-unmatched"):
            import_csv(store, file, "demo", **more)
    assert import_csv(store, file, "demo", skip=True, allow_unmatched=True).imported == 0
    assert import_csv(store, file, "demo", keep_unknown=True).imported == 1


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_from_a_spreadsheet_gives_the_same_entries(workspace, tmp_path, delimiter, encoding):
    rows = [("Study_ID", " Reviewer", "VERDICT", "Note"), ("s1", "Ana", "cannot_tell", " two; parts|of\ta note")]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    (tmp_path / "v.csv").write_bytes(text.getvalue().encode(encoding))
    found = import_csv(open_store(), tmp_path / "v.csv", "data", keep_unknown=True)
    entry_of = verdicts_table(open_store(), "data").iloc[0]
    assert found.imported == 1 and (entry_of["study_id"], entry_of["reviewer"]) == ("s1", "Ana")
    assert entry_of["verdict"] == "cannot_tell" and entry_of["note"].strip() == "two; parts|of\ta note"


@pytest.mark.parametrize(
    "form",
    [
        "MURA-v1.1/{split}/XR_{bone}/{patient}/{study}_positive/",
        "C:\\x\\{split}\\XR_{bone}\\{patient}\\{study}_negative\\image1.png",
        "XR_{bone}/{patient}/{study}",
    ],
)
def test_paths_of_mura_name_the_studies_of_the_index(workspace, mura, tmp_path, form):
    written = write_dataset("tree", build_index(mura))
    ids = sorted(read_index(written.name)["study_id"].unique())
    named = []
    for study in ids:
        split, bone, patient, number = study.split("/")
        named.append(form.format(split=split, bone=bone.upper(), patient=patient, study=number))
    unique = [
        place
        for place, study in enumerate(ids)
        if sum(study.split("/")[1:] == other.split("/")[1:] for other in ids) == 1
    ]
    rows = [{"study_id": named[place], "reviewer": "Ana", "verdict": "true_miss"} for place in unique]
    write(tmp_path / "paths.csv", rows)
    store = open_store()
    done = import_csv(store, tmp_path / "paths.csv", "tree")
    assert done.imported == len(unique) and done.join.matched == len(unique)
    assert sorted(verdicts_table(store)["study_id"]) == [ids[place] for place in unique]
    assert [note.code for note in done.notes] == ["mura-paths"] and f"{len(unique):,}" in str(done.notes[0])
