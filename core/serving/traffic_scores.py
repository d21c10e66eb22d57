"""Scores of a service's traffic as two imported sets: those of the model that answered, and those of its shadow.

Only studies whose radiographs are in an indexed data set have labels, so only they can be compared.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.index import Dataset, read_index
from core.errors import OverreadError
from core.plural import count_text
from core.scores.import_frame import Columns
from core.scores.imports import ImportedScores
from core.workflows.import_scores import import_scores


@dataclass(frozen=True)
class TrafficScores:
    """The two imported sets, and how many studies of the traffic are in both and in the data set."""

    answered: ImportedScores
    shadow: ImportedScores
    studies: int


def shared_radiographs(log: pd.DataFrame, model: str, shadow: str, dataset: Dataset) -> pd.DataFrame:
    """Radiographs of a data set that both models scored in the service: image_id, study_id, logit, logit_shadow.

    log: `log_table`. model, shadow: digests of weights. One row per radiograph, with its newest scores.
    """
    live = _radiographs(log[(log["digest"] == model) & ~log["shadow"]])
    other = _radiographs(log[(log["digest"] == shadow) & log["shadow"]])
    index = read_index(dataset.name)[["sha1", "image_id", "study_id"]].drop_duplicates("sha1")
    both = live.merge(other, on="sha1", suffixes=("", "_shadow"), validate="one_to_one")
    return index.merge(both, on="sha1", validate="one_to_one").drop(columns="sha1")


def import_traffic(log: pd.DataFrame, model: str, shadow: str, dataset: Dataset) -> TrafficScores:
    """Import the scores of both models on the studies of a data set that the service read, in place of earlier ones.

    OverreadError where no radiograph of the data set was scored by both.
    """
    rows = shared_radiographs(log, model, shadow, dataset)
    if rows.empty:
        raise OverreadError(
            f"No radiograph of {dataset.name} was scored by both models in the log. Index the studies that the service "
            "read, then try again.",
            code="traffic-not-indexed",
        )
    names = log.drop_duplicates("digest", keep="last").set_index("digest")["model"]
    answered, other = [
        _import(rows[["image_id", column]].rename(columns={column: "logit"}), names[digest], digest, role, dataset)
        for column, digest, role in (("logit", model, "answered"), ("logit_shadow", shadow, "shadow"))
    ]
    return TrafficScores(answered, other, int(rows["study_id"].nunique()))


def traffic_sentence(found: TrafficScores) -> str:
    """The result of the import in one sentence."""
    studies = count_text(found.studies, "study")
    return f"Imported the scores of {studies} as {found.answered.name} and {found.shadow.name}."


def _radiographs(rows: pd.DataFrame) -> pd.DataFrame:
    """sha1 and logit of each scored radiograph, the newest where one was read again."""
    scored = [(sha1, logit) for views in rows["views"] for _, sha1, logit in views if logit is not None]
    return pd.DataFrame(scored, columns=["sha1", "logit"]).drop_duplicates("sha1", keep="last")


def _import(table: pd.DataFrame, name: str, digest: str, role: str, dataset: Dataset) -> ImportedScores:
    """Import one set. The import stores the name of its file, which is the hash of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"decisions-{digest}.csv"
        table.to_csv(file, index=False)
        kept = f"{name[:60]}-{digest[:8]}-{role}"
        return import_scores(file, kept, Columns("", "logit", image="image_id"), "logit", dataset.name)
