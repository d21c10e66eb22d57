"""A sample of a data set's radiographs with what is known of them: scores, files' hashes, and where findings lie."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.data.pixels import to_square
from core.errors import OverreadError
from core.explain.cohort import judge_cohort, sample_rows
from core.inference.classifier import load_classifier
from core.inference.scores import scores_for
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import Checkpoint


def judge_sample(
    checkpoint: Checkpoint,
    dataset: Dataset,
    split: str,
    count: int,
    methods: tuple[str, ...],
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """`judge_cohort` over up to `count` radiographs of a split, beside the network's AUROC on that split."""
    scores, _ = scores_for(str(checkpoint.folder), dataset.name, split, progress)
    index = read_index(dataset.name).set_index("image_id")
    rows = sample_rows(scores[scores["image_id"].isin(index.index)], count)
    if rows.empty:
        raise OverreadError(f"The split {split} of {dataset.name} holds no labelled radiograph; choose another split.")
    rows = rows.assign(sha1=rows["image_id"].map(index["sha1"]))
    findings = Findings.of(dataset)
    return judge_cohort(
        checkpoint,
        load_classifier(checkpoint, device),
        rows,
        lambda row: checkpoint.input_spec.pixels(f"{dataset.root}/{row['path']}"),
        methods,
        study_auroc(scores),
        lambda row: findings.mask(row["image_id"], checkpoint.input_spec),
        progress,
        cancelled,
    )


def study_auroc(scores: pd.DataFrame) -> tuple[float, float]:
    """AUROC over studies and its lower bound, of PREDICTIONS; NaN where it cannot be estimated."""
    known = labelled(study_table(scores))
    found = auroc(known["score"], known["label"])
    return found.value, found.low


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
