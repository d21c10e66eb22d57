"""Revisions of the labels: accept the reads that readers agree on, and compare the figures before and after."""

import pandas as pd
import streamlit as st

from core.data.labels import read_labels, relabelled
from core.errors import OverreadError
from core.metrics.counts import counts_table
from core.metrics.ranking import auroc
from core.metrics.rates import RATES, Rate, headline_rates, rates_at
from core.metrics.studies import labelled
from core.plural import count_text, share_clause
from core.review.label_revisions import RULES, find_revision, list_revisions
from core.scores.view import View
from core.workflows.accept_labels import accept_labels
from dashboard.shared import address, loaders, widgets
from dashboard.shared.case import loader
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate


def draw_revisions(view: View, reader: str) -> None:
    """The labels that can be accepted now, the revisions so far, and the figures of the chosen one."""
    widgets.caption("Labels after review", "a revision never overwrites the given labels")
    if error := st.session_state.pop("revision_error", None):
        st.error(plain(error))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = st.selectbox(
            "Rule", list(RULES), key="rule", help="; ".join(f"{name}: {words}" for name, words in RULES.items())
        )
        decided = loader.decided(view.source.data, rule)
        st.button(
            f"Accept {count_text(len(decided), 'decided study')} as a revision",
            key="accept",
            on_click=_accept,
            args=(view.source.data, reader, rule),
            **gate("labels", not reader or decided.empty),
        )
        revisions = list_revisions(loader.store(), view.source.data)
        names = [revision.reference for revision in reversed(revisions)]
        wanted = address.bound(
            st.selectbox, "Revision", names, key="revision", index=0 if names else None, placeholder="None yet"
        )
    if wanted:
        revision = find_revision(loader.store(), view.source.data, wanted)
        widgets.note(
            f"Revision {revision.reference}: by {revision.author} on {revision.created[:10]}, rule {revision.rule}. "
            f"To train with it, pass --labels {revision.number}."
        )
        draw_figures(view, revision.reference)


def draw_figures(view: View, reference: str) -> None:
    """The figures of the chosen split and bone by the given labels and by the revision."""
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
        f"{view.split}, threshold {view.threshold:g}: {share_clause(changed, len(after), 'label', 'differ')}. If "
        "only errors were "
        "read, the adjudicated figures are too good; a walkthrough with correctly classified studies, drawn at random, "
        "shows by how much."
    )


def shown_rates() -> list[Rate]:
    """The rates of the table: those of one-line summaries, and kappa."""
    return [*headline_rates(), RATES["kappa"]]


def figures(studies: pd.DataFrame, threshold: float) -> dict:
    """n, AUROC and the rates of STUDIES."""
    known = labelled(studies)
    rates = rates_at(counts_table(known["score"], known["label"]), threshold)
    return {"n": len(known), "auroc": auroc(known["score"].to_numpy(), known["label"].to_numpy()), **rates}


def _accept(dataset: str, reader: str, rule: str) -> None:
    try:
        st.session_state["revision"] = accept_labels(loader.store(), dataset, reader, rule)["reference"]
    except OverreadError as error:
        st.session_state["revision_error"] = str(error)
