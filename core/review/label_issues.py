"""Labels that may be wrong, ranked by scores of networks that did not learn from them.

Out-of-fold frame, the contract of every function here, one row a study: `study_id`, `bone`, `group_id`, `label` (1, 0),
`score` (0..1, by a network that never saw the patient), and `aum` where the area under the margin was logged (Pleiss
2020: mean over epochs of the logit of the given label less that of the other; low is suspicious).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from core.data.index import Dataset, read_index
from core.errors import OverreadError
from core.metrics.intervals import Estimate, proportion, undefined
from core.metrics.studies import labelled, study_table
from core.scores.embeddings import Embeddings

ORDERS = ("noise_rate", "self_confidence", "margin", "aum")
COLUMNS = ("study_id", "bone", "group_id", "label", "score")


def out_of_fold_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """The out-of-fold frame of PREDICTIONS: every labelled study that the network did not learn from.

    Of a network trained once these are tune, valid and test; of one trained with --folds, all of train as well.
    """
    rows = predictions[predictions["split"] != "train"]
    if rows.empty:
        raise OverreadError(
            "Every one of these scores is by a network that learned from the label; train with --folds, or name scores "
            "of studies that it has not seen."
        )
    studies = labelled(study_table(rows))
    if studies["label"].nunique() < 2:
        raise OverreadError(
            f"{len(studies)} labelled studies were not learned from, all of one kind or none; expected both kinds."
        )
    return studies[list(COLUMNS)].reset_index(drop=True)


def frame_from_margins(margins: pd.DataFrame, dataset: Dataset, scores: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frame of the studies whose margins a training logged (`core.training.margins`), with `aum`.

    `score` is that of a network which did not learn from the study where `scores` (an out-of-fold frame) has one, as of
    a checkpoint made with --folds; else the mean probability while it was learned. A study whose label has changed
    since is left out: its margin was towards the old one.
    """
    known = _studies(read_index(dataset.name)).merge(
        margins[["study_id", "label", "logit", "aum"]], on=["study_id", "label"]
    )
    if known.empty:
        raise OverreadError(
            f"None of the {len(margins)} studies whose margins were logged stands in {dataset.name} with that label; "
            "name the data set that the checkpoint learned from."
        )
    score = pd.Series(expit(known["logit"].to_numpy(float)), known["study_id"])
    if scores is not None:
        score.update(scores.set_index("study_id")["score"])
    return known.assign(score=score.to_numpy())[[*COLUMNS, "aum"]]


def read_out_of_fold(file: Path, dataset: Dataset) -> pd.DataFrame:
    """The frame from a CSV or Parquet of `study_id`, `score` and maybe `aum`; labels come from the index."""
    try:
        found = (
            pd.read_parquet(file) if file.suffix in (".parquet", ".pq") else pd.read_csv(file, dtype={"study_id": str})
        )
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be read ({str(error).splitlines()[0][:120]}); name a CSV or Parquet."
        ) from error
    if missing := [name for name in ("study_id", "score") if name not in found]:
        raise OverreadError(f"{file} lacks the column(s) {', '.join(missing)}; expected study_id, score and maybe aum.")
    score = pd.to_numeric(found["score"], errors="coerce")
    if not score.between(0, 1).all():
        bad = found.loc[~score.between(0, 1), "score"].iloc[0]
        raise OverreadError(f"{file}: score holds {bad!r}; expected probabilities from 0 to 1.")
    if found["study_id"].duplicated().any():
        raise OverreadError(
            f"{file}: the study {found['study_id'][found['study_id'].duplicated()].iloc[0]!r} stands twice."
        )
    index = _studies(read_index(dataset.name))
    more = [name for name in ("aum",) if name in found]
    known = index.merge(found.assign(score=score)[["study_id", "score", *more]], on="study_id")
    if len(known) < len(found):
        gone = found.loc[~found["study_id"].isin(index["study_id"]), "study_id"]
        raise OverreadError(
            f"{file}: {len(found) - len(known)} studies have no label in {dataset.name} or are not there (first: "
            f"{(gone.iloc[0] if len(gone) else 'unlabelled')!r}); take them out."
        )
    return known[[*COLUMNS, *more]]


