"""Boxes of a verdict are stored with it, never changed, exported and imported exactly, and read as known findings."""

import json

import pytest
import sqlalchemy as sql

from core.review import tables
from core.review.boxes import Box, boxes_text, make_box, read_boxes
from core.review.database import open_store
from core.review.reader_boxes import reader_boxes
from core.review.store import add_verdict, add_verdict_once, undo_entry, verdicts_table
from core.review.verdict_files import export_csv, import_csv
from tests.refusals import refused
from tests.review.test_store import entry

FIRST = Box("a/1.png", 0.1, 0.2, 0.30303, 0.4)
SECOND = Box('ß "quoted", 2.png', 0.0, 0.5, 1.0, 1.0)
TEXT = boxes_text([FIRST, SECOND])


def test_boxes_are_kept_with_their_entry_and_go_with_its_undo(store):
    kept = add_verdict(store, entry("s1", boxes=TEXT))
    add_verdict(store, entry("s2"))
    table = verdicts_table(store).set_index("study_id")
    assert read_boxes(table.at["s1", "boxes"]) == (FIRST, SECOND) and read_boxes(table.at["s2", "boxes"]) == ()
    undo_entry(store, kept.id, "Ana")
    assert verdicts_table(store, study_id="s1").empty and reader_boxes(store, "demo").empty
    history = verdicts_table(store, study_id="s1", history=True)
    assert history["action"].tolist() == ["verdict", "undo"] and history["boxes"].notna().tolist() == [True, False]


def test_the_boxes_of_an_entry_are_never_changed(store):
    sent = entry(boxes=TEXT)
    assert add_verdict(store, sent) == add_verdict(store, sent)
    with refused("entry-differs", "boxes"):
        add_verdict(store, entry(id=sent.id, boxes=boxes_text([FIRST])))
    assert add_verdict_once(store, sent).id == sent.id
    assert verdicts_table(store)["boxes"].tolist() == [TEXT]


def test_boxes_are_exported_and_imported_byte_for_byte(store, tmp_path):
    add_verdict(store, entry("s1", boxes=TEXT))
    add_verdict(store, entry("s2", "Ben", "label_wrong"))
    export_csv(store, tmp_path / "out.csv")
    other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert import_csv(other, tmp_path / "out.csv", keep_unknown=True).imported == 2
    export_csv(other, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    assert b"0.30303" in (tmp_path / "out.csv").read_bytes()
    assert verdicts_table(other)["boxes"].iloc[0] == TEXT


def test_only_reads_of_abnormal_in_force_count_as_known_findings(store):
    add_verdict(store, entry("s1", "Ana", boxes=boxes_text([FIRST])))
    add_verdict(store, entry("s1", "Ana", boxes=TEXT))
    add_verdict(store, entry("s2", "Ana", "label_wrong", boxes=TEXT))
    add_verdict(store, entry("s3", "Ben", "label_wrong", given_label=0.0, boxes=boxes_text([SECOND])))
    found = reader_boxes(store, "demo")
    assert list(zip(found["image_id"], found["reviewer"])) == [
        (FIRST.image_id, "Ana"),
        (SECOND.image_id, "Ana"),
        (SECOND.image_id, "Ben"),
    ]
    assert found.loc[0, ["x0", "y0", "x1", "y1"]].tolist() == [0.1, 0.2, 0.30303, 0.4]
    assert reader_boxes(store, "another").empty


def test_a_database_from_before_boxes_opens_and_takes_them(url):
    store = open_store(url)
    add_verdict(store, entry("s1"))
    with store.engine.begin() as connection:
        tables.boxes.drop(connection)
    store.engine.dispose()
    again = open_store(url)
    add_verdict(again, entry("s2", boxes=TEXT))
    assert verdicts_table(again)["boxes"].notna().tolist() == [False, True]
    assert "verdict_boxes" in sql.inspect(again.engine).get_table_names()
    again.engine.dispose()


def test_the_corners_of_a_box_are_put_in_order():
    assert make_box("a", 0.9, 0.8, 0.1, 0.2) == Box("a", 0.1, 0.2, 0.9, 0.8)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[1]",
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, 1.2, 0.5]}]),
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, 0.1, 0.5]}]),
        json.dumps([{"image_id": "", "box": [0.1, 0.1, 0.2, 0.5]}]),
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, None, 0.5]}]),
        '[{"image_id": "a", "box": [0.1, 0.1, NaN, 0.5]}]',
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, 0.5]}]),
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, 10**400, 0.5]}]),
        json.dumps([{"image_id": "a", "box": [0.1, 0.1, 0.2, 0.5]}] * 101),
    ],
)
def test_an_invalid_text_is_refused_and_nothing_is_stored(store, text):
    with refused("boxes-invalid"):
        add_verdict(store, entry(boxes=text))
    assert verdicts_table(store, history=True).empty
