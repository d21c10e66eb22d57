"""Messages are free of escape codes, numpy's way to write numbers, and cut-off sentences of other libraries."""

import pickle

import numpy as np
import pytest

from core.data.unreadable import UnreadableImage
from core.errors import LONGEST, OverreadError, reason_of, without_codes


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m text", "red text"),
        ("\x1b]0;title\x07left\x00 wrist\x9b", "left wrist"),
        (f"the score {np.float64(0.25)!r} of {[np.int64(3), np.str_('a')]}", "the score 0.25 of [3, 'a']"),
        ("expected <class 'numpy.float32'>", "expected float32"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Größe 5 µm ≥ 3", "Größe 5 µm ≥ 3"),
    ],
)
def test_codes_are_taken_out_of_every_message(text, clean):
    assert without_codes(text) == clean
    error = OverreadError(text, code="x")
    line = clean.replace("\n", " ")
    assert str(error) == line and str(pickle.loads(pickle.dumps(error))) == line
    assert UnreadableImage("a.png", text).reason == clean


def test_a_message_is_one_line_of_limited_length():
    quoted = OverreadError(f"The column {'x' * 100_000!r} is unknown.\u2028Name another\none.", code="x")
    text = str(quoted)
    assert len(text) <= LONGEST and len(text.splitlines()) == 1
    assert text.startswith("The column 'xxx") and text.endswith("is unknown. Name another one.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Bad magic.\nTraceback follows", "Bad magic"),
        ("", "RuntimeError"),
        ("\n\n  late line  ", "late line"),
        ("Error(s) in loading:\n\tMissing key(s)", "Error(s) in loading: Missing key(s)"),
        ("It is short. " + "But this goes on " * 30, "It is short"),
        ("the shapes differ by one, " + "and on and on " * 30, "the shapes differ by one"),
        ("word " * 100, "RuntimeError"),
    ],
)
def test_the_reason_of_another_library_is_whole(text, reason):
    assert reason_of(RuntimeError(text)) == reason


@pytest.mark.parametrize("length", range(1, 400, 7))
def test_no_reason_ends_within_a_phrase(length):
    text = ("The tensor has 3 axes; the layer (a convolution) takes four, as the manual says. " * 6)[:length]
    found = reason_of(ValueError(text))
    assert (len(found) <= 160 and found.count("(") == found.count(")")) or len(text) <= 160
    assert text.startswith(found) and text[len(found) : len(found) + 2].strip()[:1] in ("", ".", ";", ",", ":", "(")
