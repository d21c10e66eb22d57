"""An augmentation in and out: JSON down and up, under a name for the next training run, and beside another one."""

import shlex

import pandas as pd
import streamlit as st

from core.data.augment import Augmentation, difference, list_named, save_named
from core.data.augment.spec import MOST_CHARACTERS
from core.errors import OverreadError
from dashboard.augmentation import controls
from dashboard.shared import widgets


def show(augmentation: Augmentation, dataset_name: str, recipe: str) -> None:
    """Three folds: files, the next run, the difference."""
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
        # A new key after each file, so that the same file can be given again.
        key = f"upload_{st.session_state.get('uploads', 0)}"
        st.file_uploader("Upload JSON", type="json", key=key, on_change=_take_file, args=(key,))
    with st.expander("Use for the next training run"):
        save(augmentation, dataset_name, recipe)
    with st.expander("Difference from another"):
        compare(augmentation)


def _take_file(key: str) -> None:
    """The callback of the uploader: a good file is taken, a bad one is a message and changes nothing."""
    file = st.session_state.get(key)
    if file is None:
        return
    try:
        # Half of a great file would be no JSON either, and its size is the better message.
        if file.size > 4 * MOST_CHARACTERS:
            raise OverreadError(f"it has {file.size:,} bytes; expected a JSON object of at most {MOST_CHARACTERS:,}.")
        controls.take(Augmentation.from_json(file.getvalue().decode("utf-8")))
    except (OverreadError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, OverreadError) else f"it is not text in UTF-8 ({error.reason})."
        st.session_state["spec_error"] = f"{file.name[:60]}: {reason}"
    st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1


def save(augmentation: Augmentation, dataset_name: str, recipe: str) -> None:
    """Under a name in the workspace, and the command that trains with just this."""
    name = st.text_input("Name", key="spec_name", placeholder=f"spec-{augmentation.hash()}")
    name = name or f"spec-{augmentation.hash()}"
    if st.button("Save under this name", key="save_spec", icon=":material/save:", width="stretch"):
        try:
            st.session_state["spec_saved"] = (name, save_named(name, augmentation) and augmentation.hash())
        except OverreadError as error:
            st.session_state.pop("spec_saved", None)
            widgets.empty("Not saved", str(error))
    for broken, reason in list_named()[1].items():
        widgets.note(f"{broken}: {reason}")
    if st.session_state.get("spec_saved") == (name, augmentation.hash()):
        widgets.note("Saved. It trains with just this, or not at all:")
        st.code(
            f"python -m core train {shlex.quote(recipe)} --data {shlex.quote(dataset_name)} --out {name}-run "
            f"--augmentation {name}@{augmentation.hash()}",
            language="bash",
            wrap_lines=True,
        )


def compare(augmentation: Augmentation) -> None:
    """The fields in which it differs from another one."""
    others = controls.known()
    name = st.selectbox("Beside", list(others), index=None, placeholder="Another one", key="beside")
    if not name:
        return
    rows = difference(augmentation, others[name])
    if not rows:
        widgets.note(f"The same as {name}: {augmentation.hash()}.")
        return
    table = pd.DataFrame(rows, columns=["Field", "This", name])
    st.dataframe(table, hide_index=True, height="content")
    widgets.note(f"This is {augmentation.hash()}, {name} is {others[name].hash()}.")
