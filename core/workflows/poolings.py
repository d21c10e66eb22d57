"""Comparison of the aggregations of a study's views, for given scores and without training."""

import numpy as np
import pandas as pd

from core.data.label_levels import IMAGE_LABEL
from core.metrics.paired_figures import figure_table, scored_of
from core.metrics.studies import aggregations_of
from core.plural import count_text
from core.scores.index_columns import with_image_labels, with_index_columns

REFERENCE = "mean"
FIGURES = ("study_auroc", "brier")


def compare_poolings(predictions: pd.DataFrame) -> dict:
    """Every aggregation that applies to PREDICTIONS, minus the mean, on the same studies.

    `rows`: `figure_table`. `views`: how many studies have 1, 2, 3 or more radiographs. `driver`: in studies with normal
    and abnormal radiographs, how often the highest view is abnormal; empty where no radiograph has a label of its own.
    """
    frame = with_image_labels(with_index_columns(predictions))
    known = frame[frame["label"].notna()].reset_index(drop=True)
    truth = known.set_index("image_id")[IMAGE_LABEL] if IMAGE_LABEL in known else None
    choosing = np.zeros(len(known), bool)
    names = aggregations_of(known)
    scores = {name: [scored_of(known, name, choosing, truth)] for name in [REFERENCE, *names] if name in names}
    table = figure_table(scores, REFERENCE, FIGURES)
    driver = figure_table({REFERENCE: scores[REFERENCE]}, REFERENCE, ("driver",))
    sizes = known.groupby("study_id").size().clip(upper=4).value_counts().sort_index()
    return {
        "n": len(scores[REFERENCE][0].studies),
        "abnormal": int(scores[REFERENCE][0].studies["label"].sum()),
        "views": {str(views) if views < 4 else "4 or more": int(count) for views, count in sizes.items()},
        "rows": table.to_dict("records"),
        "driver": driver.to_dict("records"),
    }


def poolings_text(facts: dict) -> str:
    """The comparison, one line per figure."""
    views = ", ".join(f"{count:,} with {size}" for size, count in facts["views"].items())
    lines = [f"{count_text(facts['n'], 'study')}, {facts['abnormal']:,} abnormal; radiographs of a study: {views}"]
    for row in facts["rows"]:
        change = ""
        if row["difference"] == row["difference"]:
            low, high = row["difference_low"], row["difference_high"]
            change = f", minus {REFERENCE} {row['difference']:+.4f} ({low:+.4f} to {high:+.4f})"
        lines.append(
            f"{row['figure']}, {row['variant']}: {row['value']:.4f} ({row['low']:.4f}-{row['high']:.4f}){change}"
        )
    for row in facts["driver"]:
        lines.append(
            "view with the highest score is abnormal, in studies with normal and abnormal views: "
            f"{row['value']:.1%} ({row['low']:.1%}-{row['high']:.1%})"
        )
    return "\n".join(lines)
