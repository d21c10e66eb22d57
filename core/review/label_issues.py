"""Labels that may be wrong, ranked by scores of networks that did not learn from them.

Every function here takes or gives an out-of-fold frame, one row per study: `study_id`, `bone`, `group_id`, `label` (1,
0), `score` (0..1, by a network that never saw the patient), and, where training logged it, `aum`: the area under the
margin (Pleiss 2020), the mean over epochs of the logit of the given label minus that of the other. Low is suspicious.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from core.data.cells import text_of
from core.data.index import Dataset, read_index
from core.data.joins import JoinReport, Key, join, refuse_without_match
from core.data.notes import Note
from core.data.tables import read_table
from core.errors import OverreadError
from core.metrics.intervals import Estimate, proportion, undefined
from core.metrics.studies import labelled, study_table
from core.plural import count_text
from core.scores.embeddings import Embeddings
from core.scores.source import Source

ORDERS = ("noise_rate", "self_confidence", "margin", "aum")
COLUMNS = ("study_id", "bone", "group_id", "label", "score")


def out_of_fold_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """The out-of-fold frame of PREDICTIONS: every labelled study that the network did not learn from.

    For a network trained once these are in tune, valid and test; for one trained with --folds, all of train as well.
    OverreadError where none is left, or where all have one label.
    """
    rows = predictions[predictions["split"] != "train"]
    if rows.empty:
        raise OverreadError(
            "All of these scores are by a network that learned from the label. Train with --folds, or give scores of "
            "studies that it has not seen.",
            code="scores-not-out-of-fold",
        )
    studies = labelled(study_table(rows))
    if studies["label"].nunique() < 2:
        raise OverreadError(
            f"The network did not learn from {count_text(len(studies), 'labelled study')}, which lack abnormal or "
            "normal ones; "
            "expected both. Score more studies.",
            code="one-label-only",
        )
    return studies[list(COLUMNS)].reset_index(drop=True)


def frame_from_margins(source: Source, margins: pd.DataFrame, scores: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frame of the studies of a source's data set whose margins training logged, with `aum`.

    `score` is taken from `scores`, an out-of-fold frame, as of a checkpoint made with --folds; for other studies it is
    the mean probability during training. A study whose label has changed since is left out, since its margin is for
    the old label. OverreadError for margins of another data set.
    """
    known = _studies(read_index(source.indexed.name)).merge(
        margins[["study_id", "label", "logit", "aum"]], on=["study_id", "label"]
    )
    if known.empty:
        raise OverreadError(
            f"None of the {count_text(len(margins), 'study')} with logged margins is in {source.data} with its "
            "label. Name the "
            "data set that the checkpoint learned from.",
            code="margins-of-other-data",
        )
    score = pd.Series(expit(known["logit"].to_numpy(float)), known["study_id"])
    if scores is not None:
        score.update(scores.set_index("study_id")["score"])
    return known.assign(score=score.to_numpy())[[*COLUMNS, "aum"]]


