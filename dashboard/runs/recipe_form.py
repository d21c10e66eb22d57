"""The form of a recipe: one field for each setting, made from what the setting means and may be."""

import json
from dataclasses import replace

import streamlit as st

from core.data.augment import PRESETS, Augmentation, list_named
from core.data.index import Dataset
from core.data.radiograph_weights import weight_references
from core.errors import OverreadError
from core.models.architecture_names import known_architectures
from core.plural import count_text
from core.review.label_revisions import list_revisions
from core.training.recipe import Recipe, with_settings
from core.training.recipes import DESCRIPTIONS, RECIPES
from core.training.settings import GROUPS, Setting, settings_of
from dashboard.shared import address, loaders, widgets
from dashboard.shared.address_kinds import Choice, Text
from dashboard.shared.case.loader import store

OWN = "as in the recipe"
PLAYGROUND = "from the Augmentation page"


def choose_recipe() -> str:
    """Draw the choice of a named recipe, with its description. Returns its name."""
    name = address.bound(st.selectbox, "Recipe", list(RECIPES), key=address.key("recipe", Choice(RECIPES, "recipe")))
    st.caption(DESCRIPTIONS[name])
    return name


def draw_settings(name: str, dataset: Dataset) -> Recipe:
    """Draw a field for each setting of the recipe and return it as changed. Draws the reason where a value is refused.

    OverreadError where the changed recipe is refused.
    """
    recipe, known = RECIPES[name], settings_of(Recipe)
    chosen = {"augmentation": _draw_augmentation(recipe)}
    for group in GROUPS:
        inside = {field: known[field] for field in known if known[field].group == group}
        changed = sum(
            st.session_state.get(f"set_{name}_{field}", getattr(recipe, field)) != getattr(recipe, field)
            for field in inside
        )
        with st.expander(f"{group} ({changed} changed)" if changed else group), st.grid(3, min_column_width=210):
            for field, setting in inside.items():
                chosen[field] = _draw_field(f"set_{name}_{field}", field, setting, getattr(recipe, field), dataset)
    text = st.text_area(
        "Settings as text, one key=value per line",
        key="job_settings",
        placeholder='epochs=10\nmodel_kwargs={"width": 8}',
        height=80,
        help="Written as for the option --set of the command. They are applied after the fields above.",
    )
    if chosen["architecture"] != recipe.architecture and chosen["weights"] == recipe.weights != "":
        # The recipe's start weights fit its own network alone.
        chosen["weights"] = ""
        widgets.note(f"{chosen['architecture']} begins from random weights; the recipe's weights do not fit it.")
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return with_settings(replace(recipe, **chosen), lines)


def _draw_field(key: str, name: str, setting: Setting, value, dataset: Dataset):
    """Draw the field of one setting; its value of the recipe's type."""
    label = name.replace("_", " ").capitalize()
    words = f"{setting.words} {f'Expected: {setting.bounds}.' if setting.bounds else ''} Key: {name}"
    if name == "architecture":
        options = list(dict.fromkeys([value, *known_architectures()]))
        return st.selectbox(
            label, options, index=0, key=key, help=f"{words} Type to search {count_text(len(options), 'name')}.",
            accept_new_options=True,
        ) or value  # fmt: skip
    if name == "labels":
        return _draw_labels(key, words, dataset)
    if name == "radiograph_weights":
        stored = ["", *weight_references(dataset.name)]
        return st.selectbox(label, stored, key=key, help=words, format_func=lambda one: one or "all alike")
    if name in ("bones", "left_out"):
        index = loaders.index(dataset)
        train = index[index["split"] == "train"]
        options = sorted(train["bone"].unique()) if name == "bones" else sorted(train["fold"].unique().tolist())
        return tuple(st.multiselect(label, options, [one for one in value if one in options], key=key, help=words))
    if setting.choices:
        return st.selectbox(label, setting.choices, index=setting.choices.index(value), key=key, help=words)
    if isinstance(value, bool):
        return st.toggle(label, value, key=key, help=words)
    if isinstance(value, int):
        typed = st.number_input(label, *_whole_bounds(setting), value, 1, key=key, help=words)
        return value if typed is None else int(typed)
    if isinstance(value, float):
        typed = st.number_input(label, value=value, key=key, help=words, format="%g", step=_step(value))
        return value if typed is None else typed
    if isinstance(value, dict):
        return _read_arguments(st.text_input(label, json.dumps(value), key=key, help=words))
    return st.text_input(label, value, key=key, help=words).strip()


def _draw_labels(key: str, words: str, dataset: Dataset) -> str:
    """The revision of the labels to train on, newest first; '' for the original ones."""
    revisions = {one.reference: f"revision {one.reference}" for one in reversed(list_revisions(store(), dataset.name))}
    return st.selectbox(
        "Labels", ["", *revisions], key=key, help=words, format_func=lambda one: revisions.get(one, "original")
    )


def _draw_augmentation(recipe: Recipe) -> Augmentation:
    """The augmentation: the recipe's own, a preset, a saved one, or the one that the Augmentation page has sent."""
    sent = _sent_augmentation()
    found = {OWN: recipe.augmentation, **({PLAYGROUND: sent} if sent else {}), **PRESETS}
    found |= {f"saved: {name}": augmentation for name, augmentation in list_named()[0].items()}
    name = st.selectbox(
        "Augmentation",
        list(found),
        index=1 if sent else 0,
        # Another key once one was sent, so that it is chosen although an earlier choice is remembered.
        key=f"job_augmentation_{sent.hash() if sent else ''}",
        help="What training changes in each radiograph at random. Try it on the Augmentation page first.",
    )
    st.caption(found[name].to_text())
    return found[name]


def _sent_augmentation() -> Augmentation | None:
    """The augmentation of the address, which the button 'Use in a run' of the Augmentation page writes."""
    text = address.value("augmentation", Text(2_000))
    if not text:
        return None
    try:
        return Augmentation.from_text(text)
    except OverreadError as error:
        widgets.note(f"The address names an augmentation that cannot be used: {error}")
        return None


def _read_arguments(text: str) -> dict:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise OverreadError(
            f'Model kwargs is {text[:60]!r}; expected a JSON object, as in {{"width": 8}}.', code="setting-value"
        )
    return value


def _whole_bounds(setting: Setting) -> tuple[int | None, int | None]:
    return tuple(None if bound is None else int(bound) for bound in (setting.low, setting.high))


def _step(value: float) -> float:
    """A step that moves the value by about a tenth of it."""
    return 10 ** (len(f"{1 / value:.0f}") * -1) if 0 < value < 1 else 0.1
