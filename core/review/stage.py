"""The presenter's view of the films of a walkthrough, for followers: zoom, window, layout, pointer and boxes.

One row per walkthrough, overwritten at each change, with a growing sequence. It is in the database, so that followers
of
another server get it, and everyone does after a restart.
"""

import json
import math
from dataclasses import dataclass

import sqlalchemy as sql

from core.errors import OverreadError
from core.review import tables
from core.review.boxes import BOXES_LIMIT
from core.review.database import Store, transaction
from core.review.vocabulary import reviewer_name
from core.roles import needs

_RANGES = {
    "window": (5, 200), "level": (0, 100), "zoom": (100, 800), "x": (0, 1), "y": (0, 1), "count": (0, 100),
    "first": (0, 100),
}  # fmt: skip
_FLAGS = ("inverted", "whole", "fill", "wide")


@dataclass(frozen=True)
class Stage:
    """The presenter's view; None while the presenter mirrors nothing."""

    sequence: int
    presenter: str
    view: dict | None


@needs("read")
def set_stage(store: Store, walkthrough_id: str, presenter: str, view: dict | None) -> Stage:
    """Show a view to the followers; None shows no view. OverreadError if the view is not one of the viewer's."""
    kept = None if view is None else checked_view(view)
    table, name = tables.stages, reviewer_name(presenter)
    own = table.c.walkthrough_id == walkthrough_id
    with transaction(store, write=True) as connection:
        before = connection.execute(sql.select(table.c.sequence).where(own)).scalar()
        sequence = int(before or 0) + 1
        values = {"sequence": sequence, "presenter": name, "view": json.dumps(kept)}
        if before is None:
            connection.execute(table.insert().values(walkthrough_id=walkthrough_id, **values))
        else:
            connection.execute(table.update().where(own).values(**values))
    return Stage(sequence, name, kept)


def read_stage(store: Store, walkthrough_id: str) -> Stage | None:
    """The presenter's view; None before anyone has mirrored one."""
    table = tables.stages
    query = sql.select(table.c.sequence, table.c.presenter, table.c.view)
    with transaction(store) as connection:
        row = connection.execute(query.where(table.c.walkthrough_id == walkthrough_id)).first()
    return Stage(row.sequence, row.presenter, json.loads(row.view)) if row else None


def checked_view(view: dict) -> dict:
    """The known parts of a view, within their ranges. It comes from one browser and goes to others.

    OverreadError for any other value.
    """
    try:
        kept: dict = {"case": str(view["case"])[:64]}
        for name, (low, high) in _RANGES.items():
            kept[name] = _number(view[name], low, high)
        for name in _FLAGS:
            kept[name] = bool(view[name])
        pointer = view.get("pointer")
        kept["pointer"] = pointer and _point(pointer)
        kept["boxes"] = [
            {"film": int(_number(one["film"], 0, 100)), "box": [_number(value, 0, 1) for value in one["box"][:4]]}
            for one in (view.get("boxes") or [])[:BOXES_LIMIT]
        ]
        return kept
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise OverreadError(
            f"The view to be mirrored has no usable {error}; expected the state of the film viewer.",
            code="view-not-mirrored",
        ) from error


def _point(pointer: dict) -> dict:
    return {
        "film": int(_number(pointer["film"], 0, 100)),
        "x": _number(pointer["x"], 0, 1),
        "y": _number(pointer["y"], 0, 1),
    }


def _number(value, low: float, high: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("number")
    return min(max(number, low), high)