def read_out_of_fold(
    file: Path, dataset: Dataset, allow_unmatched: bool = False
) -> tuple[pd.DataFrame, JoinReport, list[Note]]:
    """The frame from a table of `study_id`, `score` and optionally `aum`, with the index's labels, and its join.

    A row that repeats another one is used once. OverreadError for a study with different scores, and for rows of
    studies that are not in the data set unless these are allowed.
    """
    table = read_table(file)
    columns = {name: table.find(name) for name in ("study_id", "score", "aum")}
    if missing := [name for name in ("study_id", "score") if not columns[name]]:
        raise OverreadError(
            f"{file} lacks the column(s) {', '.join(missing)}; expected study_id, score and optionally aum.",
            code="column-missing",
        )
    given = {name: table.frame[column] for name, column in columns.items() if column}
    score = pd.to_numeric(given["score"], errors="coerce")
    if not score.between(0, 1).all():
        bad = given["score"][~score.between(0, 1)].iloc[0]
        raise OverreadError(
            f"{file} has the score {str(bad)!r}; expected probabilities from 0 to 1.", code="score-not-probability"
        )
    rows = pd.DataFrame({"score": score})
    if "aum" in given:
        rows["aum"] = pd.to_numeric(given["aum"], errors="coerce")
    rows.index = table.lines
    index = read_index(dataset.name)
    studies = index["study_id"].drop_duplicates().tolist()
    key = Key("study_id", studies, text_of(given["study_id"]).tolist(), paths=True)
    joined = join(studies, rows, [key], f"{file.name} and studies of {dataset.name} by study_id")
    refuse_without_match(joined, file, f"studies of {dataset.name}", allow_unmatched)
    if joined.disagreeing:
        first = studies[min(min(places) for places in joined.disagreeing.values())]
        raise OverreadError(
            f"{file} gives {count_text(joined.report.contradictions, 'study')} different scores (first: {first!r}). "
            "Keep one row "
            "of each study.",
            code="study-repeated",
        )
    if joined.report.unmatched_rows and not allow_unmatched:
        raise OverreadError(
            f"{joined.report.sentence()}; expected studies of {dataset.name}. Remove these rows, or pass "
            "--allow-unmatched to leave them out.",
            code="study-unknown",
        )
    scored = joined.values.assign(study_id=studies).astype({name: float for name in rows}).dropna(subset="score")
    known = _studies(index).merge(scored, on="study_id")
    notes = [*table.notes, *joined.notes]
    if left := len(scored) - len(known):
        notes.append(
            Note(f"left out: {count_text(left, 'study')} with a score and without a label", "studies-unlabelled")
        )
    return known[[*COLUMNS, *[name for name in rows if name != "score"]]], joined.report, notes


