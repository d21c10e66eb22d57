"""The splits and bones that can be chosen. Every page asks on every run, so the answer is cached."""

from core.errors import OverreadError
from core.schema import bone_order, split_order
from core.scores.halves import splits_offered
from core.scores.source import Source, source_of
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data


def scope(source: Source) -> tuple[list[str], list[str]]:
    """The splits that are scored (else those of the index) with any halves, and the bones, both in their order."""
    try:
        return _scope(source)
    except OverreadError:
        # The pages that need the scores say that they are damaged.
        return _scope(source_of(None, source.dataset))


@cached_data(max_entries=64)
def _scope(source: Source) -> tuple[list[str], list[str]]:
    scored = loaders.predictions(source, columns=("study_id", "label", "split"))
    rows = scored if source.dataset.kind == "scores" else loaders.index(source.dataset)
    return split_order(splits_offered(rows if scored is None else scored)), bone_order(rows["bone"].unique())
