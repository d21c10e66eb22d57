"""Recipes, the settings that change them, and class balance."""

import json
from dataclasses import fields, replace

import pandas as pd
import pytest

from core.data.augment import PRESETS
from core.errors import OverreadError
from core.training.balance import effective_prior, loss_weights, sampling_weights, study_counts
from core.training.recipe import Recipe, with_settings
from core.training.recipes import RECIPES, named_recipe
from core.training.settings import GROUPS, settings_of
from tests.refusals import refused


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_json_round_trip_is_exact(recipe):
    assert Recipe.from_json(recipe.to_json()) == recipe and named_recipe(recipe.name) is recipe


def test_settings_change_values_and_keep_their_kind():
    changed = with_settings(
        named_recipe("original-cnn-64"),
        ["epochs=3", "learning_rate=1", "augmentation.rotation=12", 'model_kwargs={"width": 8}', "balance=sampler"],
    )
    assert (changed.epochs, changed.learning_rate, changed.augmentation.rotation) == (3, 1.0, 12.0)
    assert changed.model_kwargs == {"width": 8} and changed.balance == "sampler"
    assert changed.augmentation.horizontal_flip == 0.5
    assert with_settings(changed, ["augmentation=strong"]).augmentation == PRESETS["strong"]


@pytest.mark.parametrize(
    ("setting", "code", "figure"),
    [
        ("epoch=3", "setting-unknown", "name, architecture"),
        ("epochs", "setting-invalid", "key=value"),
        ("epochs=three", "setting-value", "whole number"),
        ("epochs=2.5", "setting-value", "whole number"),
        ("learning_rate=fast", "setting-value", "a number"),
        (f"learning_rate={10**400}", "setting-value", "a number"),
        ("epochs=0", "setting-value", "1 or more"),
        ("batch_size=1", "setting-value", "2 or more"),
        ("weight_decay=-1", "setting-value", "weight_decay 0 or more"),
        ("seed=99999999999999999999", "setting-value", "2**31"),
        ("balance=both", "setting-value", "none, sampler, weight"),
        ("augmentation=wild", "setting-value", "none, "),
        ("augmentation.spin=1", "setting-unknown", "augmentation.spin"),
        ("model_kwargs=8", "setting-value", "JSON object"),
        ("learning_rate=0", "setting-value", "learning_rate above 0"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused(setting, code, figure):
    with refused(code, figure):
        with_settings(named_recipe("original-cnn-64"), [setting])


@pytest.mark.parametrize("text", ["nan", "-1", "1", "2"])
def test_every_bound_refuses_what_is_outside_of_it(text):
    with refused("setting-value", "label_smoothing", "0 to below 1"):
        replace(named_recipe("original-cnn-64"), label_smoothing=float(text))


def test_each_setting_says_what_it_means_and_is_in_a_group():
    known = settings_of(Recipe)
    assert set(known) == {one.name for one in fields(Recipe)} - {"name", "augmentation"}
    assert all(one.words.endswith(".") and one.group in GROUPS for one in known.values())
    assert known["backbone_rate"].bounds == "above 0 to 1" and known["epochs"].bounds == "1 or more"


def test_an_augmentation_out_of_range_is_refused():
    with pytest.raises(OverreadError, match="from 0 to 180"):
        with_settings(named_recipe("original-cnn-64"), ["augmentation.rotation=400"])


def test_an_unknown_recipe_or_key_is_named():
    with refused("recipe-unknown", "'x'", "original-cnn-64"):
        named_recipe("x")
    with refused("recipe-unknown-keys", "colour"):
        Recipe.from_json('{"colour": 1}')


@pytest.mark.parametrize(
    ("text", "code", "figure"),
    [
        ("{", "recipe-not-json", "JSON"),
        ("[" * 100_000, "recipe-not-json", "JSON"),
        ("null", "recipe-invalid", "NoneType"),
        ('{"name": "a"}', "recipe-invalid", "architecture"),
        ('{"name": [], "architecture": "small_cnn"}', "recipe-invalid", "name"),
        ('{"name": "a", "architecture": {"": null}}', "setting-value", "architecture"),
        ('{"name": "a", "architecture": "small_cnn", "epochs": "ten"}', "setting-value", "'ten'"),
        ('{"name": "a", "architecture": "small_cnn", "epochs": true}', "setting-value", "a whole number"),
        ('{"name": "a", "architecture": "small_cnn", "clip_norm": null}', "setting-value", "a number"),
        ('{"name": "a", "architecture": "small_cnn", "compile": 1}', "setting-value", "true or false"),
        ('{"name": "a", "architecture": "small_cnn", "model_kwargs": []}', "setting-value", "a JSON object"),
        ('{"name": "a", "architecture": "small_cnn", "bones": 3}', "setting-value", "a list"),
        ('{"name": "a", "architecture": "small_cnn", "bones": [[]]}', "setting-value", "a list"),
    ],
)
def test_a_text_that_is_no_recipe_is_refused_in_words(text, code, figure):
    with refused(code, figure):
        Recipe.from_json(text)


# Bone a: study s1 normal with 3 views, s2 abnormal with 1; bone b: s3, s4 normal with 1 view, s5 abnormal with 2.
ROWS = pd.DataFrame(
    {
        "image_id": list("uvwxyzpq"),
        "study_id": ["s1", "s1", "s1", "s2", "s3", "s4", "s5", "s5"],
        "bone": list("aaaabbbb"),
        "label": [0.0, 0, 0, 1, 0, 0, 1, 1],
    }
)


def test_sampling_is_equal_for_bones_labels_and_their_studies():
    weights = pd.Series(sampling_weights(ROWS))
    assert weights.groupby([ROWS["bone"], ROWS["label"]]).sum().tolist() == pytest.approx([0.25] * 4)
    assert weights.groupby(ROWS["study_id"]).sum().tolist() == pytest.approx([0.25, 0.25, 0.125, 0.125, 0.25])
    assert effective_prior(ROWS, "sampler") == pytest.approx(0.5)


def test_loss_weights_are_those_of_the_mura_paper_per_bone():
    weights = loss_weights(ROWS)
    # Bone a has 1 of 2 studies abnormal, b 1 of 3: (1/2, 1/2) and (2/3 abnormal, 1/3 normal), then mean 1.
    by_hand = pd.Series([1 / 2] * 4 + [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert weights.tolist() == pytest.approx((by_hand / by_hand.mean()).tolist())
    assert effective_prior(ROWS, "none") == pytest.approx(3 / 8)


def test_a_bone_with_one_label_keeps_its_weight():
    one = pd.concat([ROWS, ROWS.iloc[:2].assign(bone="c", study_id="s9", image_id=["k", "l"])], ignore_index=True)
    assert (loss_weights(one) > 0).all()
    assert study_counts(one).set_index(["bone", "label"]).loc[("c", 0.0)].tolist() == [1, 2]


def test_recipes_are_values():
    assert replace(RECIPES["mura-paper"], epochs=1) != RECIPES["mura-paper"]


def test_a_boolean_setting_accepts_nothing_else():
    assert with_settings(RECIPES["fast-cpu"], ["compile=true"]).compile is True
    for text in ("1", "yes", '"true"'):
        with refused("setting-value", "compile=false"):
            with_settings(RECIPES["fast-cpu"], [f"compile={text}"])
    with refused("setting-value", "epochs=true"):
        with_settings(RECIPES["fast-cpu"], ["epochs=true"])


@pytest.mark.parametrize("name", ["warmup_epochs", "epochs", "learning_rate", "seed", "weight_decay"])
def test_a_whole_number_beyond_every_float_is_refused_in_words(name):
    text = json.dumps({**json.loads(named_recipe("fast-cpu").to_json()), name: 10**400})
    with refused("setting-value", name):
        Recipe.from_json(text)
