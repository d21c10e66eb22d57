"""Label revisions from verdicts: the label of each decided study, and the entries that decided it."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sqlalchemy as sql

from core.among import among
from core.data.labels import labels_file, labels_hash, read_labels, relabelled, write_labels
from core.data.references import name_in
from core.errors import OverreadError
from core.review import chain, tables
from core.review.agreement import latest_reads
from core.review.database import Store, open_store, timestamp, transaction
from core.review.readers import register_reviewer
from core.review.store import latest_sequence, verdicts_table
from core.roles import needs

RULES = {
    "agreed": "an adjudication, else the read that all readers of the study share; one reader is enough",
    "two": "an adjudication, else the read that all readers of the study share, at least two",
    "adjudicated": "an adjudication only",
}


@dataclass(frozen=True)
class Revision:
    """A revision of the labels of a data set."""

    dataset: str
    number: int
    hash: str
    rule: str
    author: str
    created: str

    @property
    def reference(self) -> str:
        """NUMBER@HASH. A checkpoint that was trained on the revision stores it."""
        return f"{self.number}@{self.hash}"


def decided_labels(verdicts: pd.DataFrame, rule: str = "agreed") -> pd.DataFrame:
    """One row per study decided by verdicts in force: study_id, given_label, label, outcome, verdict_ids.

    label: 1, 0, or NaN for an excluded study; outcome: confirmed, corrected, labelled (it had no label), unreadable or
    out_of_scope. Studies that the rule does not decide have no row and keep their label. OverreadError for an unknown
    rule.
    """
    if rule not in RULES:
        raise OverreadError(
            f"The rule is {rule[:40]!r}; expected one of {', '.join(RULES)}.", code="label-rule-unknown"
        )
    reads = latest_reads(verdicts)
    same = reads.groupby("study_id")["read"].transform("nunique") == 1
    readers = reads.groupby("study_id")["read"].transform("size")
    enough = readers >= {"agreed": 1, "two": 2, "adjudicated": np.inf}[rule]
    last = verdicts[verdicts["kind"] == "adjudication"].sort_values(["created", "sequence"])
    last = last.drop_duplicates("study_id", keep="last")
    rows = pd.concat([reads[same & enough & ~among(reads["study_id"], last["study_id"])], last])
    found = rows.groupby("study_id").agg(
        given_label=("given_label", "last"), read=("read", "last"), verdict_ids=("id", _ids)
    ).reset_index()  # fmt: skip
    found["label"] = found["read"].map({"abnormal": 1.0, "normal": 0.0}).astype(float)
    outcome = np.where(found["label"] == found["given_label"], "confirmed", "corrected")
    outcome = np.where(found["given_label"].isna(), "labelled", outcome)
    found["outcome"] = np.where(found["label"].isna(), found["read"], outcome).astype(object)
    return found[["study_id", "given_label", "label", "outcome", "verdict_ids"]].astype({"given_label": float})


@needs("labels")
def accept_labels(store: Store, dataset: str, author: str, rule: str = "agreed") -> Revision:
    """Make a revision of the current verdicts and write its file. Returns the newest revision where nothing has
    changed. OverreadError where no verdict decides a label."""
    sequence = latest_sequence(store)
    table = decided_labels(verdicts_table(store, dataset, upto=sequence), rule)
    if table.empty:
        raise OverreadError(
            f"No verdict on {dataset} decides a label by the rule {rule!r} ({RULES[rule]}). Read some studies first.",
            code="no-label-decided",
        )
    digest = labels_hash(table)
    with transaction(store, write=True) as connection:
        before = _newest(connection, dataset)
        if before is not None and before.hash == digest and before.rule == rule:
            revision = before
        else:
            number = before.number + 1 if before else 1
            revision = Revision(dataset, number, digest, rule, register_reviewer(connection, author), timestamp())
            connection.execute(tables.revisions.insert().values(**{**revision.__dict__, "last_sequence": sequence}))
            rows = table.astype(object).where(table.notna(), None).to_dict("records")
            connection.execute(
                tables.revision_labels.insert(), [{"dataset": dataset, "number": number, **row} for row in rows]
            )
            for part in (tables.revisions, tables.revision_labels):
                chain.append(connection, part, (dataset, number))
    write_labels(dataset, revision.reference, table)
    return revision


def list_revisions(store: Store, dataset: str) -> list[Revision]:
    """Every revision of a data set, the oldest first."""
    table = tables.revisions
    with transaction(store) as connection:
        rows = connection.execute(_query().where(table.c.dataset == dataset).order_by(table.c.number)).all()
    return [Revision(*row) for row in rows]


def find_revision(store: Store, dataset: str, wanted: str = "latest") -> Revision:
    """The revision of a number, a reference or 'latest'. A missing file is written again.

    OverreadError for an unknown one.
    """
    revisions = list_revisions(store, dataset)
    names = {name: found for found in revisions for name in (str(found.number), found.reference)}
    if revisions:
        names["latest"] = revisions[-1]
    if wanted not in names:
        known = ", ".join(found.reference for found in revisions) or "none; accept verdicts first"
        raise OverreadError(
            f"{dataset} has no label revision {wanted[:40]!r} (found: {known}). Choose one of these.",
            code="revision-missing",
        )
    revision = names[wanted]
    if not labels_file(dataset, revision.reference).exists():
        write_labels(dataset, revision.reference, revision_table(store, revision))
    return revision


def revision_table(store: Store, revision: Revision) -> pd.DataFrame:
    """The labels of a revision, with the ids of the verdicts behind them."""
    table = tables.revision_labels
    names = ["study_id", "given_label", "label", "outcome", "verdict_ids"]
    query = sql.select(*(table.c[name] for name in names)).where(
        table.c.dataset == revision.dataset, table.c.number == revision.number
    )
    with transaction(store) as connection:
        chain.check(connection, table, (revision.dataset, revision.number), f"label revision {revision.reference}")
        rows = connection.execute(query.order_by(table.c.study_id)).all()
    return pd.DataFrame(rows, columns=names).astype({"given_label": float, "label": float})


def _ids(entries: pd.Series) -> str:
    return json.dumps(sorted(entries))


def with_revised_labels(frame: pd.DataFrame, wanted: str, dataset: str = "") -> tuple[str, pd.DataFrame]:
    """The revision's reference, and PREDICTIONS with its labels. dataset: by default the one of the scores.

    OverreadError for scores without a data set.
    """
    names = {dataset} if dataset else {name_in(one) for one in frame["dataset"].unique()}
    if len(names) != 1 or not min(names):
        raise OverreadError(
            "The scores belong to no data set, but label revisions do. Give --data NAME.",
            code="data-not-given",
        )
    name = names.pop()
    reference = find_revision(open_store(), name, wanted).reference
    return reference, relabelled(frame, read_labels(name, reference))


def _query():
    table = tables.revisions
    return sql.select(*(table.c[name] for name in ("dataset", "number", "hash", "rule", "author", "created")))


def _newest(connection, dataset: str) -> Revision | None:
    table = tables.revisions
    row = connection.execute(_query().where(table.c.dataset == dataset).order_by(table.c.number.desc())).first()
    return Revision(*row) if row else None
