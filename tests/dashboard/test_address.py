"""The parser of query values, and what a page does with values that it cannot use."""

import pandas as pd
import pytest

from dashboard.shared.address_kinds import LONGEST, Choice, Number, Switch, Text, read
from tests.dashboard.conftest import open_page, words

OUTCOMES = Choice(("Missed", "Found"), "outcome")


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (["Found"], OUTCOMES, "Found"),
        (["0.25"], Number(0, 1), 0.25),
        (["1e-3"], Number(0, 1), 0.001),
        (["7"], Number(1, 9, whole=True), 7),
        (["7.0"], Number(1, 9, whole=True), 7),
        (["TRUE"], Switch(), True),
        (["false"], Switch(), False),
        ([""], Text(), ""),
        (["a" * LONGEST], Text(), "a" * LONGEST),
        ([], OUTCOMES, None),
    ],
)
def test_a_value_that_can_be_used_is_read_without_a_note(given, kind, expected):
    assert read("name", given, kind) == (expected, None)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([""], OUTCOMES),
        (["missed it"], OUTCOMES),
        ([""], Number(0, 1)),
        (["inf"], Number(0, 1)),
        (["-inf"], Number(-1e9, 1)),
        (["nan"], Number(0, 1)),
        (["1e999"], Number(0, 1)),
        (["-0.1"], Number(0, 1)),
        (["1.0001"], Number(0, 1)),
        (["9" * 5_000], Number(0, 1)),
        (["2.5"], Number(0, 9, whole=True)),
        (["0x10"], Number(0, 99)),
        (["yes"], Switch()),
        (["a" * (LONGEST + 1)], Text()),
    ],
)
def test_a_value_that_cannot_be_used_gives_the_default_and_a_note_that_names_it(given, kind):
    found, note = read("bins", given, kind)
    assert found is None
    assert (given[0][:20] or "bins") in note.sentence and len(note.sentence) < 250


def test_the_nearest_choice_is_offered_whatever_its_case():
    assert read("outcome", ["mised"], OUTCOMES)[1].nearest == "Missed"
    assert "'Missed'" in read("outcome", ["MISSED"], OUTCOMES)[1].sentence
    assert read("outcome", ["zzz"], OUTCOMES)[1].nearest == ""


def test_of_repeated_values_the_last_counts_and_the_page_says_so():
    found, note = read("outcome", ["Missed", "Found"], OUTCOMES)
    assert found == "Found" and "2 times" in note.sentence
    assert read("outcome", ["Found", "Found"], OUTCOMES) == ("Found", None)


def test_the_nearest_of_very_many_words_is_found():
    words = [f"set/wrist/patient{number:05}/view1.png" for number in range(30_000)]
    assert Choice(words).nearest("set/wrist/patient21987/view1.pgn") == "set/wrist/patient21987/view1.png"


def test_a_column_of_names_is_searched_without_a_copy_of_it():
    known = Choice(pd.Series(["set/a.png", "set/b.png"]), "radiograph")
    assert "set/b.png" in known and "set/c.png" not in known and None not in known
    assert read("image", ["set/b.png"], known) == ("set/b.png", None) and "options" not in vars(known)
    assert "radiograph" in read("image", ["set/bb.png"], known)[1].sentence


def test_an_unknown_model_and_bone_are_named_and_the_nearest_is_one_click_away(house):
    app = open_page("overview", model="bata", bone="wirst")
    assert not app.exception and app.selectbox(key="model").value == "alpha"
    assert "names the model &#x27;bata&#x27;" in words(app) and "names the bone &#x27;wirst&#x27;" in words(app)
    app.button(key="address_near_model").click().run()
    assert app.selectbox(key="model").value == "beta" and "bata" not in words(app)
    assert "wirst" in words(app)
    app.button(key="address_hide_bone").click().run()
    assert "wirst" not in words(app) and not app.exception


def test_an_unknown_data_set_and_split_are_named(house):
    app = open_page("overview", data="dem", split="validd")
    assert not app.exception and app.selectbox(key="data").value in ("demo", "cold")
    assert "names the data set &#x27;dem&#x27;" in words(app) and "names the split &#x27;validd&#x27;" in words(app)
    app.button(key="address_near_data").click().run()
    assert app.selectbox(key="data").value == "demo"


def test_a_note_is_gone_on_another_page(house):
    app = open_page("overview", bone="wirst")
    assert "wirst" in words(app)
    app.switch_page("dataset/page.py").run()
    assert "wirst" not in words(app) and not app.exception


@pytest.mark.parametrize("pages", [("dataset", "labels"), ("calibration", "saliency"), ("labels", "threshold")])
def test_what_one_page_keeps_under_a_key_does_not_break_another(house, pages):
    """Pages may use one key for different choices, such as an order or a method."""
    first, second = pages
    app = open_page(first, **({"order": "contrast"} if first == "dataset" else {}))
    for page in (second, first):
        assert not app.switch_page(f"{page}/page.py").run().exception
