"""The data set, the figures of its models, and what to do next."""

import pandas as pd
import streamlit as st

from core.among import among
from core.data.index import broken_datasets
from core.metrics.evaluation import outcome_table
from core.metrics.rates import headline_rates
from core.plural import count_text
from core.scores.imports import broken_imports
from core.scores.view import View
from core.workflows.walkthroughs import sort_for_reading
from dashboard.overview.loader import set_facts, workspace_shares
from dashboard.overview.models import model_row_html, own_view
from dashboard.shared import clicks, loaders, maps, selection, widgets
from dashboard.shared.case import cards, open_study
from dashboard.shared.plain import plain
from dashboard.shared.selection import bone_name

ARROW = ":material/arrow_forward:"


def draw_page() -> None:
    view = selection.current()
    maps.load_ahead(view.source)
    widgets.heading(
        "Overview", view.dataset, view.source.data, "Research use only: not a medical device, not for diagnosis."
    )
    draw_dataset(set_facts(view.source))
    draw_models(view)
    draw_next(view)
    draw_workspace()


def draw_workspace() -> None:
    """The megabytes of the workspace, by kind of file."""
    found = workspace_shares()
    total = sum(share.bytes for share in found) / 1e6
    with st.expander(f"Workspace: {total:,.0f} MB", key="workspace"):
        rows = [
            (share.kind.name, share.files, round(share.bytes / 1e6, 1), share.kind.again or "no: people made it")
            for share in found
        ]
        table = pd.DataFrame(rows, columns=["Kind", "Files", "MB", "May be deleted; how it is made again"])
        widgets.draw_table(table)
        widgets.note("To compare every file with its checksum: python -m core doctor")


def draw_dataset(known: dict) -> None:
    """The data set in six figures, among them the leakage verdict."""
    patients, unnamed, splits = known["patients"], known["unnamed"], known["splits"]
    widgets.facts(
        ("Radiographs", f"{known['radiographs']:,}", count_text(known["bones"], "bone")),
        ("Studies", f"{known['studies']:,}", f"{known['radiographs'] / known['studies']:.1f} radiographs each"),
        (
            "Patients",
            f"{patients:,}" if patients else "Unknown",
            f"not named for {count_text(unnamed, 'radiograph')}" if unnamed else "named by the source",
        ),
        (
            "Abnormal",
            f"{known['abnormal']:.1%}" if known["labelled"] else "Unknown",
            f"of {count_text(known['labelled'], 'labelled study')}",
        ),
        (
            "Groups by split" if unnamed else "Patients by split",
            " / ".join(f"{count:,}" for count in splits.values()),
            " / ".join(splits),
        ),
        leakage(known["crossing"], unnamed),
    )


def leakage(crossing: int, unnamed: int) -> tuple[str, ...]:
    """The verdict on patients in two splits; not known where radiographs have no patient id."""
    if crossing:
        return "Leakage", count_text(crossing, "patient"), "in two splits, so figures are too good", "missed"
    if unnamed:
        return "Leakage", "Not known", "patients may overlap; exact copies do not"
    return "Leakage", "None found", "no patient is in two splits"


def draw_models(view: View) -> None:
    """One row per model, the AUROC intervals on one shared axis."""
    whole, broken = loaders.sources(view.dataset), loaders.checkpoints()[1]
    where = f"{view.split}, {bone_name(view.bone).lower()}, each model at its own threshold"
    widgets.caption("Models", f"studies of {view.source.data}: {where}; click a model to open its threshold")
    if whole:
        names = (
            "Model",
            "Study AUROC, bar from 0.5 to 1",
            "Operating point",
            "Threshold",
            *(rate.heading for rate in headline_rates()),
            "Missed",
        )
        right = ("Threshold", "Missed")
        head = "".join(f"<th{' class=number' if name in right else ''}>{name}</th>" for name in names)
        rows = "".join(
            model_row_html(own_view(view, source), name == view.source.name) for name, source in whole.items()
        )
        st.html(f'<div class="table models"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>')
    else:
        widgets.empty(
            "No checkpoint yet",
            "Train one; it appears here after its first epoch.",
            f"python -m core train original-cnn-64 --data {view.source.data} --out original-cnn-64",
        )
    for name, reason in {**broken, **broken_datasets(), **broken_imports()}.items():
        widgets.empty(f"{name} cannot be used", reason)


def draw_next(view: View) -> None:
    """The most useful next step, as a link."""
    source = view.source
    widgets.caption("Next")
    if not loaders.is_scored(source):
        with st.container(horizontal=True):
            if source.model:
                st.page_link(
                    "threshold/page.py", label=f"Score it with {plain(source.name)}", query_params={}, icon=ARROW
                )
            st.page_link("dataset/page.py", label="See the data set", query_params={}, icon=ARROW)
        return
    table = outcome_table(loaders.studies(view), view.threshold)
    missed = int((table["outcome"] == "FN").sum())
    words = f"Read the {count_text(missed, 'missed study')}"
    with st.container(horizontal=True):
        if missed and source.has_images:
            st.page_link("errors/page.py", label=words, query_params={}, icon=ARROW)
        st.page_link("threshold/page.py", label="Choose the threshold", query_params={}, icon=ARROW)
    if source.has_images:
        missed_studies = table[table["outcome"] == "FN"].set_index("study_id", drop=False)
        draw_worst(
            view,
            loaders.predictions(source, view.split),
            missed_studies.loc[sort_for_reading(missed_studies, "FN")[:4]],
        )


def draw_worst(view: View, scores: pd.DataFrame, worst: pd.DataFrame) -> None:
    """The most confident misses, where a reader begins."""
    if worst.empty:
        return
    clicks.on_card(lambda study: st.session_state.update(open_next=study))
    if study := st.session_state.pop("open_next", None):
        open_study.open_study(study)
        # An empty mapping, since None would clear the parameters of the selectors; they write theirs again.
        st.switch_page("errors/page.py", query_params={})
    widgets.caption("Most confident misses", "lowest score first")
    files_of = cards.files_of_studies(view.dataset, scores[among(scores["study_id"], worst["study_id"])])
    widgets.gallery([cards.outcome_card(view, row, files_of(row.study_id), "FN") for row in worst.itertuples()])


draw_page()