def frame_from_features(embeddings: Embeddings, folds: int = 5, seed: int = 0, penalty: float = 0.01) -> pd.DataFrame:
    """Out-of-fold scores by logistic regression on frozen features, where no network was trained with --folds.

    Every labelled study, patients kept together. penalty: scikit-learn's C, on features scaled to unit variance; the
    study is the mean of its radiographs. The features must not have been learned from these labels: a network that
    has memorised a wrong label hides it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    studies = _studies(embeddings.rows)
    if studies["label"].nunique() < 2 or studies["group_id"].nunique() < 2 * folds:
        raise OverreadError(
            f"{len(studies)} labelled studies of {studies['group_id'].nunique()} patients cannot be dealt into {folds} "
            "folds with both labels; label more."
        )
    where = embeddings.places
    features = np.stack([np.asarray(embeddings.vectors[where[study]]).mean(axis=0) for study in studies["study_id"]])
    bones = pd.get_dummies(studies["bone"]).to_numpy(float)
    inputs, label = np.hstack([features, bones]), studies["label"].to_numpy(int)
    score = np.full(len(studies), np.nan)
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for learn, judge in dealt.split(inputs, label, studies["group_id"]):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=2000))
        score[judge] = model.fit(inputs[learn], label[learn]).predict_proba(inputs[judge])[:, 1]
    return studies.assign(score=score)[list(COLUMNS)]


def rank_suspects(frame: pd.DataFrame, order: str = ORDERS[0]) -> pd.DataFrame:
    """The frame with `self_confidence` (the score of the given label), `suspect` (confident joint) and `rank`, 1 first.

    order: self_confidence; margin, the same less what is usual for the label; noise_rate, which takes from the
    abnormal and from the normal in turn, each by self-confidence and as often as the confident joint says that they
    are wrong (after prune by noise rate, Northcutt 2021); aum, where it was logged. Within a label the first three are
    one order. Where few studies are abnormal, margin finds hardly any normal one that was called abnormal, and
    self-confidence hardly any abnormal one that was called normal (docs/results.md).
    """
    if order not in ORDERS or (order == "aum" and "aum" not in frame):
        raise OverreadError(
            f"The order is {order[:40]!r}; expected one of {', '.join(ORDERS[:3])}, or aum where logged."
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
        # Half a suspect where none is counted: the label still has its turn, late.
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
    """Counts [given label, likely label], and which studies are counted off the diagonal (Northcutt 2021).

    A study counts as the label whose score is at least the mean score of the studies given that label; as the likelier
    one where both are, and not at all where neither is.
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
    """Estimated share of wrong labels among the abnormal and the normal, from the confident joint, and their number."""
    joint, _ = confident_joint(scores, labels)
    given = np.array([(np.asarray(labels) == kind).sum() for kind in (0, 1)])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.array([joint[0, 1], joint[1, 0]]) / joint.sum(axis=1)
    return {"normal": float(share[0]), "abnormal": float(share[1]), "number": float(np.nansum(share * given))}


def precision_at(wrong_in_order: np.ndarray, ks=(10, 20, 50, 100)) -> pd.DataFrame:
    """Where the truth is known, how many of the first k are wrong: k, found, precision, random (expected)."""
    wrong = np.asarray(wrong_in_order, bool)
    base = wrong.mean() if len(wrong) else np.nan
    rows = []
    for k in sorted({min(k, len(wrong)) for k in ks} | {int(wrong.sum())}):
        if k:
            found = int(wrong[:k].sum())
            share: Estimate = proportion(found, k) if k else undefined(0, "not estimable: nothing is ranked")
            rows.append({"k": k, "found": found, "precision": share, "random": float(base)})
    return pd.DataFrame(rows, columns=["k", "found", "precision", "random"])


def _studies(rows: pd.DataFrame) -> pd.DataFrame:
    by_study = rows.groupby("study_id", sort=True)
    table = by_study[["bone", "group_id"]].first()
    low, high = by_study["label"].min(), by_study["label"].max()
    return table.assign(label=high.where(low == high)).dropna(subset="label").reset_index()
