"""Bad augmentation files: the message names the field, the value found and the range, in one short sentence."""

import json

import pytest

from core.data.augment import LIMITS, PRESETS, VERSION, Augmentation
from core.errors import OverreadError

BAD = [
    ('{"rotate": 10}', "rotate"),
    ('{"rotation": 181}', "rotation is 181; expected a number from 0 to 180"),
    ('{"rotation": -1}', "rotation is -1"),
    ('{"rotation": NaN}', "rotation is nan"),
    ('{"rotation": Infinity}', "rotation is inf"),
    ('{"rotation": true}', "rotation is True"),
    ('{"rotation": null}', "rotation is None"),
    ('{"rotation": "10"}', "rotation is '10'"),
    ('{"rotation": {"degrees": 10}}', "rotation is {'degrees': 10}"),
    ('{"rotation": ' + "9" * 4000 + "}", "rotation is 999"),
    ('{"version": 2}', "version is 2; expected 1"),
    ('{"version": true}', "version is True; expected 1"),
    ('{"version": "1"}', "version is '1'; expected 1"),
    ("[1, 2]", r"is \[1, 2\]; expected an object"),
    ("", "not JSON"),
    ("\x00\xff" * 5_000_000, "10,000,000 characters"),
    ("[" * 99_000, "not JSON"),
    (json.dumps({f"field {number}": 1 for number in range(4000)}), "and 3997 more"),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=range(len(BAD)))
def test_a_bad_file_is_one_short_sentence(text, says):
    with pytest.raises(OverreadError, match=says) as caught:
        Augmentation.from_json(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", LIMITS)
def test_every_field_says_its_range(name):
    low, high = LIMITS[name]
    assert getattr(Augmentation.from_json(json.dumps({name: high})), name) == high
    with pytest.raises(OverreadError, match=f"{name} is .*; expected a number from {low:g} to {high:g}"):
        Augmentation.from_json(json.dumps({name: high + 0.01}))


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_gives_the_value_back_and_names_its_version(name):
    text = PRESETS[name].to_json()
    assert json.loads(text)["version"] == VERSION
    assert Augmentation.from_json(text) == PRESETS[name]
    assert Augmentation.from_json(text).hash() == PRESETS[name].hash()


# Hashes of before there were perspective, crops, equalisation, blur, sharpness and mixing.
BEFORE = {"none": "2bb1cd8d", "mura_paper": "3fa9ad04", "light": "229c46d1", "strong": "c46279dc"}


def test_new_fields_leave_old_hashes_alone():
    assert {name: PRESETS[name].hash() for name in BEFORE} == BEFORE
    assert Augmentation(horizontal_flip=0.5).hash() == "c9207320"
    assert Augmentation(blur=0.01).hash() not in {*BEFORE.values(), Augmentation(blur=0.02).hash()}
    assert Augmentation(rotation=10).hash() == Augmentation(rotation=10.0).hash()


def test_a_field_at_its_default_is_not_written():
    assert json.loads(Augmentation(rotation=10).to_json()) == {"version": 1, "rotation": 10}
    assert (
        Augmentation(rotation=10, blur=0.01).to_text() == "rotation:10,blur:0.01" and Augmentation().to_text() == "none"
    )


@pytest.mark.parametrize(
    "text", ["rotation", "rotation:", "rotation:x", "rotation:10;scale:1", ":", ",", "rotation:10,,", "\x00"]
)
def test_a_bad_address_names_the_part(text):
    with pytest.raises(OverreadError, match="expected NAME:NUMBER"):
        Augmentation.from_text(text)


@pytest.mark.parametrize("read", [Augmentation.from_text, lambda text: Augmentation.from_json(f'{{"{text}}}')])
def test_a_field_that_comes_twice_is_refused(read):
    text = "rotation:5,scale:0.1,rotation:6"
    text = text if read == Augmentation.from_text else text.replace(":", '":').replace(",", ',"')
    with pytest.raises(OverreadError, match=r"holds rotation twice \(5.* and 6.*\)"):
        read(text)


def test_an_address_holds_to_the_ranges():
    with pytest.raises(OverreadError, match="rotation is 999.0; expected a number from 0 to 180"):
        Augmentation.from_text("rotation:999")
    with pytest.raises(OverreadError, match="unknown 'spin'"):
        Augmentation.from_text("spin:1")


def test_a_hash_that_is_told_is_held_against_the_values():
    good = {"version": 1, "rotation": 10, "hash": Augmentation(rotation=10).hash()}
    assert Augmentation.from_dict(good) == Augmentation(rotation=10)
    with pytest.raises(OverreadError, match="says that its hash is .* it was altered"):
        Augmentation.from_dict({**good, "rotation": 11})
