"""The report of a join on pages: its counts, its examples, and the notes as sentences."""

from core.data.joins import JoinReport
from core.data.notes import Note
from dashboard.shared.join_report import example_lines, is_doubtful, joins_table, joins_title, note_sentence

EXAMPLES = (
    {"kind": "unmatched_rows", "row": 1204, "key": "<b>x</b>.png"},
    {"kind": "unmatched_rows", "row": 7, "key": ""},
    {"kind": "contradictions", "row": None, "key": "wrist/7"},
)
REPORT = JoinReport("rows and radiographs", 1, 2, 3, 0, 1, EXAMPLES)


def test_counts_and_examples_of_each_join():
    table = joins_table([REPORT, JoinReport("others", 4, 0, 0)])
    assert table["Rows matched"].tolist() == [1, 4] and table["Contradictions"].tolist() == [1, 0]
    assert example_lines([REPORT]) == [
        "Rows that match nothing: row 1,204 <b>x</b>.png; row 7",
        "Contradictions, which count as unlabelled: wrist/7",
    ]


def test_a_title_counts_rows_and_notes():
    assert joins_title([REPORT]) == "Tables joined: 1 row matched"
    assert joins_title([], [Note("a")]) == "1 note"
    assert is_doubtful([REPORT]) and not is_doubtful([JoinReport("others", 4, 0, 5, 1)])


def test_a_note_is_a_sentence():
    assert note_sentence(Note("column p is turned round")) == "Column p is turned round."
    assert note_sentence("Is this right?") == "Is this right?"
