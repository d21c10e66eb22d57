"""Known locations of abnormalities: the truth of phantoms, or COCO polygons. Imports no torch."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from core.among import among
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.data.pixels import to_square
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet


class AbnormalityMasks:
    """Known locations of abnormalities, by image_id: boxes of a phantom set, or COCO polygons."""

    def __init__(self, shapes: dict[str, list]):
        self.shapes = shapes

    @classmethod
    def of(cls, dataset: Dataset, boxes: pd.DataFrame | None = None) -> "AbnormalityMasks":
        """Read a phantom set's truth.parquet, else *masks.json (COCO) in the data set's folder or one below.

        boxes: those that readers drew, one row per box: image_id, and x0, y0, x1, y1 as shares of its width
        and height. They join what is known of a radiograph; where several readers drew, all their boxes count.
        """
        found = cls._known(dataset)
        return found if boxes is None or boxes.empty else found._with_boxes(boxes, read_index(dataset.name))

    def _with_boxes(self, boxes: pd.DataFrame, index: pd.DataFrame) -> "AbnormalityMasks":
        sides = index.set_index("image_id")[["width", "height"]]
        shapes = {name: list(found) for name, found in self.shapes.items()}
        for box in boxes[among(boxes["image_id"], sides.index)].itertuples():
            known = shapes.setdefault(box.image_id, [])
            # Masks may have been drawn at another size than that of the indexed file.
            width, height = known[0][-2:] if known else sides.loc[box.image_id]
            corners = (box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height)
            known.append(("box", *map(float, corners), float(width), float(height)))
        return AbnormalityMasks(shapes)

    @classmethod
    def _known(cls, dataset: Dataset) -> "AbnormalityMasks":
        root = Path(dataset.root)
        if dataset.phantom and (root / "truth.parquet").exists():
            truth = read_parquet(root / "truth.parquet")
            visible = truth[truth["visible"].astype(bool)]
            corners = visible[["x0", "y0", "x1", "y1", "width", "height"]].to_numpy(float)
            return cls({name: [("box", *row)] for name, row in zip(visible["image_id"], corners)})
        files = sorted([*root.glob("*masks.json"), *root.glob("*/*masks.json")])
        return cls(_coco(files[0], read_index(dataset.name)["image_id"]) if files else {})

    def image_ids(self) -> list[str]:
        """The radiographs with a known location."""
        return list(self.shapes)

    def mask(self, image_id: str, spec: InputSpec) -> np.ndarray | None:
        """bool [size, size] in the network's input; None if no location is known for this radiograph."""
        if image_id not in self.shapes:
            return None
        width, height = self.shapes[image_id][0][-2:]
        drawn = Image.new("L", (int(width), int(height)))
        pen = ImageDraw.Draw(drawn)
        for kind, *shape, _, _ in self.shapes[image_id]:
            if kind == "box":
                pen.rectangle(shape, fill=255)
            else:
                pen.polygon(shape[0], fill=255)
        return to_square(np.asarray(drawn), spec.size, spec.fit) > 0


def _coco(file: Path, image_ids: pd.Series) -> dict[str, list]:
    """Polygons by image_id. OverreadError if the file is not COCO."""
    try:
        facts = json.loads(file.read_text())
        images = {image["id"]: image for image in facts["images"]}
        by_name = {Path(name).name: name for name in image_ids}
        found: dict[str, list] = {}
        for entry in facts["annotations"]:
            image = images[entry["image_id"]]
            if (name := by_name.get(Path(image["file_name"]).name)) is None:
                continue
            for polygon in entry["segmentation"]:
                points = [tuple(polygon[place : place + 2]) for place in range(0, len(polygon) - 1, 2)]
                found.setdefault(name, []).append(("polygon", points, image["width"], image["height"]))
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise OverreadError(
            f"{file} is not a COCO file of polygons ({reason_of(error)}). Fix it or remove it.", code="masks-not-coco"
        ) from error
