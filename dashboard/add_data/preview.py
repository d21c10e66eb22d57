"""The preview of a source: its contents, the settings that can be changed, and the button that adds it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.label_levels import LEVELS, RULE_WORDS, RULES
from core.data.manifest import NAMES
from core.data.source_layout import KINDS, TableColumns, find_layout, table_columns
from core.data.split_like import TAKEN
from core.errors import OverreadError
from core.plural import count_text
from core.workflows import adding
from core.workflows.add_data import Preview
from core.workflows.data_request import DataRequest, place_of
from dashboard.shared import loaders, widgets
from dashboard.shared.job_status import draw_job
from dashboard.shared.join_report import draw_folded_join_report
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

NOTHING = "none"
OFFERED = ("folder", "extension", "case", "zeros")
PROBLEM_WORDS = {
    "unreadable": "Unreadable",
    "stray": "No radiograph",
    "conflicts": "Doubtful label",
    "converted": "Converted when shown",
}


def draw_request(request: DataRequest) -> None:
    """Draw the state of a data set that is being added: its job, its preview, or why it failed."""
    job = adding.find_job(request.name)
    if failed := job is not None and job.state == "failed":
        st.error(job.message)
    active = not failed and draw_job(
        lambda: adding.find_job(request.name),
        lambda job: f"{'Reading' if job.arguments['preview'] else 'Adding'} {request.name}",
        "Files that were read are not read again.",
    )
    if active:
        st.button("Stop and discard", key="discard_active", on_click=drop, args=(request.name,), **gate("data"))
        return
    found = adding.read_preview(request)
    if found:
        draw_figures(request, found)
    draw_buttons(request, found)
    if found:
        draw_tables(found)
    draw_settings(request, found)


def draw_figures(request: DataRequest, found: Preview) -> None:
    """Draw what was found in five figures."""
    widgets.caption(request.name, f"{KINDS[found.kind]}: {place_of(request).name}")
    labelled = found.labels["abnormal"] + found.labels["normal"]
    unreadable = found.problems["unreadable"]["count"]
    widgets.facts(
        ("Radiographs", f"{found.radiographs:,}", count_text(len(found.bones), "bone")),
        ("Studies", f"{found.studies:,}", f"{found.radiographs / found.studies:.1f} radiographs each"),
        patients_cell(found),
        abnormal_cell(found, labelled),
        ("Unreadable", f"{unreadable:,}", "files left out", *(["missed"] if unreadable else [])),
    )


def draw_tables(found: Preview) -> None:
    """Draw bones, splits, joins and problems."""
    left, right = st.columns(2)
    with left:
        widgets.caption("Bones", "studies by their labels")
        widgets.draw_table(bones_table(found), key="found_bones")
    with right:
        widgets.caption("Splits", splits_words(found))
        widgets.draw_table(splits_table(found), key="found_splits")
    draw_folded_join_report(found.joins, found.notes)
    draw_problems(found)


def draw_problems(found: Preview) -> None:
    """Draw the first files of each kind of problem, folded away."""
    counted = {kind: listed for kind, listed in found.problems.items() if listed["count"]}
    if not counted:
        return
    title = ", ".join(f"{PROBLEM_WORDS[kind].lower()}: {listed['count']:,}" for kind, listed in counted.items())
    with st.expander(title[:1].upper() + title[1:], icon=":material/report:"):
        rows = [{"Problem": PROBLEM_WORDS[kind], **row} for kind, listed in counted.items() for row in listed["first"]]
        widgets.draw_table(pd.DataFrame(rows), height=min(36 * len(rows) + 40, 320))


def draw_settings(request: DataRequest, found: Preview | None) -> None:
    """Draw the columns, labels and splits that can be changed; 'Look again' reads the source with them."""
    table = columns_of(request)
    tree = found is not None and found.kind == "mura"
    if tree and found.splits_from == "source":
        return  # the folders of a MURA tree define everything
    with (
        st.expander("Columns, labels and splits", icon=":material/tune:", expanded=found is None),
        st.form("settings", border=False),
    ):
        changed = draw_columns(request, found, table) if table else request
        if not tree:
            changed = draw_labels(changed, found)
        changed = draw_splits(changed, found)
        if st.form_submit_button("Look again"):
            look_again(changed)


def draw_columns(request: DataRequest, found: Preview | None, table: TableColumns) -> DataRequest:
    """Draw one selector for each column of ours, and the first rows of the table."""
    widgets.draw_table(pd.DataFrame(table.rows, columns=table.columns), key="first_rows")
    used = {**table.known, **table.guess, **(found.columns if found else {}), **request.columns}
    chosen = {}
    fields = st.columns(4)
    for number, ours in enumerate(NAMES):
        options = [NOTHING, *table.columns]
        before = used.get(ours, NOTHING)
        theirs = fields[number % 4].selectbox(
            ours.capitalize(), options, options.index(before) if before in options else 0, key=f"column_{ours}"
        )
        if theirs != NOTHING and theirs != table.known.get(ours):
            chosen[ours] = theirs
    ignoring = st.multiselect(
        "Ignore in paths",
        OFFERED,
        [name for name in request.match_ignoring if name in OFFERED],
        key="ignoring",
        help="Rows match files even if their paths differ in the chosen way.",
    )
    return replace(request, columns=chosen, match_ignoring=tuple(ignoring), guess_columns=False)


def draw_labels(request: DataRequest, found: Preview | None) -> DataRequest:
    """Draw what a label is about, and the rule by which labels of radiographs become the study's."""
    left, right = st.columns(2)
    words = {"": "inferred", "image": "each radiograph", "study": "the study"}
    inferred = f" (inferred: {words[found.label_level]})" if found and found.label_level else ""
    options = ["", *LEVELS]
    level = left.selectbox(
        f"A label is about{inferred}",
        options,
        options.index(request.label_level),
        key="label_level",
        format_func=words.__getitem__,
    )
    rules = ["", *RULES]
    rule = right.selectbox(
        "How labels of radiographs become the study's label",
        rules,
        rules.index(request.study_rule),
        key="study_rule",
        format_func=lambda name: RULE_WORDS[name or "any"],
    )
    return replace(request, label_level=level, study_rule=rule if level != "study" else "")


