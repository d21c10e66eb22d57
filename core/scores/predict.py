"""Score a data set with a checkpoint: one logit per radiograph.

`predict` returns the scores as one frame and keeps every decoded radiograph; `core.scores.score_table` scores sets of
any size into files. Both compute each score with `scores_of` and each table with `as_predictions`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.cache import pixel_cache
from core.data.index import read_index
from core.device import scoring_precision
from core.errors import OverreadError
from core.schema import PREDICTIONS, check
from core.scores.classifier import Classifier, load_classifier, own_batch
from core.scores.learned_groups import learned_groups, splits_to_score
from core.scores.scoring_plan import BATCH, Arithmetic
from core.scores.source import Source
from core.scores.test_time_augmentation import AugmentedDraws, augmented_scores

# Parts that a GPU may have in its queue while the next one is read.
PARTS_BEGUN = 2


def predict(
    source: Source,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
    tta: AugmentedDraws | None = None,
) -> pd.DataFrame:
    """PREDICTIONS of every radiograph of a source's data set in `splits` that can be decoded, by its checkpoint.

    splits: by default every split but those the checkpoint learned from. The frame's `attrs["left_out"]` lists
    {path, reason} of radiographs that could not be decoded. An ensemble scores its own training patients out of fold:
    each by the one member that did not learn from that patient. tta: each logit is the mean over augmented samples,
    recorded in the columns `tta` and `draws`. A network with attention over the views of a study adds `attention`,
    before the softmax over the study; one that learned through another pooling of its views adds its name, `pooling`.
    """
    checkpoint, dataset = source.checkpoint, source.indexed
    index = read_index(dataset.name)
    learned = learned_groups([index], checkpoint)
    index["split"], index["member"] = learned.splits(index), learned.unlearned_by(index)
    wanted = splits_to_score(set(index["split"].unique()), splits, bool(learned.parts), (dataset.name, checkpoint.name))
    index = index[index["split"].isin(wanted)].reset_index(drop=True)
    classifier = classifier or load_classifier(checkpoint, device)
    cache = pixel_cache(dataset, index, checkpoint.input_spec, progress)
    rows = cache.rows_of(index["image_id"])
    index, rows = index[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    scores = np.zeros((len(rows), len(classifier.columns)))
    size = arithmetic_of(classifier).batch
    slices = [slice(start, start + size) for start in range(0, len(rows), size)]
    parts = ((cache.pixels[rows[part]], index.iloc[part]) for part in slices)
    for part, found in zip(slices, scores_in_order(classifier, parts, tta)):
        scores[part] = found
        if progress:
            progress(min(part.stop, len(rows)), len(rows), f"scoring with {checkpoint.name}")
    frame = as_predictions(index, scores, classifier, source, tta)
    frame.attrs["left_out"] = cache.failed
    return frame


def arithmetic_of(classifier: Classifier) -> Arithmetic:
    """The precision and the parts in which this classifier's stored scores are computed."""
    batch = max(BATCH, own_batch(classifier.device, classifier.spec.size))
    return Arithmetic(scoring_precision(classifier.device), batch)


def scores_of(
    classifier: Classifier, pixels: np.ndarray, rows: pd.DataFrame, tta: AugmentedDraws | None = None
) -> np.ndarray:
    """`classifier.columns` of uint8 [n, size, size], float64 [n, columns]: the one way from pixels to stored scores.

    rows: of an index, [n], with `image_id` and `member`. In an ensemble, only the member that did not learn from a
    patient scores that patient's radiographs.
    """
    return next(scores_in_order(classifier, [(pixels, rows)], tta))


def scores_in_order(
    classifier: Classifier, parts: Iterable[tuple[np.ndarray, pd.DataFrame]], tta: AugmentedDraws | None = None
) -> Iterator[np.ndarray]:
    """`scores_of` each part, in order. While a GPU computes one part, the next one is read."""
    begun: deque[Callable[[], np.ndarray]] = deque()
    for pixels, rows in parts:
        begun.append(_begin(classifier, pixels, rows, tta))
        if len(begun) > PARTS_BEGUN:
            yield begun.popleft()()
    while begun:
        yield begun.popleft()()


def _begin(
    classifier: Classifier, pixels: np.ndarray, rows: pd.DataFrame, tta: AugmentedDraws | None
) -> Callable[[], np.ndarray]:
    """Begin to score a part; the result of the call is its scores."""
    if not tta and (rows["member"] < 0).all():
        return classifier.start(pixels).result
    scores = np.zeros((len(rows), len(classifier.columns)))
    for member, places in rows.groupby("member").indices.items():
        scorer = classifier if member < 0 else replace(classifier, model=classifier.model.members[member])
        chosen = pixels if len(places) == len(rows) else pixels[places]
        scores[places] = (
            augmented_scores(scorer, tta, chosen, rows["image_id"].iloc[places]) if tta else scorer.scores(chosen)
        )
    return lambda: scores


def as_predictions(
    index: pd.DataFrame,
    scores: np.ndarray,
    classifier: Classifier,
    source: Source,
    tta: AugmentedDraws | None = None,
) -> pd.DataFrame:
    """PREDICTIONS from rows of an index and their scores. OverreadError where a score is not a number."""
    if not np.isfinite(scores).all():
        raise OverreadError(
            f"The checkpoint {source.name} gives scores that are not numbers on {source.data}; train it again.",
            code="scores-not-finite",
        )
    frame = index.copy()
    frame[list(classifier.columns)] = scores
    frame["checkpoint"], frame["dataset"] = source.reference, source.indexed.reference
    # A locked threshold is applied only to scores of the precision it was chosen on.
    frame["precision"] = scoring_precision(classifier.device)
    optional = [*classifier.columns[1:], "precision"]
    if source.checkpoint.pooling:
        frame["pooling"] = source.checkpoint.pooling
        optional += ["pooling"]
    if tta:
        frame["tta"], frame["draws"] = tta.augmentation.to_text(), tta.draws
        optional += ["tta", "draws"]
    # Without rows, a text that was assigned would have no type, and a shard no schema.
    texts = {name: "str" for name in ("checkpoint", "dataset", "precision", "pooling", "tta") if name in frame}
    return check(frame.astype(texts)[[*PREDICTIONS, *optional]], PREDICTIONS, "the new scores")
