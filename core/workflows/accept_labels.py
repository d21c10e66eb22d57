"""Accept the verdicts in force on a data set as a revision of its labels. The original labels are kept."""

from dataclasses import asdict

from core.data.labels import labels_file
from core.review.database import Store
from core.review.label_revisions import accept_labels as write_revision
from core.review.label_revisions import revision_table


def accept_labels(store: Store, data: str, author: str, rule: str = "agreed") -> dict:
    """The revision's record, its `reference`, `outcomes` (studies by what became of their label) and `file`.

    rule: a key of `core.review.label_revisions.RULES`. Returns the latest revision where nothing has changed.
    """
    revision = write_revision(store, data, author, rule)
    outcomes = revision_table(store, revision)["outcome"].value_counts().to_dict()
    return {
        **asdict(revision),
        "reference": revision.reference,
        "outcomes": outcomes,
        "file": str(labels_file(data, revision.reference)),
    }