def frame_from_features(embeddings: Embeddings, folds: int = 5, seed: int = 0, penalty: float = 0.01) -> pd.DataFrame:
    """Out-of-fold scores by logistic regression on frozen features, if no network was trained with --folds.

    Scores every labelled study; folds keep patients together, and a study's features are the mean of its radiographs'.
    penalty: scikit-learn's C, on features scaled to unit variance. The features must not have been learned from these
    labels: a network that has memorised a wrong label hides it. OverreadError for too few studies.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    studies = _studies(embeddings.rows)
    if studies["label"].nunique() < 2 or studies["group_id"].nunique() < 2 * folds:
        raise OverreadError(
            f"{count_text(len(studies), 'labelled study')} of "
            f"{count_text(studies['group_id'].nunique(), 'patient')} cannot be divided into "
            f"{count_text(folds, 'fold')} with both labels. Label more studies.",
            code="too-few-for-folds",
        )
    where = embeddings.places
    features = np.stack([np.asarray(embeddings.vectors[where[study]]).mean(axis=0) for study in studies["study_id"]])
    bones = pd.get_dummies(studies["bone"]).to_numpy(float)
    inputs, label = np.hstack([features, bones]), studies["label"].to_numpy(int)
    score = np.full(len(studies), np.nan)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for learn, held_out in splitter.split(inputs, label, studies["group_id"]):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=2000))
        score[held_out] = model.fit(inputs[learn], label[learn]).predict_proba(inputs[held_out])[:, 1]
    return studies.assign(score=score)[list(COLUMNS)]


def rank_suspects(frame: pd.DataFrame, order: str = ORDERS[0]) -> pd.DataFrame:
    """The frame with `self_confidence` (score of the given label), `suspect` (confident joint) and `rank`, from 1.

    order: 'self_confidence'; 'margin', self-confidence minus its mean over studies of that label; 'noise_rate', which
    alternates between abnormal and normal studies in proportion to the wrong labels that the confident joint estimates
    (after prune by noise rate, Northcutt 2021); 'aum', if logged. Within one label the first three give the same
    order. If few studies are abnormal, 'margin' hardly finds normal ones labelled abnormal, and 'self_confidence'
    hardly abnormal ones labelled normal (docs/results.md).
    """
    if order not in ORDERS or (order == "aum" and "aum" not in frame):
        raise OverreadError(
            f"The order is {order[:40]!r}; expected one of {', '.join(ORDERS[:3])}, or aum if training logged it.",
            code="order-unknown",
        )
    label, score = frame["label"].to_numpy().astype(int), frame["score"].to_numpy(float)
    given = np.where(label == 1, score, 1 - score)
    suspect = confident_joint(score, label)[1]
    if order == "aum":
        key = frame["aum"].to_numpy(float)
    elif order == "margin":
        usual = np.array([given[label == kind].mean() if (label == kind).any() else np.nan for kind in (0, 1)])
        key = given - usual[label]
    elif order == "noise_rate":
        # At least half a suspect, so that studies of a label without suspects come late instead of never.
        wrong = np.array([max(suspect[label == kind].sum(), 0.5) for kind in (0, 1)])
        place = pd.Series(given).groupby(label).rank(method="average").to_numpy()
        key = place / wrong[label]
    else:
        key = given
    found = frame.assign(self_confidence=given, suspect=suspect)
    place = np.empty(len(frame), int)
    place[np.lexsort((frame["study_id"].to_numpy(str), given, key))] = np.arange(1, len(frame) + 1)
    return found.assign(rank=place).sort_values("rank").reset_index(drop=True)


def confident_joint(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts [given label, likely label], and which studies are off the diagonal (Northcutt 2021).

    A label is likely if its score is at least the mean score of the studies given that label. A study with two likely
    labels counts as the one with the higher score, and a study with none is not counted.
    """
    labels, both = np.asarray(labels).astype(int), np.stack([1 - np.asarray(scores), scores], axis=1)
    bar = np.array([both[labels == kind, kind].mean() if (labels == kind).any() else np.inf for kind in (0, 1)])
    over = both >= bar - 1e-12
    likely = np.where(over.all(axis=1), both.argmax(axis=1), np.where(over[:, 1], 1, 0))
    counted = over.any(axis=1)
    joint = np.zeros((2, 2), int)
    np.add.at(joint, (labels[counted], likely[counted]), 1)
    return joint, counted & (likely != labels)


def noise_rates(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Estimated share of wrong labels among abnormal and normal studies, and their number, from the confident joint."""
    joint, _ = confident_joint(scores, labels)
    given = np.array([(np.asarray(labels) == kind).sum() for kind in (0, 1)])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.array([joint[0, 1], joint[1, 0]]) / joint.sum(axis=1)
    return {"normal": float(share[0]), "abnormal": float(share[1]), "number": float(np.nansum(share * given))}


def precision_at(wrong_in_order: np.ndarray, ks=(10, 20, 50, 100)) -> pd.DataFrame:
    """For known wrong labels, how many of the first k are wrong: k, found, precision, random (expected)."""
    wrong = np.asarray(wrong_in_order, bool)
    base = wrong.mean() if len(wrong) else np.nan
    rows = []
    for k in sorted({min(k, len(wrong)) for k in ks} | {int(wrong.sum())}):
        if k:
            found = int(wrong[:k].sum())
            share: Estimate = proportion(found, k) if k else undefined(0, "cannot be estimated: nothing is ranked")
            rows.append({"k": k, "found": found, "precision": share, "random": float(base)})
    return pd.DataFrame(rows, columns=["k", "found", "precision", "random"])


def _studies(rows: pd.DataFrame) -> pd.DataFrame:
    by_study = rows.groupby("study_id", sort=True)
    table = by_study[["bone", "group_id"]].first()
    low, high = by_study["label"].min(), by_study["label"].max()
    return table.assign(label=high.where(low == high)).dropna(subset="label").reset_index()