def draw_splits(request: DataRequest, found: Preview | None) -> DataRequest:
    """Draw the share of patients in valid, the seed and the data set to follow, where the source has no own splits."""
    if found and found.splits_from == "source":
        return request
    left, middle, right = st.columns(3)
    # A data set that was chosen and has been removed since stays in the list; looking again says that it is missing.
    others = list(dict.fromkeys(["", *(name for name in loaders.datasets() if name != request.name), request.split_of]))
    if len(others) > 1:
        split_of = right.selectbox(
            "Same split as",
            others,
            others.index(request.split_of),
            key="split_of",
            format_func=lambda name: plain(name) or "none",
            help="Radiographs that the other data set has too, in any size or encoding, get its split and fold.",
        )
        request = replace(request, split_of=split_of)
    share = left.slider("Patients in valid, %", 0, 90, round(100 * request.valid_fraction), 5, key="valid_share")
    seed = middle.number_input(
        "Seed", 0, 10_000, request.seed, key="split_seed", help="The same seed gives the same splits."
    )
    return replace(request, valid_fraction=share / 100, seed=int(seed))


def draw_buttons(request: DataRequest, found: Preview | None) -> None:
    """Draw the button that adds the data set, and the one that discards it."""
    with st.container(horizontal=True):
        if found and st.button(
            f"Add {plain(request.name)}", type="primary", key="add", icon=":material/add:", **gate("data")
        ):
            try:
                adding.enqueue_add(request)
            except OverreadError as error:
                st.error(plain(error))
            else:
                st.rerun()
        st.button(
            "Discard",
            key="discard",
            on_click=drop,
            args=(request.name,),
            **gate("data", False, "Also removes the upload."),
        )


def look_again(request: DataRequest) -> None:
    """Queue a look with changed settings."""
    try:
        adding.enqueue_look(request)
    except OverreadError as error:
        st.error(plain(error))
    else:
        st.rerun()


def drop(name: str) -> None:
    """Discard an unfinished data set. Used as a callback."""
    try:
        adding.discard(name)
    except OverreadError as error:
        st.toast(plain(error))


def columns_of(request: DataRequest) -> TableColumns | None:
    """The columns of the table at a source; None where it has none, or cannot be read."""
    place = place_of(request)
    try:
        layout = find_layout(place, place / request.table if request.table else None)
        return table_columns(Path(layout.table)) if layout.kind == "manifest" and layout.table else None
    except (OverreadError, OSError):
        return None


def patients_cell(found: Preview) -> tuple[str, str, str]:
    """The number of patients; 'Unknown' where the source names none."""
    unnamed = f"not named for {count_text(found.unnamed, 'radiograph')}" if found.unnamed else "named by the source"
    return "Patients", f"{found.patients:,}" if found.patients else "Unknown", unnamed


def abnormal_cell(found: Preview, labelled: int) -> tuple[str, str, str]:
    """The share of abnormal studies; 'Unknown' where none is labelled."""
    if not labelled:
        return "Abnormal", "Unknown", "no study has a label"
    return "Abnormal", f"{found.labels['abnormal'] / labelled:.1%}", f"of {count_text(labelled, 'labelled study')}"


def bones_table(found: Preview) -> pd.DataFrame:
    """One row per bone."""
    names = {"bone": "Bone", "radiographs": "Radiographs", "studies": "Studies"} | label_names(found.bones)
    return pd.DataFrame(found.bones)[list(names)].rename(columns=names)


def splits_table(found: Preview) -> pd.DataFrame:
    """One row per split."""
    names = {"split": "Split", "patients": "Patients", "studies": "Studies"} | label_names(found.splits)
    table = pd.DataFrame(found.splits)[list(names)].rename(columns=names)
    return table if found.patients else table.drop(columns="Patients")


def label_names(rows: list[dict]) -> dict[str, str]:
    """Columns of labels; that of unknown labels only where there are some."""
    names = {"abnormal": "Abnormal", "normal": "Normal"}
    return names | ({"unknown": "Unlabelled"} if any(row["unknown"] for row in rows) else {})


def splits_words(found: Preview) -> str:
    """The origin of the splits, in words."""
    if found.splits_from == "source":
        return "as in the source"
    if found.splits_from.startswith(TAKEN):
        return found.splits_from
    return "made by patient" if found.patients else "made by study; copies of a file stay together"
