"""The tables of the review database."""

import sqlalchemy as sql

metadata = sql.MetaData()
schema_version = sql.Table("overread_schema", metadata, sql.Column("version", sql.Integer, primary_key=True))
reviewers = sql.Table(
    "reviewers",
    metadata,
    # Case-folded, so that 'Ana' and 'ana ' are one reader, who cannot agree with themselves.
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
)
verdicts = sql.Table(
    "verdicts",
    metadata,
    sql.Column("sequence", sql.Integer, sql.Identity(), primary_key=True),
    sql.Column("id", sql.Text, nullable=False, unique=True),
    sql.Column("action", sql.Text, nullable=False),
    sql.Column("dataset", sql.Text, nullable=False),
    sql.Column("study_id", sql.Text, nullable=False),
    sql.Column("image_id", sql.Text),
    sql.Column("view", sql.Text),
    sql.Column("reviewer", sql.Text, nullable=False),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("verdict", sql.Text),
    sql.Column("reading", sql.Text),
    sql.Column("subtype", sql.Text),
    sql.Column("confidence", sql.Text),
    sql.Column("note", sql.Text, nullable=False),
    sql.Column("given_label", sql.Float(53)),
    sql.Column("score_visible", sql.Boolean, nullable=False),
    sql.Column("label_visible", sql.Boolean, nullable=False),
    sql.Column("checkpoint", sql.Text),
    sql.Column("threshold", sql.Float(53)),
    sql.Column("score", sql.Float(53)),
    sql.Column("walkthrough_id", sql.Text),
    sql.Column("created", sql.Text, nullable=False, index=True),
    sql.Column("supersedes", sql.Text, index=True),
    sql.Column("round", sql.Text),
    sql.Index("verdicts_of_study", "dataset", "study_id"),
    sql.Index("verdicts_of_walkthrough", "walkthrough_id"),
    sqlite_autoincrement=True,
)
# Where the findings are, as JSON.
boxes = sql.Table(
    "verdict_boxes",
    metadata,
    sql.Column("entry_id", sql.Text, sql.ForeignKey("verdicts.id"), primary_key=True),
    sql.Column("boxes", sql.Text, nullable=False),
)
walkthroughs = sql.Table(
    "walkthroughs",
    metadata,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("dataset", sql.Text, nullable=False),
    sql.Column("author", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
    sql.UniqueConstraint("dataset", "name"),
)
versions = sql.Table(
    "walkthrough_versions",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("version", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("made_from", sql.Text, nullable=False),
    sql.Column("author", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
)
records = sql.Table(
    "walkthrough_records",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("record", sql.Text, nullable=False),
)
# The studies and films of a walkthrough as they were when it was made, as JSON.
snapshots = sql.Table(
    "walkthrough_snapshots",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("snapshot", sql.Text, nullable=False),
)
# Each step of the lead, with the state after it.
steps = sql.Table(
    "walkthrough_steps",
    metadata,
    sql.Column("sequence", sql.Integer, sql.Identity(), primary_key=True),
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), nullable=False, index=True),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("lead", sql.Text, nullable=False),
    sql.Column("place", sql.Integer, nullable=False),
    sql.Column("study_id", sql.Text, nullable=False),
    sql.Column("round", sql.Text, nullable=False),
    sql.Column("when_answered", sql.Text, nullable=False),
    sql.Column("since", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
    sqlite_autoincrement=True,
)
# The presenter's current view of the films, as JSON.
stages = sql.Table(
    "walkthrough_stages",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("sequence", sql.Integer, nullable=False),
    sql.Column("presenter", sql.Text, nullable=False),
    sql.Column("view", sql.Text, nullable=False),
)
# Actions for after the meeting; closing one is a second row.
actions = sql.Table(
    "walkthrough_actions",
    metadata,
    sql.Column("sequence", sql.Integer, sql.Identity(), primary_key=True),
    sql.Column("id", sql.Text, nullable=False),
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), nullable=False, index=True),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("text", sql.Text, nullable=False),
    sql.Column("owner", sql.Text, nullable=False),
    sql.Column("due", sql.Text, nullable=False),
    sql.Column("author", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
    sql.UniqueConstraint("id", "kind"),
    sqlite_autoincrement=True,
)
cases = sql.Table(
    "walkthrough_cases",
    metadata,
    sql.Column("walkthrough_id", sql.Text, primary_key=True),
    sql.Column("version", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("position", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("study_id", sql.Text, nullable=False),
    sql.Column("note", sql.Text, nullable=False),
    sql.Column("stratum", sql.Text, nullable=False),
    sql.Column("probability", sql.Float(53), nullable=False),
    sql.ForeignKeyConstraint(
        ["walkthrough_id", "version"], ["walkthrough_versions.walkthrough_id", "walkthrough_versions.version"]
    ),
)
# Versions of Overread before the steps wrote these; they are read where a walkthrough has no steps.
positions = sql.Table(
    "walkthrough_positions",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("sequence", sql.Integer, nullable=False),
    sql.Column("place", sql.Integer, nullable=False),
    sql.Column("presenter", sql.Text, nullable=False),
    sql.Column("changed", sql.Text, nullable=False),
)
participants = sql.Table(
    "walkthrough_participants",
    metadata,
    sql.Column("walkthrough_id", sql.Text, sql.ForeignKey("walkthroughs.id"), primary_key=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("place", sql.Integer, nullable=False),
    sql.Column("following", sql.Boolean, nullable=False),
    sql.Column("seen", sql.Float(53), nullable=False),
)
revisions = sql.Table(
    "label_revisions",
    metadata,
    sql.Column("dataset", sql.Text, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("hash", sql.Text, nullable=False),
    sql.Column("rule", sql.Text, nullable=False),
    sql.Column("last_sequence", sql.Integer, nullable=False),
    sql.Column("author", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
)
revision_labels = sql.Table(
    "revision_labels",
    metadata,
    sql.Column("dataset", sql.Text, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("study_id", sql.Text, primary_key=True),
    sql.Column("given_label", sql.Float(53)),
    sql.Column("label", sql.Float(53)),
    sql.Column("outcome", sql.Text, nullable=False),
    sql.Column("verdict_ids", sql.Text, nullable=False),
    sql.ForeignKeyConstraint(["dataset", "number"], ["label_revisions.dataset", "label_revisions.number"]),
)

# Added to existing tables after version 1 was released.
ADDED_COLUMNS = (verdicts.c.round,)
ADDED_INDEXES = tuple(index for index in verdicts.indexes if index.name == "verdicts_of_walkthrough")
# Added after version 1 was released. They are made in older databases when they are opened.
threshold_rooms = sql.Table(
    "threshold_rooms",
    metadata,
    sql.Column("room", sql.Text, primary_key=True),
    sql.Column("sequence", sql.Integer, nullable=False),
    sql.Column("presenter", sql.Text, nullable=False),
    sql.Column("split", sql.Text, nullable=False),
    sql.Column("threshold", sql.Float(53), nullable=False),
    sql.Column("moving", sql.Boolean, nullable=False),
    sql.Column("changed", sql.Text, nullable=False),
)
threshold_people = sql.Table(
    "threshold_people",
    metadata,
    sql.Column("room", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("seen", sql.Float(53), nullable=False),
    sql.Column("proposal", sql.Float(53)),
)
threshold_decisions = sql.Table(
    "threshold_decisions",
    metadata,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("room", sql.Text, nullable=False),
    sql.Column("dataset", sql.Text, nullable=False, index=True),
    sql.Column("author", sql.Text, nullable=False),
    sql.Column("created", sql.Text, nullable=False),
    sql.Column("record", sql.Text, nullable=False),
)
# One link for each group of rows that were written together (`core.review.chain`).
chain = sql.Table(
    "record_chain",
    metadata,
    sql.Column("number", sql.Integer, sql.Identity(), primary_key=True),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("key", sql.Text, nullable=False),
    sql.Column("entry", sql.Integer, index=True),
    sql.Column("content", sql.Text, nullable=False),
    sql.Column("hash", sql.Text, nullable=False),
    sql.Column("made", sql.Text, nullable=False),
    sql.UniqueConstraint("kind", "key"),
    sqlite_autoincrement=True,
)
