"""The playground: the address holds the whole augmentation, a bad one changes nothing, what is saved is what trains."""

import json

import pytest

from core.data.augment import PRESETS, Augmentation, find_augmentation
from core.data.augment.named import named_file
from dashboard.augmentation.controls import CONTROLS, FIELDS
from tests.dashboard.conftest import open_page, words

SPEC = Augmentation(rotation=12.345678, blur=0.0123, mixup=0.5, cutmix=0.5, crop=1)


def spec_of(app) -> Augmentation:
    return Augmentation.from_text(app.text_input(key="spec").value)


def open_spec(spec=SPEC, **query):
    app = open_page("augmentation", spec=spec.to_text(), **query)
    assert not app.exception
    return app


def test_every_field_has_its_slider():
    assert set(FIELDS) == set(Augmentation.__dataclass_fields__) and len(FIELDS) == sum(map(len, CONTROLS.values()))


def test_the_address_is_the_augmentation_exactly(house):
    app = open_spec(model="alpha")
    assert spec_of(app) == SPEC and f"augmentation {SPEC.hash()}" in words(app)
    assert words(app).count('class="card"') == 13 and "% of " in words(app)


def test_a_slider_changes_its_own_field_alone(house):
    app = open_spec(model="alpha")
    app.slider(key="aug_scale").set_value(7.0).run()
    assert spec_of(app) == Augmentation(**{**SPEC.to_dict(), "scale": 0.07})
    app.slider(key="aug_rotation").set_value(3.0).run()
    assert spec_of(app).rotation == 3 and spec_of(app).blur == SPEC.blur


def test_presets_and_checkpoints_are_taken_exactly(house):
    app = open_spec(model="alpha")
    for name in ("strong", "mura_paper", "none"):
        app.selectbox(key="preset").select(name).run()
        assert spec_of(app) == PRESETS[name] and not app.exception
    app.selectbox(key="preset").select("as beta").run()
    assert spec_of(app) == Augmentation()


@pytest.mark.parametrize("bad", ["rotation:999", "spin:1", "rotation", "x" * 200_000])
def test_a_bad_text_keeps_the_last_good_one(house, bad):
    app = open_spec(model="alpha")
    before = words(app)
    app.text_input(key="spec").set_value(bad).run()
    assert not app.exception and "The last good one is kept" in words(app)
    assert f"augmentation {SPEC.hash()}" in words(app)
    app.slider(key="aug_scale").set_value(7.0).run()
    assert "last good one" not in words(app) and spec_of(app).rotation == SPEC.rotation and before


def test_what_is_saved_is_found_and_trains_with_its_hash(house):
    app = open_spec(model="alpha")
    app.text_input(key="spec_name").set_value("hands").run()
    app.button(key="save_spec").click().run()
    assert not app.exception and find_augmentation("hands") == SPEC
    assert f"--augmentation hands@{SPEC.hash()}" in app.code[0].value
    assert json.loads(named_file("hands").read_text())["hash"] == SPEC.hash()
    app.slider(key="aug_scale").set_value(7.0).run()
    app.button(key="save_spec").click().run()
    assert "is another augmentation" in words(app) and find_augmentation("hands") == SPEC
    named_file("hands").unlink()


def test_the_difference_from_another(house):
    app = open_spec(Augmentation(rotation=10))
    app.selectbox(key="beside").select("mura_paper").run()
    table = app.dataframe[0].value
    assert table.values.tolist() == [["horizontal_flip", 0, 0.5], ["rotation", 10, 30]]


def test_the_original_is_switched_by_bone_by_error_and_by_id(house):
    app = open_spec(model="alpha")
    app.segmented_control(key="original").set_value("Missed").run()
    missed = app.selectbox(key="image").value
    assert "_positive" in missed and not app.exception
    app = open_spec(model="alpha", image=missed, bone="wrist")
    assert app.selectbox(key="image").value == missed and missed in words(app)


def test_scores_stand_under_samples_only_with_a_model(house):
    assert "flips" in words(open_spec(PRESETS["strong"], model="alpha")) or "0." in words(open_spec(model="alpha"))
    assert not open_page("augmentation", data="cold", spec="rotation:10").exception


def test_what_is_lost_of_the_findings_stands_above(house):
    assert "Keeps 100% of the area of known findings" in words(open_spec(Augmentation(gamma=0.5), model="alpha"))
    said = words(open_spec(Augmentation(translation=0.5, horizontal_flip=0.5), model="alpha"))
    assert "mark missed" in said and "loses it entirely in" in said and "an L or R marker is mirrored" in said
    cold = open_page("augmentation", data="cold", spec="crop:1")
    assert not cold.exception and "cannot be counted" in words(cold)


def test_how_steady_the_model_is_over_draws_and_per_bone(house):
    app = open_spec(PRESETS["strong"], model="alpha")
    assert "Decision flips" in words(app) and "n = 64 draws" in words(app) and "nothing drawn yet" in words(app)
    app.slider(key="stability_count").set_value(10).run()
    app.button(key="stability").click().run()
    assert not app.exception and "10 radiographs, 64 draws each" in words(app)
    assert {"Bone", "Decisions that flip"} <= set(app.dataframe[0].value)
