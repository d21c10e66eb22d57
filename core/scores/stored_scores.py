"""The stored scores of a checkpoint on a data set, and the splits that hold for it. No torch."""

from collections.abc import Sequence

import pandas as pd

from core.data.index import read_index
from core.data.index_stream import open_index
from core.models.checkpoint import PREDICTIONS as FILE
from core.models.checkpoint import Checkpoint
from core.scores.learned_groups import learned_groups
from core.scores.predictions import belongs, is_finished, part_of, read_file, renamed
from core.scores.shards import MANIFEST, is_sharded, read_table
from core.scores.source import Source


def effective_splits(index: pd.DataFrame, checkpoint: Checkpoint) -> pd.Series:
    """The split of each row of an INDEX for this checkpoint (`LearnedGroups.splits`)."""
    return learned_groups([index], checkpoint).splits(index)


def splits_for(source: Source) -> pd.DataFrame:
    """The index of a data set with the splits that hold for its checkpoint, as rows for `core.scores.halves`."""
    index = read_index(source.indexed.name)
    return index.assign(split=effective_splits(index, source.checkpoint), dataset=source.indexed.reference)


def split_names(source: Source) -> list[str]:
    """The splits of an index that hold for its checkpoint, found without holding the index in memory."""
    stream = open_index(source.indexed)
    learned = learned_groups(stream.parts(["sha1", "group_id"]), source.checkpoint)
    return sorted(set().union(*(learned.splits(part) for part in stream.parts(["group_id", "split"]))))


def read_predictions(
    source: Source, split: str = "", bone: str = "", columns: Sequence[str] | None = None
) -> pd.DataFrame | None:
    """The stored scores of exactly these weights on exactly this index; None if there are none.

    split, bone, columns: as in `read_file`.
    """
    references = (source.checkpoint.reference, source.indexed.reference)
    for file in (source.scores_file, source.folder / FILE):
        if is_sharded(file):
            if is_finished(file) and made_by(read_table(file).facts, source):
                return renamed(read_file(file, split, bone, columns), *references)
        elif file.exists():
            frame = read_file(file)
            if len(frame) and belongs(frame, *references):
                return part_of(renamed(frame, *references), split, bone)
    return None


def stored_splits(source: Source) -> list[str]:
    """The splits with stored scores of these weights on this index. Reads no row of scores in shards."""
    file = source.scores_file
    if is_sharded(file) and (file / MANIFEST).exists() and made_by((table := read_table(file)).facts, source):
        return table.splits
    frame = read_predictions(source, columns=["split"])
    return [] if frame is None else sorted(set(frame["split"].unique()))


def made_by(facts: dict, source: Source) -> bool:
    """Whether the weights of this source made scores in shards on its index."""
    return facts["weights"] == source.digest and facts["index"] == source.index_hash
