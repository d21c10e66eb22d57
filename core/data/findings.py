"""Where abnormalities are known to lie: the truth of phantoms, or COCO polygons. Needs no torch."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.data.pixels import to_square
from core.errors import OverreadError


class Findings:
    """Where abnormalities are known to lie: a phantom set's truth, or COCO polygons beside the radiographs."""

    def __init__(self, boxes: dict[str, list]):
        self.boxes = boxes

    @classmethod
    def of(cls, dataset: Dataset) -> "Findings":
        """From truth.parquet of phantoms, else from *masks.json (COCO) in the data set's folder or one below."""
        root = Path(dataset.root)
        if dataset.phantom and (root / "truth.parquet").exists():
            truth = pd.read_parquet(root / "truth.parquet")
            seen = truth[truth["visible"].astype(bool)]
            corners = seen[["x0", "y0", "x1", "y1", "width", "height"]].to_numpy(float)
            return cls({name: [("box", *row)] for name, row in zip(seen["image_id"], corners)})
        files = sorted([*root.glob("*masks.json"), *root.glob("*/*masks.json")])
        return cls(_coco(files[0], read_index(dataset.name)["image_id"]) if files else {})

    def ids(self) -> list[str]:
        """The radiographs of which it is known where an abnormality lies."""
        return list(self.boxes)

    def mask(self, image_id: str, spec: InputSpec) -> np.ndarray | None:
        """bool [size, size] as the network sees it; None where nothing is known of this radiograph."""
        if image_id not in self.boxes:
            return None
        width, height = self.boxes[image_id][0][-2:]
        drawn = Image.new("L", (int(width), int(height)))
        pen = ImageDraw.Draw(drawn)
        for kind, *shape, _, _ in self.boxes[image_id]:
            if kind == "box":
                pen.rectangle(shape, fill=255)
            else:
                pen.polygon(shape[0], fill=255)
        return to_square(np.asarray(drawn), spec.size, spec.fit) > 0


def _coco(file: Path, image_ids: pd.Series) -> dict[str, list]:
    """Polygons by image_id. OverreadError where the file is not COCO."""
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
        raise OverreadError(f"{file} is no COCO file of polygons ({error}); mend it, or take it away.") from error
