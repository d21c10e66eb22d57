"""Small tables of a data set, counted once: a page draws them on every run."""

import pandas as pd
import streamlit as st

from core.data.balance import balance_table, file_sizes_table, views_table
from core.data.index import Dataset, conflicting_studies
from core.data.mura_counts import is_mura, published_counts_table
from core.data.pixels import UnreadableImage, read_grey, to_square
from core.data.resize_loss import LARGEST_SIDE, SIZES, resize_loss_summary, resize_loss_table
from core.training.balance import effective_prior
from dashboard.shared import loaders
from dashboard.shared.cache import stamp

BALANCES = {
    "none": "as the radiographs come",
    "weight": "weighted per bone, in studies, as Rajpurkar 2017",
    "sampler": "bones and labels drawn evenly",
}


def counts(dataset: Dataset, level: str) -> pd.DataFrame:
    """`balance_table` at a level."""
    return _tables(dataset.name, _stamp(dataset))[level]


def views(dataset: Dataset, bone: str) -> pd.Series:
    """`views_table` of all bones ('') or one."""
    return _bone(dataset.name, _stamp(dataset), bone)[0]


def file_sizes(dataset: Dataset, bone: str) -> pd.DataFrame:
    """`file_sizes_table` of all bones ('') or one; attrs `total`, the radiographs there are."""
    return _bone(dataset.name, _stamp(dataset), bone)[1]


def priors(dataset: Dataset) -> pd.DataFrame:
    """What each way of balancing makes of the share of abnormal in train: `balance`, `prior`; empty without labels."""
    return _tables(dataset.name, _stamp(dataset))["priors"]


def published(dataset: Dataset) -> pd.DataFrame | None:
    """`published_counts_table` where the set is MURA v1.1 itself."""
    return _tables(dataset.name, _stamp(dataset))["published"] if not dataset.phantom else None


def size_losses(dataset: Dataset, bone: str, count: int = 48) -> pd.DataFrame:
    """`resize_loss_summary` over `count` radiographs at regular steps."""
    return _losses(dataset.name, _stamp(dataset), bone, count, dataset)


def at_sizes(dataset: Dataset, row: pd.Series) -> tuple[list[str], pd.DataFrame]:
    """A radiograph at each of SIZES and whole, as pictures for a page, and its `resize_loss_table`. UnreadableImage."""
    return _at_sizes(row["sha1"], f"{dataset.root}/{row['path']}")


@st.cache_data(max_entries=64, show_spinner=False)
def _at_sizes(sha1: str, _file: str) -> tuple[list[str], pd.DataFrame]:
    grey = read_grey(_file)
    sides = [*SIZES, min(max(grey.shape), LARGEST_SIDE)]
    return [loaders.picture_uri(to_square(grey, side)) for side in sides], resize_loss_table(grey)


def totals(dataset: Dataset) -> str:
    """How much there is, in words."""
    return _tables(dataset.name, _stamp(dataset))["totals"]


def _stamp(dataset: Dataset):
    return stamp(dataset.folder / "index.parquet")


@st.cache_resource(max_entries=8, show_spinner="Counting")
def _tables(name: str, stamp) -> dict:
    index = loaders.index(name)
    train = index[
        (index["split"] == "train") & index["label"].notna() & ~index["study_id"].isin(conflicting_studies(index))
    ]
    rows = [(balance, effective_prior(train, balance)) for balance in BALANCES] if len(train) else []
    return {
        **{level: balance_table(index, level) for level in ("radiograph", "study", "patient")},
        "totals": f"{len(index):,} radiographs, {index['study_id'].nunique():,} studies, "
        f"{index['patient_id'].nunique() or 'no'} known patients",
        "priors": pd.DataFrame(rows, columns=["balance", "prior"]),
        "published": published_counts_table(index) if is_mura(index, _kind(name)) else None,
    }


def _kind(name: str) -> str:
    return loaders.datasets()[name].kind


@st.cache_resource(max_entries=64, show_spinner=False)
def _bone(name: str, stamp, bone: str) -> tuple[pd.Series, pd.DataFrame]:
    index = loaders.index(name)
    rows = index[index["bone"] == bone] if bone else index
    sizes = file_sizes_table(rows)
    sizes.attrs["total"] = len(rows)
    return views_table(rows), sizes


@st.cache_data(max_entries=64, show_spinner="Measuring what each size leaves")
def _losses(name: str, stamp, bone: str, count: int, _dataset: Dataset) -> pd.DataFrame:
    rows = loaders.index(name)
    rows = rows[rows["bone"] == bone] if bone else rows
    tables = []
    for path in rows["path"].iloc[:: max(1, len(rows) // count)].head(count):
        try:
            tables.append(resize_loss_table(read_grey(f"{_dataset.root}/{path}"), SIZES))
        except UnreadableImage:
            continue  # the audit names it
    return resize_loss_summary(tables) if tables else pd.DataFrame()
