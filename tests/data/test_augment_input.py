"""Bad augmentation files are refused in a short sentence with the field, the value and the range."""

import json

import pytest

from core.data.augment import LIMITS, PRESETS, VERSION, Augmentation
from tests.refusals import refused

BAD = [
    ('{"rotate": 10}', "augmentation-field-unknown", "rotate"),
    ('{"rotation": 181}', "augmentation-out-of-range", "rotation is 181; expected a number from 0 to 180"),
    ('{"rotation": -1}', "augmentation-out-of-range", "rotation is -1"),
    ('{"rotation": NaN}', "augmentation-out-of-range", "rotation is nan"),
    ('{"rotation": Infinity}', "augmentation-out-of-range", "rotation is inf"),
    ('{"rotation": true}', "augmentation-out-of-range", "rotation is True"),
    ('{"rotation": null}', "augmentation-out-of-range", "rotation is None"),
    ('{"rotation": "10"}', "augmentation-out-of-range", "rotation is '10'"),
    ('{"rotation": {"degrees": 10}}', "augmentation-out-of-range", "rotation is {'degrees': 10}"),
    ('{"rotation": ' + "9" * 4000 + "}", "augmentation-out-of-range", "rotation is 999"),
    ('{"version": 2}', "augmentation-version", "version is 2; expected 1"),
    ('{"version": true}', "augmentation-version", "version is True; expected 1"),
    ('{"version": "1"}', "augmentation-version", "version is '1'; expected 1"),
    ("[1, 2]", "augmentation-not-json", "is [1, 2]; expected an object"),
    ("", "augmentation-not-json", ""),
    ("\x00\xff" * 5_000_000, "augmentation-too-long", "10,000,000 characters"),
    ("[" * 99_000, "augmentation-not-json", ""),
    (json.dumps({f"field {number}": 1 for number in range(4000)}), "augmentation-field-unknown", "and 3997 more"),
]


@pytest.mark.parametrize(("text", "code", "figure"), BAD, ids=range(len(BAD)))
def test_a_bad_file_is_refused_in_a_short_sentence(text, code, figure):
    with refused(code, figure) as caught:
        Augmentation.from_json(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", LIMITS)
def test_every_field_has_a_range(name):
    low, high = LIMITS[name]
    assert getattr(Augmentation.from_json(json.dumps({name: high})), name) == high
    with refused("augmentation-out-of-range", f"{name} is", f"from {low:g} to {high:g}"):
        Augmentation.from_json(json.dumps({name: high + 0.01}))


@pytest.mark.parametrize("name", PRESETS)
def test_json_gives_the_same_value_and_has_a_version(name):
    text = PRESETS[name].to_json()
    assert json.loads(text)["version"] == VERSION
    assert Augmentation.from_json(text) == PRESETS[name]
    assert Augmentation.from_json(text).hash() == PRESETS[name].hash()


# Hashes from before perspective, crops, equalisation, blur, sharpness and mixing existed.
BEFORE = {"none": "2bb1cd8d", "mura_paper": "3fa9ad04", "light": "229c46d1", "strong": "c46279dc"}


def test_new_fields_do_not_change_old_hashes():
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
def test_a_bad_address_is_refused(text):
    with refused("augmentation-text-invalid", "NAME:NUMBER"):
        Augmentation.from_text(text)


@pytest.mark.parametrize("read", [Augmentation.from_text, lambda text: Augmentation.from_json(f'{{"{text}}}')])
def test_a_repeated_field_is_refused(read):
    text = "rotation:5,scale:0.1,rotation:6"
    text = text if read == Augmentation.from_text else text.replace(":", '":').replace(",", ',"')
    with refused("augmentation-field-repeated", "rotation twice (5", "and 6"):
        read(text)


def test_the_ranges_apply_to_an_address():
    with refused("augmentation-out-of-range", "rotation is 999.0", "from 0 to 180"):
        Augmentation.from_text("rotation:999")
    with refused("augmentation-field-unknown", "'spin'"):
        Augmentation.from_text("spin:1")


def test_a_stated_hash_is_compared_with_the_values():
    good = {"version": 1, "rotation": 10, "hash": Augmentation(rotation=10).hash()}
    assert Augmentation.from_dict(good) == Augmentation(rotation=10)
    with refused("augmentation-altered", good["hash"]):
        Augmentation.from_dict({**good, "rotation": 11})
