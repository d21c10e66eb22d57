"""The threshold: what it finds, what it misses, what it costs, over the split and bone that are chosen."""

import pandas as pd
import streamlit as st

from core.metrics import operating_point
from core.metrics.counts import counts_at
from core.metrics.evaluation import study_group_table
from core.metrics.ranking import auroc, precision_recall_table, roc_table
from core.metrics.studies import labelled
from dashboard import scoring, selection, widgets
from dashboard.charts import bones, curves, outcomes, scores
from dashboard.selection import Selection, bone_name

RULES = {
    "Youden": ("Largest sensitivity + specificity - 1 (Youden 1950).", operating_point.youden),
    "Sensitivity at least 95%": (
        "The highest threshold whose lower 95% bound on sensitivity is 95% or more (Wilson 1927).",
        operating_point.highest_threshold,
    ),
}


def show() -> None:
    chosen = selection.current()
    dataset, checkpoint = scoring.chosen_parts(chosen)
    widgets.heading("Threshold", dataset, checkpoint.name, f"{chosen.split} studies", bone_name(chosen.bone))
    studies, counts = scoring.scored_studies(chosen)
    prevalence = choose_threshold(studies, counts)
    show_rates(studies, counts, chosen.threshold, prevalence)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        show_panel(studies, counts, chosen.threshold)
    with right:
        widgets.show_figure(outcomes.confusion(counts_at(counts, chosen.threshold)), "confusion")
        widgets.show_figure(outcomes.missed_per_bone(study_group_table(studies, chosen.threshold)), "missed_per_bone")
    show_bones(studies, chosen)


def choose_threshold(studies: pd.DataFrame, counts: pd.DataFrame) -> float | None:
    """The threshold by hand, exactly, or by a rule: all set the shared one. Returns the prevalence stated."""
    here = st.session_state["threshold"]
    st.session_state["threshold_slider"] = st.session_state["threshold_exact"] = here
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.slider(
            "Threshold",
            0.0,
            1.0,
            step=0.001,
            format="%.3f",
            key="threshold_slider",
            on_change=_take,
            args=("threshold_slider",),
            help=selection.HELP["threshold"],
        )
        st.number_input(
            "Exact",
            0.0,
            1.0,
            value=None,
            step=0.001,
            format="%.4f",
            key="threshold_exact",
            on_change=_take,
            args=("threshold_exact",),
            width=180,
        )
        for name, (help_text, rule) in RULES.items():
            st.button(name, key=f"rule_{name}", help=help_text, on_click=_apply, args=(name, rule, counts))
        share = labelled(studies)["label"].mean()
        prevalence = st.number_input(
            "Prevalence (%)",
            0.1,
            99.9,
            value=None,
            step=0.5,
            format="%.1f",
            key="prevalence",
            bind="query-params",
            persist_state="session",
            placeholder=f"{share:.1%} here" if pd.notna(share) else "unknown here",
            width=180,
            help="Abnormal per 100 studies where the model will be used; empty: as in these studies.",
        )
    said = st.session_state.pop("rule_said", None)
    if said:
        name, choice = said
        if choice.feasible:
            widgets.note(f"{name}: {choice.threshold:.4f}; {choice.reason}.")
        else:
            st.warning(f"{name} is not feasible here: {choice.reason}.", icon=":material/block:")
    return None if prevalence is None else prevalence / 100


def _take(key: str) -> None:
    # An emptied box is not a threshold of 0.
    if st.session_state[key] is not None:
        selection.choose(threshold=st.session_state[key])


def _apply(name: str, rule, counts: pd.DataFrame) -> None:
    choice = rule(counts)
    if choice.feasible:
        # Above 1 stands only for "nothing is called abnormal".
        selection.choose(threshold=min(choice.threshold, 1.0))
    st.session_state["rule_said"] = (name, choice)


def show_rates(studies: pd.DataFrame, counts: pd.DataFrame, threshold: float, prevalence: float | None) -> None:
    """The figures at this threshold, alerts at the prevalence that is stated."""
    known = labelled(studies)
    rates = operating_point.rates_at(counts, threshold, prevalence=prevalence)
    area = auroc(known["score"], known["label"])
    widgets.facts(
        ("Sensitivity", *widgets.estimate_text(rates["sensitivity"]), "abnormal"),
        ("Specificity", *widgets.estimate_text(rates["specificity"]), "normal"),
        ("Positive predictive value", *widgets.estimate_text(rates["ppv"])),
        ("Negative predictive value", *widgets.estimate_text(rates["npv"])),
        ("Alerts per 100 studies", *widgets.estimate_text(rates["alerts_per_100"], "number")),
        ("Study AUROC", *widgets.estimate_text(area, "auroc")),
    )
    if prevalence is None:
        widgets.note("Predictive values and alerts at the prevalence of these studies: state the one of your clinic.")
    else:
        widgets.note(f"Predictive values and alerts at a prevalence of {prevalence:.1%}; all else as in these studies.")


def show_panel(studies: pd.DataFrame, counts: pd.DataFrame, threshold: float) -> None:
    """Scores, and both curves beneath. One function, since they move together."""
    rates, known = operating_point.rates_at(counts, threshold), labelled(studies)
    widgets.show_figure(scores.histogram(studies, threshold), "histogram")
    left, right = st.columns(2, gap="medium")
    if known["label"].nunique() < 2:
        widgets.empty(
            "Curves are not estimable", "They need abnormal and normal studies; this choice has only one kind."
        )
        return
    sensitivity, specificity, ppv = (rates[name].value for name in ("sensitivity", "specificity", "ppv"))
    with left:
        widgets.show_figure(curves.roc(roc_table(counts), sensitivity, specificity, len(known)), "roc")
    with right:
        table = precision_recall_table(counts)
        widgets.show_figure(
            curves.precision_recall(table, sensitivity, ppv, known["label"].mean(), len(known)), "precision_recall"
        )


def show_bones(studies: pd.DataFrame, chosen: Selection) -> None:
    """The same figures for each bone."""
    table = study_group_table(studies, chosen.threshold)
    pooled = study_group_table(studies.assign(bone="all"), chosen.threshold).iloc[0].to_dict()
    with st.grid(3, min_column_width=300):
        for measure in ("sensitivity", "specificity", "auroc"):
            widgets.show_figure(bones.dot_and_whisker(table, pooled, measure), f"bones_{measure}")
    widgets.note("No whisker stands for fewer than 10 studies of the kind that is counted: no interval is given then.")
    widgets.caption("Per bone", f"at threshold {chosen.threshold:.3f}")
    shown = pd.DataFrame(
        {
            "Bone": table["bone"].map(bone_name),
            "Studies": table["n"],
            "Abnormal": table["n_abnormal"],
            "Missed": table["fn"],
            "False alarms": table["fp"],
            **{
                name.capitalize(): [_cell(row, name, ".1%") for _, row in table.iterrows()]
                for name in ("sensitivity", "specificity")
            },
            "AUROC": [_cell(row, "auroc", ".3f") for _, row in table.iterrows()],
        }
    )
    st.dataframe(shown, hide_index=True)


def _cell(row: pd.Series, name: str, form: str) -> str:
    if pd.isna(row[name]):
        return "Not estimable"
    interval = f" ({row[name + '_low']:{form}} to {row[name + '_high']:{form}})" if pd.notna(row[f"{name}_low"]) else ""
    return f"{row[name]:{form}}{interval}"


show()
