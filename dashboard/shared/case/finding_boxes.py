"""The boxes of the open case: the reader's own, those of others, and what a verdict stores of them."""

from core.errors import OverreadError
from core.review.boxes import boxes_text, make_box, read_boxes
from core.review.cases import neutral_name
from core.review.vocabulary import reviewer_key
from dashboard.shared.case import films, loader
from dashboard.shared.case.presses import token_of


def boxes_to_show(dataset: str, study: str, image_ids: list[str], reader: str, blind: bool) -> dict:
    """The stored boxes as `films.draw_films` takes them. image_ids: in the order of the films.

    Blind, the boxes of others are not sent, like their verdicts.
    """
    own, theirs = [], []
    for entry in loader.verdicts_on(dataset, study).itertuples():
        mine = bool(reader) and reviewer_key(entry.reviewer) == reviewer_key(reader)
        found = [
            {"film": image_ids.index(box.image_id), "box": [box.x0, box.y0, box.x1, box.y1]}
            for box in read_boxes(entry.boxes)
            if box.image_id in image_ids
        ]
        if mine:
            # The rows are in order, so these are the boxes of the reader's latest verdict.
            own = found
        elif not blind:
            theirs += [{**box, "name": entry.reviewer} for box in found]
    # Boxes that are not stored yet are the reader's, on this study of this data set, also when the page shows another
    # case.
    owner = token_of("boxes", dataset, study, reviewer_key(reader) if reader else "")
    return {"own": own, "theirs": theirs, "owner": owner}


def boxes_to_store(dataset: str, study: str, image_ids: list[str], reader: str) -> str:
    """The text of the boxes that the reader's verdict has: those drawn since the case was opened, or the stored ones.

    What the browser sends is checked like any other input; an invalid box is left out.
    """
    drawn = films.drawn_boxes(neutral_name(study))
    if drawn is None:
        drawn = boxes_to_show(dataset, study, image_ids, reader, True)["own"]
    boxes = []
    for one in drawn if isinstance(drawn, list) else []:
        try:
            boxes.append(make_box(image_ids[int(one["film"])], *one["box"]))
        except (OverreadError, KeyError, IndexError, TypeError, ValueError):
            continue
    return boxes_text(boxes)
