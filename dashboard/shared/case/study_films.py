"""The radiographs of a study as the film viewer takes them: full resolution, with score, truth and file facts."""

import numpy as np
import pandas as pd
from scipy.special import expit

from core.data.film_box import WHOLE
from core.data.index import Dataset
from core.data.pixels import UnreadableImage
from core.metrics.studies import attention_weights
from core.scores.view import View
from dashboard.shared import loaders


def films_of_study(dataset: Dataset, files: pd.DataFrame, view: View, blind: bool) -> tuple[list[dict], dict[str, str]]:
    """The films of a study for `films.draw_films`, and the image_id of each by its title on screen.

    OverreadError where the truth of a phantom set cannot be read.
    """
    truth = None if blind else loaders.truth(dataset)
    weighted = not blind and len(files) > 1 and "attention" in files and files["attention"].notna().all()
    weights = attention_weights(files) if weighted else []
    highest = files["logit"].to_numpy(float)
    drove = int(np.nanargmax(highest)) + 1 if len(files) > 1 and not np.isnan(highest).all() else 0
    films, image_ids = [], {}
    for place, row in enumerate(files.itertuples(), 1):
        title = f"View {place}" + (f", {row.view}" if isinstance(row.view, str) and row.view else "")
        image_ids[title] = row.image_id
        note = truth_text(truth.loc[row.image_id]) if truth is not None and row.image_id in truth.index else ""
        try:
            uri, box = loaders.film_uri(dataset.root, row.path, row.sha1)
        except UnreadableImage as error:
            uri, box, note = "", WHOLE, "This radiograph cannot be decoded." if blind else str(error)
        scored = not blind and row.logit == row.logit
        details = f"{row.image_id}, {row.width} x {row.height} px"
        if weighted:
            details += f"; weight in the study {weights[place - 1]:.0%}"
        films.append(
            {
                "src": uri,
                "alt": f"{row.bone} radiograph, {title}" + ("" if blind else f", {row.image_id}"),
                "title": title,
                "score": float(expit(row.logit)) if scored else None,
                "threshold": view.threshold,
                "highest": scored and not weighted and place == drove,
                "note": note,
                "details": "" if blind else details,
                "width": int(row.width),
                "height": int(row.height),
                "box": list(box),
            }
        )
    return films, image_ids


def truth_text(truth: pd.Series) -> str:
    """The known truth of one phantom radiograph, in words."""
    finding = str(truth["abnormality"]).replace("_", " ")
    if truth["true_label"] == 0:
        text = "Truth: no abnormality was drawn."
    elif truth["visible"]:
        text = f"Truth: {finding}, visible here ({truth['x1'] - truth['x0']} x {truth['y1'] - truth['y0']} px)."
    else:
        text = f"Truth: {finding}, hidden in this view."
    if truth["label_flipped"]:
        text += " The label was flipped on purpose."
    defects = ", ".join(name.replace("_", " ") for name in truth["defects"])
    return text + (f" Defects of the film: {defects}." if defects else "")
