"""The Augmentation page: the address has the whole augmentation, invalid texts change nothing, saved ones can train."""

import json

import pytest

from core.data.augment import PRESETS, Augmentation, find_augmentation
from core.data.augment.named import named_file
from dashboard.augmentation.controls import CONTROLS, FACTORS
from tests.dashboard.conftest import open_page, words

SPEC = Augmentation(rotation=12.345678, blur=0.0123, mixup=0.5, cutmix=0.5, crop=1)


def spec_of(app) -> Augmentation:
    return Augmentation.from_text(app.text_input(key="spec").value)


def open_spec(spec=SPEC, **query):
    app = open_page("augmentation", spec=spec.to_text(), **query)
    assert not app.exception
    return app


def test_every_field_has_a_slider():
    assert set(FACTORS) == set(Augmentation.__dataclass_fields__) and len(FACTORS) == sum(map(len, CONTROLS.values()))


def test_the_address_keeps_every_digit_of_the_augmentation(house):
    app = open_spec(model="alpha")
    assert spec_of(app) == SPEC and f"augmentation {SPEC.hash()}" in words(app)
    assert words(app).count('class="card"') == 13 and "% of " in words(app)


def test_a_slider_changes_only_its_own_field(house):
    app = open_spec(model="alpha")
    app.slider(key="aug_scale").set_value(7.0).run()
    assert spec_of(app) == Augmentation(**{**SPEC.to_dict(), "scale": 0.07})
    app.slider(key="aug_rotation").set_value(3.0).run()
    assert spec_of(app).rotation == 3 and spec_of(app).blur == SPEC.blur


def test_presets_and_augmentations_of_checkpoints_are_copied_exactly(house):
    app = open_spec(model="alpha")
    for name in ("strong", "mura_paper", "none"):
        app.selectbox(key="preset").select(name).run()
        assert spec_of(app) == PRESETS[name] and not app.exception
    app.selectbox(key="preset").select("as beta").run()
    assert spec_of(app) == Augmentation()


@pytest.mark.parametrize("bad", ["rotation:999", "spin:1", "rotation", "x" * 200_000])
def test_an_invalid_text_keeps_the_last_valid_augmentation(house, bad):
    app = open_spec(model="alpha")
    app.text_input(key="spec").set_value(bad).run()
    assert not app.exception and "The last valid augmentation is kept" in words(app)
    assert f"augmentation {SPEC.hash()}" in words(app)
    app.slider(key="aug_scale").set_value(7.0).run()
    assert "last valid augmentation" not in words(app) and spec_of(app).rotation == SPEC.rotation


def test_a_saved_augmentation_is_found_and_its_command_names_its_hash(house):
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


def test_the_comparison_with_another_lists_the_fields_that_differ(house):
    app = open_spec(Augmentation(rotation=10))
    app.selectbox(key="beside").select("mura_paper").run()
    table = app.dataframe[0].value
    assert table.values.tolist() == [["horizontal_flip", 0, 0.5], ["rotation", 10, 30]]


def test_the_radiograph_is_chosen_by_outcome_and_by_the_address(house):
    app = open_spec(model="alpha")
    app.segmented_control(key="original").set_value("Missed").run()
    missed = app.selectbox(key="image").value
    assert "_positive" in missed and not app.exception
    app = open_spec(model="alpha", image=missed, bone="wrist")
    assert app.selectbox(key="image").value == missed and missed in words(app)


def test_samples_have_scores_only_with_a_model(house):
    assert "flips" in words(open_spec(PRESETS["strong"], model="alpha")) or "0." in words(open_spec(model="alpha"))
    assert not open_page("augmentation", data="cold", spec="rotation:10").exception


def test_the_loss_of_known_findings_is_shown_above_the_samples(house):
    assert "Keeps 100% of the area of known findings" in words(open_spec(Augmentation(gamma=0.5), model="alpha"))
    shown = words(open_spec(Augmentation(translation=0.5, horizontal_flip=0.5), model="alpha"))
    assert "mark missed" in shown and "loses it entirely in" in shown and "an L or R marker is mirrored" in shown
    cold = open_page("augmentation", data="cold", spec="crop:1")
    assert not cold.exception and "cannot be counted" in words(cold)


def test_the_stability_of_the_score_over_draws_and_by_bone(house):
    app = open_spec(PRESETS["strong"], model="alpha")
    assert "Decision flips" in words(app) and "n = 64 draws" in words(app) and "nothing scored yet" in words(app)
    app.slider(key="stability_count").set_value(10).run()
    app.button(key="stability").click().run()
    assert not app.exception and "10 radiographs, 64 draws each" in words(app)
    assert {"Bone", "Draws that flip the decision"} <= set(app.dataframe[0].value)
