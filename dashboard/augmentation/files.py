"""An augmentation as a file, under a name for the next training run, and compared with another one."""

import shlex

import pandas as pd
import streamlit as st

from core.data.augment import Augmentation, difference, list_named, save_named
from core.data.augment.spec import MOST_CHARACTERS
from core.errors import OverreadError
from core.training.recipes import RECIPES
from dashboard.augmentation import controls
from dashboard.shared import widgets


def draw_files(augmentation: Augmentation, dataset_name: str, recipe: str) -> None:
    """Draw a button that starts a run with it, and three folds: the file, the command, the comparison."""
    if st.button("Use in a run", key="use_in_run", icon=":material/show_chart:", width="stretch"):
        st.switch_page(
            "runs/page.py",
            query_params={
                "data": dataset_name,
                **({"recipe": recipe} if recipe in RECIPES else {}),
                "augmentation": augmentation.to_text(),
            },
        )
    with st.expander("File"):
        st.download_button(
            "Download as JSON",
            augmentation.to_json(),
            f"augmentation-{augmentation.hash()}.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )
        # A new key after each file, so that the same file can be uploaded again.
        key = f"upload_{st.session_state.get('uploads', 0)}"
        st.file_uploader("Upload JSON", type="json", key=key, on_change=_choose_file, args=(key,))
    with st.expander("Save it"):
        draw_save(augmentation, dataset_name, recipe)
    with st.expander("Compare with another"):
        draw_comparison(augmentation)


def _choose_file(key: str) -> None:
    """The callback of the uploader: choose the augmentation of a valid file, or keep the reason why it is invalid."""
    file = st.session_state.get(key)
    if file is None:
        return
    try:
        # Checked first, since a file of another kind fails by its size with a better message.
        if file.size > 4 * MOST_CHARACTERS:
            raise OverreadError(
                f"it has {file.size:,} bytes; expected a JSON object of at most {MOST_CHARACTERS:,} characters.",
                code="augmentation-file-too-large",
            )
        controls.choose_next(Augmentation.from_json(file.getvalue().decode("utf-8")))
    except (OverreadError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, OverreadError) else f"it is not text in UTF-8 ({error.reason})."
        st.session_state["spec_error"] = f"{file.name[:60]}: {reason}"
    st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1


def draw_save(augmentation: Augmentation, dataset_name: str, recipe: str) -> None:
    """Draw the form that saves it under a name, and the command that trains with it."""
    name = st.text_input("Name", key="spec_name", placeholder=f"spec-{augmentation.hash()}")
    name = name or f"spec-{augmentation.hash()}"
    if st.button("Save under this name", key="save_spec", icon=":material/save:", width="stretch"):
        try:
            st.session_state["spec_saved"] = (name, save_named(name, augmentation) and augmentation.hash())
        except OverreadError as error:
            st.session_state.pop("spec_saved", None)
            widgets.empty("The augmentation is not saved", str(error))
    for broken, reason in list_named()[1].items():
        widgets.note(f"{broken}: {reason}")
    if st.session_state.get("spec_saved") == (name, augmentation.hash()):
        widgets.note("Saved. This command trains with it, and refuses if the saved augmentation has changed:")
        st.code(
            f"python -m core train {shlex.quote(recipe)} --data {shlex.quote(dataset_name)} --out {name}-run "
            f"--augmentation {name}@{augmentation.hash()}",
            language="bash",
            wrap_lines=True,
        )


def draw_comparison(augmentation: Augmentation) -> None:
    """Draw the fields in which it differs from another one."""
    others = controls.named_augmentations()
    name = st.selectbox("Other augmentation", list(others), index=None, placeholder="Choose one", key="beside")
    if not name:
        return
    rows = difference(augmentation, others[name])
    if not rows:
        widgets.note(f"It equals {name}: {augmentation.hash()}.")
        return
    table = pd.DataFrame(rows, columns=["Field", "This", name])
    widgets.draw_table(table, height="content")
    widgets.note(f"This one: {augmentation.hash()}. {name}: {others[name].hash()}.")
