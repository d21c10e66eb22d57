"""Revisions of the labels: accept what readers agree on, and every figure as labelled and as adjudicated."""

import streamlit as st

from core.data.labels import read_labels, relabelled
from core.errors import OverreadError
from core.metrics.counts import counts_table
from core.metrics.ranking import auroc
from core.metrics.rates import RATES, Rate, headline_rates, rates_at
from core.metrics.studies import labelled
from core.review.label_revisions import RULES, decided_labels, find_revision, list_revisions
from core.scores.view import View
from core.workflows.accept_labels import accept_labels
from dashboard.shared import loaders, widgets
from dashboard.shared.case import loader


def show(view: View, reader: str) -> None:
    """What may be accepted now, the revisions there are, and the figures by the one that is chosen."""
    widgets.caption("Labels after review", "the given label is never overwritten; a revision lies over it")
    if error := st.session_state.pop("revision_error", None):
        st.error(error)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = st.selectbox(
            "Rule", list(RULES), key="rule", help="; ".join(f"{name}: {what}" for name, what in RULES.items())
        )
        found = decided_labels(loader.verdicts(view.source.data), rule)
        st.button(
            f"Accept {len(found):,} decided {'study' if len(found) == 1 else 'studies'} as a revision",
            key="accept",
            on_click=_accept,
            args=(view.source.data, reader, rule),
            disabled=not reader or found.empty,
        )
        revisions = list_revisions(loader.store(), view.source.data)
        names = [one.reference for one in reversed(revisions)]
        wanted = st.selectbox(
            "Revision", names, key="revision", bind="query-params", index=0 if names else None, placeholder="None yet"
        )
    if wanted:
        revision = find_revision(loader.store(), view.source.data, wanted)
        widgets.note(
            f"Revision {revision.reference}: by {revision.author} on {revision.created[:10]}, rule {revision.rule}. "
            f"Train by it with --labels {revision.number}."
        )
        show_figures(view, revision.reference)


def show_figures(view: View, reference: str) -> None:
    """AUROC, sensitivity and specificity of the chosen split and bone, by either set of labels."""
    try:
        studies = loaders.studies(view)
    except (OverreadError, TypeError):
        return
    after = relabelled(studies, read_labels(view.source.data, reference))
    rows = [("As labelled", figures(studies, view.threshold)), ("As adjudicated", figures(after, view.threshold))]
    columns = [("AUROC", "auroc", "ratio"), *((rate.heading, rate.name, rate.format) for rate in shown_rates())]
    head = "".join(f"<th>{name}</th>" for name in ("", "Studies", *(name for name, _, _ in columns)))
    body = "".join(
        f"<tr><td><b>{name}</b></td><td>{found['n']:,}</td>"
        + "".join(
            "<td>{}<small>{}</small></td>".format(*widgets.estimate_text(found[key], kind)) for _, key, kind in columns
        )
        + "</tr>"
        for name, found in rows
    )
    st.html(f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')
    changed = int((after["label"].fillna(-1) != after["label_given"].fillna(-1)).sum())
    widgets.note(
        f"{view.split}, threshold {view.threshold:g}: {changed} labels of {len(after):,} studies differ. Where "
        "errors alone were read, the adjudicated figures are flattered; a walkthrough with random agreements says "
        "by how much."
    )


def shown_rates() -> list[Rate]:
    """The rates of the table: those of one-line summaries, and kappa."""
    return [*headline_rates(), RATES["kappa"]]


def figures(studies, threshold: float) -> dict:
    """The figures of STUDIES, by their labels."""
    known = labelled(studies)
    rates = rates_at(counts_table(known["score"], known["label"]), threshold)
    return {"n": len(known), "auroc": auroc(known["score"].to_numpy(), known["label"].to_numpy()), **rates}


def _accept(dataset: str, reader: str, rule: str) -> None:
    try:
        st.session_state["revision"] = accept_labels(loader.store(), dataset, reader, rule)["reference"]
    except OverreadError as error:
        st.session_state["revision_error"] = str(error)
