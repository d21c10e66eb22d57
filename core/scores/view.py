"""The evaluated part of a source, and its threshold: split, bone, aggregation, and threshold or operating point.

A `View` is a value, like its `Source`: its own cache key. It is written to and read from an address (query
parameters) and a record (JSON), so a link, a walkthrough, a lock, a job and a report all say the same thing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from core.data.index import Dataset
from core.scores.source import Source

ALL_BONES = "all bones"
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class View:
    """A source with the split, bone, aggregation and threshold to evaluate. Hashable.

    bone: '' for all bones. aggregation: '' for the source's own. threshold: score from which a study is called
    abnormal. point: the id of the operating point that the threshold is from; '' if it is set by hand.
    """

    source: Source
    split: str
    bone: str = ""
    aggregation: str = ""
    threshold: float = DEFAULT_THRESHOLD
    point: str = ""

    @property
    def dataset(self) -> Dataset | None:
        """The data set of the source."""
        return self.source.dataset

    @property
    def cohort(self) -> "View":
        """This view without its threshold: the cache key of all that no threshold changes."""
        return replace(self, threshold=DEFAULT_THRESHOLD, point="")

    @property
    def every_bone(self) -> "View":
        """This view with all bones."""
        return replace(self, bone="")

    @property
    def key(self) -> tuple:
        """Everything that decides whether two views are equal: plain values, for a cache."""
        return self.source.key, self.split, self.bone, self.aggregation, self.threshold, self.point

    def address(self, **more: str) -> dict[str, str]:
        """The view as query parameters, for a link to a page. `more` adds parameters of that page."""
        chosen = {
            "data": self.source.data,
            "model": self.source.name,
            "split": self.split,
            "bone": self.bone or ALL_BONES,
            "aggregation": self.aggregation,
            "threshold": repr(self.threshold),
            "point": self.point,
        }
        return {name: value for name, value in {**chosen, **more}.items() if value}

    def record(self) -> dict:
        """The view as JSON values, its source identified by hashes."""
        return {
            "source": self.source.record(),
            "split": self.split,
            "bone": self.bone,
            "aggregation": self.aggregation,
            "threshold": self.threshold,
            "point": self.point,
        }


def view_from_address(query: Mapping[str, str], find: Callable[[str, str], Source]) -> View:
    """The view in query parameters. find: (data, model) -> Source; it raises OverreadError if there is none."""
    bone = query.get("bone", "")
    return View(
        find(query.get("data", ""), query.get("model", "")),
        query.get("split", ""),
        "" if bone == ALL_BONES else bone,
        query.get("aggregation", ""),
        float(query.get("threshold") or DEFAULT_THRESHOLD),
        query.get("point", ""),
    )


def view_from_record(record: Mapping, find: Callable[[str, str], Source]) -> View:
    """The view in a record, with the source as it is now; `changes_since` compares the two."""
    kept = {name: record[name] for name in ("split", "bone", "aggregation", "threshold", "point")}
    return View(find(record["source"]["data"], record["source"]["name"]), **kept)


def changes_since(record: Mapping, view: View) -> list[str]:
    """Changes since the record was made, one sentence each; empty if there are none."""
    before, now = record["source"], view.source.record()
    sentences = []
    if before["digest"] != now["digest"]:
        what = "weights" if now["kind"] == "checkpoint" else "imported scores"
        sentences.append(
            f"The {what} of {now['name']} have changed: {before['digest'][:8]} then, {now['digest'][:8]} now."
        )
    if before["index_hash"] != now["index_hash"]:
        sentences.append(
            f"The index of {now['data']} has changed: {before['index_hash'][:8]} then, {now['index_hash'][:8]} now."
        )
    return sentences
