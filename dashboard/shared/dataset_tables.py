"""Small tables of a data set, cached, since a page draws them on every run."""

import numpy as np
import pandas as pd

from core.among import among
from core.data.balance import balance_table, file_sizes_table, views_table
from core.data.index import Dataset, conflicting_studies
from core.data.mura_counts import is_mura, published_counts_table
from core.data.pixels import UnreadableImage, read_grey, to_square
from core.data.resize_loss import LARGEST_SIDE, SIZES, resize_loss_summary, resize_loss_table
from core.ordered import codes_of
from core.plural import count_text
from core.training.balance import effective_prior
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, stamp

BALANCES = {
    "none": "every radiograph once",
    "weight": "weighted by bone and study, as in Rajpurkar 2017",
    "sampler": "bones and labels drawn equally often",
}


def counts(dataset: Dataset, level: str) -> pd.DataFrame:
    """`balance_table` by radiograph, study or patient."""
    return _tables(dataset, _index_stamp(dataset))[level]


def views(dataset: Dataset, bone: str) -> pd.Series:
    """`views_table` of all bones ('') or one."""
    return _bone_tables(dataset, _index_stamp(dataset), bone)[0]


def file_sizes(dataset: Dataset, bone: str) -> pd.DataFrame:
    """`file_sizes_table` of all bones ('') or one; attrs `total`, the number of radiographs."""
    return _bone_tables(dataset, _index_stamp(dataset), bone)[1]


def priors(dataset: Dataset) -> pd.DataFrame:
    """The share of abnormal radiographs in training with each balance: `balance`, `prior`; empty without labels."""
    return _tables(dataset, _index_stamp(dataset))["priors"]


def published(dataset: Dataset) -> pd.DataFrame | None:
    """`published_counts_table` of MURA v1.1; None for any other data set."""
    return _tables(dataset, _index_stamp(dataset))["published"] if not dataset.phantom else None


def totals(dataset: Dataset) -> str:
    """The numbers of radiographs, studies and known patients as text."""
    return _tables(dataset, _index_stamp(dataset))["totals"]


def size_losses(dataset: Dataset, bone: str, count: int = 48) -> pd.DataFrame:
    """`resize_loss_summary` over `count` radiographs at regular steps."""
    return _losses(dataset, _index_stamp(dataset), bone, count)


def at_sizes(dataset: Dataset, row: pd.Series) -> tuple[list[str], pd.DataFrame]:
    """A radiograph at each of SIZES and at full size as data URIs, and its `resize_loss_table`.

    UnreadableImage where it cannot be decoded.
    """
    return _at_sizes(f"{dataset.root}/{row['path']}", row["sha1"])


def _index_stamp(dataset: Dataset) -> FileStamp:
    return stamp(loaders.index_file(dataset))


@cached_data(max_entries=64)
def _at_sizes(file: str, sha1: str) -> tuple[list[str], pd.DataFrame]:
    grey = read_grey(file)
    sides = [*SIZES, min(max(grey.shape), LARGEST_SIDE)]
    return [loaders.picture_uri(to_square(grey, side)) for side in sides], resize_loss_table(grey)


@cached_resource(max_entries=8, show_spinner="Counting")
def _tables(dataset: Dataset, file: FileStamp) -> dict:
    index = loaders.index(dataset)
    # Numbers for the names that are only compared: pandas would hash a million names for each table.
    coded = index[["split", "bone", "label"]].assign(
        image_id=np.arange(len(index)), study_id=codes_of(index["study_id"]), group_id=codes_of(index["group_id"])
    )
    learnt = (coded["split"] == "train") & coded["label"].notna()
    train = coded[learnt & ~among(coded["study_id"], conflicting_studies(coded))]
    patients = index["patient_id"].nunique()
    rows = [(balance, effective_prior(train, balance)) for balance in BALANCES] if len(train) else []
    return {
        **{level: balance_table(coded, level) for level in ("radiograph", "study", "patient")},
        "totals": f"{count_text(len(index), 'radiograph')}, {count_text(coded['study_id'].nunique(), 'study')}, "
        f"{count_text(patients, 'known patient') if patients else 'no known patients'}",
        "priors": pd.DataFrame(rows, columns=["balance", "prior"]),
        "published": published_counts_table(index) if is_mura(index, dataset.kind) else None,
    }


@cached_resource(max_entries=64)
def _bone_tables(dataset: Dataset, file: FileStamp, bone: str) -> tuple[pd.Series, pd.DataFrame]:
    index = loaders.index(dataset)
    rows = index[index["bone"] == bone] if bone else index
    sizes = file_sizes_table(rows)
    sizes.attrs["total"] = len(rows)
    return views_table(rows), sizes


@cached_data(max_entries=64, show_spinner="Measuring the loss at each size")
def _losses(dataset: Dataset, file: FileStamp, bone: str, count: int) -> pd.DataFrame:
    rows = loaders.index(dataset)
    rows = rows[rows["bone"] == bone] if bone else rows
    tables = []
    for path in rows["path"].iloc[:: max(1, len(rows) // count)].head(count):
        try:
            tables.append(resize_loss_table(read_grey(f"{dataset.root}/{path}"), SIZES))
        except UnreadableImage:
            continue  # the Audit page lists it
    return resize_loss_summary(tables) if tables else pd.DataFrame()
