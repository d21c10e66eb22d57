"""Boxes that readers draw around a finding, and the text of them that an entry stores.

Coordinates are shares of the whole radiograph's width and height, (0, 0) at its upper left corner, with six decimals.
The text is a JSON list with one object per box: `[{"image_id": "a.png", "box": [x0, y0, x1, y1]}]`.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import OverreadError
from core.plural import count_text

BOXES_LIMIT = 100  # boxes of one entry


@dataclass(frozen=True)
class Box:
    """One box on one radiograph, in shares of its width and height."""

    image_id: str
    x0: float
    y0: float
    x1: float
    y1: float


def boxes_text(boxes: Iterable[Box]) -> str:
    """The boxes as they are stored; '' without any."""
    rows = [{"image_id": one.image_id, "box": [one.x0, one.y0, one.x1, one.y1]} for one in boxes]
    return json.dumps(rows, ensure_ascii=False) if rows else ""


def read_boxes(text: str | None) -> tuple[Box, ...]:
    """The boxes of a stored text. OverreadError if it is not such a text or a box is not inside its radiograph."""
    # Tables have NaN for a missing value.
    if not text or text != text:
        return ()
    try:
        rows = json.loads(text)
        boxes = tuple(make_box(row["image_id"], *row["box"]) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise OverreadError(
            f'The boxes are {str(text)[:60]!r}; expected a list like [{{"image_id": "a.png", "box": [0.1, 0.2, 0.3, '
            "0.4]}}], in shares of width and height.",
            code="boxes-invalid",
        ) from error
    if len(boxes) > BOXES_LIMIT:
        raise OverreadError(
            f"The entry has {count_text(len(boxes), 'box')}; expected at most {BOXES_LIMIT}.", code="boxes-invalid"
        )
    return boxes


def make_box(image_id: str, x0: float, y0: float, x1: float, y1: float) -> Box:
    """The box with its corners in order. OverreadError if it is not inside its radiograph or has no area."""
    try:
        corners = [round(float(value), 6) for value in (x0, y0, x1, y1)]
    except (TypeError, ValueError, OverflowError):
        corners = [math.nan] * 4
    left, right, top, bottom = *sorted(corners[::2]), *sorted(corners[1::2])
    if not (isinstance(image_id, str) and image_id and 0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise OverreadError(
            f"A box on {str(image_id)[:60]!r} has the corners {x0!r}, {y0!r} and {x1!r}, {y1!r}; expected two "
            "different corners between 0 and 1.",
            code="boxes-invalid",
        )
    return Box(image_id, left, top, right, bottom)
