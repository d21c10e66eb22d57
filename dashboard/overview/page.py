"""What is loaded, how good the models are, and what to do next."""

import pandas as pd
import streamlit as st

from core.data.index import Dataset, broken_datasets
from core.metrics.evaluation import outcome_table
from core.metrics.rates import headline_rates
from dashboard.overview.loader import set_facts
from dashboard.overview.models import model_row
from dashboard.shared import clicks, loaders, selection, widgets
from dashboard.shared.case import study as study_view
from dashboard.shared.selection import ALL, Selection

ARROW = ":material/arrow_forward:"


def show() -> None:
    chosen = selection.current()
    dataset = loaders.choosable()[chosen.dataset]
    widgets.heading("Overview", dataset, dataset.name, "Research use only: not a medical device, not for diagnosis.")
    show_dataset(set_facts(dataset, loaders.sources(dataset).get(chosen.checkpoint)))
    show_models(chosen, dataset)
    show_next(chosen, dataset)


def show_dataset(known: dict) -> None:
    """The set in six figures; the leakage verdict among them."""
    patients, unnamed, splits = known["patients"], known["unnamed"], known["splits"]
    widgets.facts(
        ("Radiographs", f"{known['radiographs']:,}", f"{known['bones']} bones"),
        ("Studies", f"{known['studies']:,}", f"{known['radiographs'] / known['studies']:.1f} radiographs each"),
        (
            "Patients",
            f"{patients:,}" if patients else "Unknown",
            f"not named for {unnamed:,} radiographs" if unnamed else "named by the source",
        ),
        (
            "Abnormal",
            f"{known['abnormal']:.1%}" if known["labelled"] else "Unknown",
            f"of {known['labelled']:,} labelled studies",
        ),
        (
            "Groups by split" if unnamed else "Patients by split",
            " / ".join(f"{count:,}" for count in splits.values()),
            " / ".join(splits),
        ),
        leakage(known["crossing"], unnamed),
    )


def leakage(crossing: int, unnamed: int) -> tuple[str, ...]:
    """The verdict on patients in two splits. Without names there is none, only that exact copies are kept together."""
    if crossing:
        return "Leakage", f"{crossing:,} patients", "are in two splits: figures are too good", "missed"
    if unnamed:
        return "Leakage", "Not known", "patients may overlap; exact copies do not"
    return "Leakage", "None found", "no patient is in two splits"


def show_models(chosen: Selection, dataset: Dataset) -> None:
    """One row a checkpoint, the AUROC intervals on one shared axis."""
    whole, broken = loaders.sources(dataset), loaders.checkpoints()[1]
    where = f"{chosen.split}, {chosen.bone}, threshold {chosen.threshold:.3f}"
    widgets.caption("Models", f"studies of {dataset.name}: {where}")
    if whole:
        names = (
            "Model",
            "Study AUROC, 95% interval",
            "0.5 &rarr; 1.0",
            "Locked threshold",
            *(rate.heading for rate in headline_rates()),
            "Missed",
        )
        head = "".join(f"<th{' class=number' if name == 'Missed' else ''}>{name}</th>" for name in names)
        rows = "".join(model_row(checkpoint, dataset, chosen) for checkpoint in whole.values())
        st.html(f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>')
    else:
        widgets.empty(
            "No checkpoint yet",
            "Train one; it appears here as soon as its first epoch is done.",
            f"python -m core train original-cnn-64 --data {dataset.name} --out original-cnn-64",
        )
    for name, reason in {**broken, **broken_datasets()}.items():
        widgets.empty(f"{name} cannot be used", reason)


def show_next(chosen: Selection, dataset: Dataset) -> None:
    """The most useful thing to do now, as a link."""
    whole = loaders.sources(dataset)
    scores = loaders.predictions(dataset, whole[chosen.checkpoint]) if chosen.checkpoint in whole else None
    widgets.caption("Next")
    if scores is None:
        with st.container(horizontal=True):
            if whole:
                st.page_link(
                    "threshold/page.py",
                    label=f"Score it with {chosen.checkpoint}",
                    query_params={},
                    icon=ARROW,
                )
            st.page_link("dataset/page.py", label="Look at what the data set holds", query_params={}, icon=ARROW)
        return
    studies = loaders.studies(dataset, whole[chosen.checkpoint], chosen.split, chosen.one_bone)
    table = outcome_table(studies, chosen.threshold)
    missed = int((table["outcome"] == "FN").sum())
    words = f"Read the {missed} missed studies" if missed != 1 else "Read the one missed study"
    with st.container(horizontal=True):
        if missed and chosen.has_images:
            st.page_link("errors/page.py", label=words, query_params={}, icon=ARROW)
        st.page_link("threshold/page.py", label="Choose the threshold", query_params={}, icon=ARROW)
    if chosen.has_images:
        show_worst(dataset, scores, study_view.ordered(table, "FN", ALL).head(4), chosen)


def show_worst(dataset: Dataset, scores: pd.DataFrame, worst: pd.DataFrame, chosen: Selection) -> None:
    """The most confident misses, to begin with."""
    if worst.empty:
        return
    clicks.on_card(lambda study: st.session_state.update(open_next=study))
    if study := st.session_state.pop("open_next", None):
        study_view.open_study(study)
        # An empty mapping, since None asks to clear what belongs to the selectors; they write theirs again.
        st.switch_page("errors/page.py", query_params={})
    widgets.caption("Missed with most confidence", "lowest score first")
    files = study_view.with_files(dataset, scores[scores["study_id"].isin(worst["study_id"])])
    cards = [
        study_view.card(dataset, row, files[files["study_id"] == row.study_id], chosen, "FN")
        for row in worst.itertuples()
    ]
    widgets.gallery(cards)


show()
