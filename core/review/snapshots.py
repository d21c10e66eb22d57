"""The studies of a walkthrough as they were when it was made: labels, scores, and the order of their films.

Stored beside the walkthrough, so that 'as it was then' can be shown after scores or index have changed.
"""

import json
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import sqlalchemy as sql

from core.errors import OverreadError, reason_of
from core.plural import count_text
from core.review import chain, tables
from core.review.cases import Cases, case_table, study_slices
from core.review.database import Store, transaction

_STUDY = ("study_id", "patient_id", "group_id", "bone", "split", "score", "label", "n_views")
_FILM = ("image_id", "path", "sha1", "study_id", "patient_id", "bone", "view", "width", "height", "label", "logit")
_WEIGHT = "attention"  # only of networks that weight the views


def snapshot_of(cases: Cases, studies: Iterable[str]) -> dict:
    """The studies and their films as JSON values, by column. A study without an index row is left out."""
    known = [study for study in studies if study in cases.table.index]
    films = pd.concat([cases.views_of(study) for study in known]) if known else cases.views.iloc[:0]
    films_columns = [*_FILM, *[_WEIGHT] * (_WEIGHT in films)]
    return {"studies": _columns(cases.table.loc[known], _STUDY), "films": _columns(films, films_columns)}


def read_snapshot(store: Store, walkthrough_id: str, threshold: float) -> Cases | None:
    """The cases as they were, with their outcome at a threshold; None for a walkthrough that stored none.

    OverreadError where it is damaged.
    """
    table = tables.snapshots
    query = sql.select(table.c.snapshot).where(table.c.walkthrough_id == walkthrough_id)
    with transaction(store) as connection:
        chain.check(connection, table, (walkthrough_id,), "snapshot of the walkthrough")
        text = connection.execute(query).scalar()
    if text is None:
        return None
    try:
        found = json.loads(text)
        studies, films = _frame(found["studies"]), _frame(found["films"])
        # Stable, so that the films of a study keep their order.
        films = films.sort_values("study_id", kind="stable").reset_index(drop=True)
        return Cases(case_table(studies, threshold), films, study_slices(films))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise OverreadError(
            f"The snapshot of the walkthrough cannot be used ({reason_of(error)}). Restore the database from a copy; "
            "the other walkthroughs can be read.",
            code="walkthrough-damaged",
        ) from error


def differences(then: Cases, now: Cases) -> list[str]:
    """Differences between the cases then and now, one sentence each; empty if there are none."""
    same = [study for study in then.table.index if study in now.table.index]
    before, after = then.table.loc[same], now.table.loc[same]
    scores = np.abs(before["score"].to_numpy(float) - after["score"].to_numpy(float))
    one_missing = before["score"].isna().to_numpy() != after["score"].isna().to_numpy()
    moved = one_missing | (scores > 1e-6)
    outcomes = before["outcome"].to_numpy() != after["outcome"].to_numpy()
    labels = before["label"].fillna(-1).to_numpy() != after["label"].fillna(-1).to_numpy()
    films = sum(_film_names(then, study) != _film_names(now, study) for study in same)
    counts = {
        "{} not in the index any more.": len(then.table) - len(same),
        "{} another score.": int(moved.sum()),
        "{} another outcome at this threshold.": int(outcomes.sum()),
        "{} another label.": int(labels.sum()),
        "{} other films, or films in another order.": films,
    }
    sentences = []
    for words, count in counts.items():
        if count:
            verb = ("is" if count == 1 else "are") if "not in" in words else ("has" if count == 1 else "have")
            sentences.append(words.format(f"{count_text(count, 'study')} {verb}"))
    return sentences


def _film_names(cases: Cases, study: str) -> list[tuple]:
    return list(cases.views_of(study)[["image_id", "sha1"]].itertuples(index=False, name=None))


def _columns(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, list]:
    return {
        name: [None if value is None or value != value else _plain(value) for value in frame[name].tolist()]
        for name in names
    }


def _plain(value):
    return value.item() if hasattr(value, "item") else value


def _frame(columns: Mapping[str, list]) -> pd.DataFrame:
    frame = pd.DataFrame(dict(columns))
    numbers = [name for name in ("label", "score", "logit", _WEIGHT) if name in frame]
    return frame.astype(dict.fromkeys(numbers, float))
