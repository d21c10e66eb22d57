"""Time the metrics against scikit-learn and plain pandas, after checking that both sides give the same figures.

Run: `python -m bench.thresholds [WORDS]`; only cases whose name contains WORDS run. The two sides of a pair alternate,
and each round gives one ratio (peer's time over ours), so a slow moment of the machine affects both. One row per case
is appended to bench/results/thresholds.csv.
"""

import csv
import datetime
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import sklearn
from scipy.special import expit
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from core.metrics import confusion
from core.metrics.counts import counts_at, counts_table, group_counts
from core.metrics.intervals import auroc_statistic, bootstrap_draws
from core.metrics.ranking import auroc, delong
from core.metrics.studies import study_table
from core.metrics.thresholds import highest_threshold
from core.schema import MURA_BONES

RESULTS = Path(__file__).parent / "results" / "thresholds.csv"


@dataclass(frozen=True)
class Case:
    """A comparison with a peer on n studies or rows. Both calls return the same figures."""

    what: str
    n: int
    peer: str
    ours: Callable
    theirs: Callable
    repeat: int = 1
    rounds: int = 9
    ours_repeat: int = 0  # our call may be too short to time with the repeats of the peer


def made(n: int, seed: int = 0) -> pd.DataFrame:
    """Make scores of n studies of MURA's seven bones, one and a half studies per patient, AUROC about .85."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n)
    patient = random.integers(0, n * 2 // 3, n)
    score = expit(random.normal(1.5 * label - 0.75, 1.0))
    return pd.DataFrame({"bone": random.choice(MURA_BONES, n), "label": label, "score": score, "group_id": patient})


def moves(n: int) -> list[Case]:
    """Move the threshold: counts of all studies and of each of seven bones, stored counts against a recomputation."""
    studies = made(n)
    scores, labels, bones = studies["score"].to_numpy(), studies["label"].to_numpy(), studies["bone"].to_numpy()
    built = group_counts(scores, labels, bones)
    parts = [(scores, labels), *((scores[bones == name], labels[bones == name]) for name in built.names[1:])]

    def again():
        found = []
        for part, truth in parts:
            tn, fp, fn, tp = confusion_matrix(truth, part >= 0.4, labels=[0, 1]).ravel()
            found.append([tp, fp, tn, fn])
        return found

    fresh = Case("counts of all and 7 bones at a new threshold", n, "scikit-learn confusion_matrix per bone",
                 lambda: built.at(0.4), again, max(1, 100_000 // n), 9 if n <= 100_000 else 5, 1000)  # fmt: skip
    once = Case("making these counts once (peer: one move)", n, "scikit-learn confusion_matrix per bone",
                lambda: group_counts(scores, labels, bones).at(0.4), again, 1, 5)  # fmt: skip
    return [fresh, once]


def flat(small: int = 3_197, large: int = 10_000_000) -> Case:
    """Compare a move over many scores with one over few: `theirs` is ours on the small set, so growth is 1 / ratio."""
    few, many = (
        group_counts(*(made(n)[name].to_numpy() for name in ("score", "label", "bone"))) for n in (small, large)
    )

    def shares(counts, times: int = 2000):
        for _ in range(times):
            found = counts.at(0.4)
        return [found.shape[0]]

    return Case(f"a move over {large:,} scores (peer: over {small:,}, ours)", large, "Overread on fewer scores",
                lambda: shares(many), lambda: shares(few))  # fmt: skip


def per_bone(studies: pd.DataFrame) -> list[Case]:
    """Move a slider over seven bones, and search the screening threshold of each."""
    parts = [(part["score"].to_numpy(), part["label"].to_numpy()) for _, part in studies.groupby("bone")]
    built = [counts_table(scores, labels) for scores, labels in parts]

    def rates(built_counts):
        found = []
        for counts in built_counts:
            at = counts_at(counts, 0.4)
            one, two = confusion.sensitivity(at["tp"], at["fn"]), confusion.specificity(at["tn"], at["fp"])
            found += [one.value, two.value]
        return found

    def peer_rates():
        found = []
        for scores, labels in parts:
            tn, fp, fn, tp = confusion_matrix(labels, scores >= 0.4, labels=[0, 1]).ravel()
            found += [tp / (tp + fn), tn / (tn + fp)]
        return found

    def chosen():
        return [highest_threshold(counts_table(*part), 0.85).threshold for part in parts]

    def peer_chosen():
        found = []
        for scores, labels in parts:
            _, sensitivity, thresholds = roc_curve(labels, scores, drop_intermediate=False)
            total = labels.sum()
            z2 = 1.959963984540054**2
            half = np.sqrt(z2 * (total * sensitivity * (1 - sensitivity) + z2 / 4))
            low = (total * sensitivity + z2 / 2 - half) / (total + z2)
            found.append(thresholds[np.argmax(low >= 0.85)])
        return found

    n = len(studies)
    fresh = "scikit-learn confusion_matrix per bone"
    return [
        Case("rates of 7 bones at a new threshold, counts at hand, with Wilson intervals (peer: without)", n, fresh,
             lambda: rates(built), peer_rates, 20),
        Case("rates of 7 bones at a threshold, counts built each time, with Wilson intervals (peer: without)", n, fresh,
             lambda: rates([counts_table(*part) for part in parts]), peer_rates, 10),
        Case("screening threshold of 7 bones (lower bound of sensitivity >= .85)", n, "scikit-learn roc_curve per bone",
             chosen, peer_chosen, 10),
    ]  # fmt: skip


def areas(n: int, with_pairs: bool) -> list[Case]:
    """DeLong's area and variance, against counting every pair and against the area alone."""
    studies = made(n, seed=1)
    scores, labels = studies["score"].to_numpy(), studies["label"].to_numpy()

    def pairs():
        wins = (np.sign(scores[labels == 1][:, None] - scores[labels == 0][None, :]) + 1) / 2
        m, k = wins.shape
        return [wins.mean(), wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / k]

    quadratic = [Case("AUROC and DeLong variance", n, "all pairs, NumPy", lambda: delong(scores, labels), pairs, 5)]

    def in_parts():
        # The same matrix in blocks of 200 rows, since the whole would not fit in memory.
        up, down = scores[labels == 1], np.sort(scores[labels == 0])
        won, lost = np.zeros(len(up)), np.zeros(len(down))
        for start in range(0, len(up), 200):
            block = (np.sign(up[start : start + 200, None] - down[None, :]) + 1) / 2
            won[start : start + 200], lost = block.mean(axis=1), lost + block.sum(axis=0)
        lost = lost / len(up)
        return [won.mean(), won.var(ddof=1) / len(won) + lost.var(ddof=1) / len(lost)]

    if n > 5000 and with_pairs:
        return [Case("AUROC and DeLong variance", n, "all pairs, NumPy, in parts", lambda: delong(scores, labels),
                     in_parts, 1, 5)]  # fmt: skip
    value = Case("AUROC with DeLong interval (peer: value only)", n, "scikit-learn roc_auc_score",
                 lambda: [auroc(scores, labels).value], lambda: [roc_auc_score(labels, scores)], 5)  # fmt: skip
    return (quadratic if with_pairs else []) + [value]


def bootstrap(studies: pd.DataFrame, draws: int = 2000, rounds: int = 5) -> list[Case]:
    """Bootstrap the same patients: ours by weights, the peer's by copying rows and calling scikit-learn."""
    groups, scores, labels = (studies[name].to_numpy() for name in ("group_id", "score", "label"))
    rows = list(studies.groupby("group_id").indices.values())

    def loop():
        random = np.random.default_rng(0)
        found = []
        for _ in range(draws):
            drawn = np.concatenate([rows[place] for place in random.integers(len(rows), size=len(rows))])
            found.append(roc_auc_score(labels[drawn], scores[drawn]))
        return np.quantile(found, [0.025, 0.975])

    def ours():
        found = bootstrap_draws(groups, auroc_statistic(scores, labels), draws, seed=0)
        return np.quantile(found, [0.025, 0.975])

    return [
        Case(f"AUROC interval by patient, {draws} draws", len(studies), "loop over scikit-learn", ours, loop, 1, rounds)
    ]


def aggregated(radiographs: int = 40_000) -> list[Case]:
    """Aggregate radiographs to studies, against the same table in pandas and against the minimum of a notebook."""
    random = np.random.default_rng(2)
    study = random.integers(0, radiographs * 3 // 8, radiographs)
    text = pd.Series(study).map("valid/wrist/patient{0:05d}/study1".format)
    label = (study % 3 == 0).astype(float)
    frame = pd.DataFrame({"study_id": text, "patient_id": text, "group_id": text, "bone": "wrist", "split": "valid"})
    frame = frame.assign(label=label, logit=random.normal(label, 1.0), checkpoint="small@00000000", dataset="made-up")

    def least():
        groups = frame.assign(score=expit(frame["logit"])).groupby("study_id", sort=False)
        return groups.agg(score=("score", "mean"), label=("label", "first"))["score"].to_numpy()

    def same():
        groups = frame.assign(score=expit(frame["logit"])).groupby("study_id", sort=False)
        kept = {name: (name, "first") for name in ("patient_id", "group_id", "bone", "split")}
        views = {"lowest": ("label", "min"), "highest": ("label", "max"), "n_views": ("label", "size")}
        table = groups.agg(**kept, **views, score=("score", "mean")).reset_index()
        return table.assign(label=table["lowest"].where(table["lowest"] == table["highest"]))["score"].to_numpy()

    def ours():
        return study_table(frame)["score"].to_numpy()

    return [
        Case("study table of 40,000 radiographs", radiographs, "the same table by pandas groupby", ours, same),
        Case("study table of 40,000 radiographs (peer: score and first label only)", radiographs,
             "pandas groupby mean and first", ours, least),
    ]  # fmt: skip


def timed(call: Callable, repeat: int) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def measure(case: Case) -> dict:
    """Return one row of results. Raises AssertionError if the two sides disagree."""
    rounds = case.rounds
    np.testing.assert_allclose(case.ours(), case.theirs(), rtol=1e-9)
    ours, theirs = [], []
    for number in range(rounds):
        # The order alternates, so that neither side always finds the caches warmed by the other.
        for mine in (True, False) if number % 2 else (False, True):
            (ours if mine else theirs).append(
                timed(case.ours, case.ours_repeat or case.repeat) if mine else timed(case.theirs, case.repeat)
            )
    ratios = np.array(theirs) / np.array(ours)
    return {
        "date": datetime.date.today().isoformat(),
        "what": case.what,
        "n": case.n,
        "peer": case.peer,
        "ratio_median": f"{np.median(ratios):.3g}",
        "ratio_min": f"{ratios.min():.3g}",
        "ratio_max": f"{ratios.max():.3g}",
        "rounds": rounds,
        "ours_ms": f"{1000 * np.median(ours):.4g}",
        "peer_ms": f"{1000 * np.median(theirs):.4g}",
        "hardware": hardware(),
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}, "
        f"scipy {scipy.__version__}, scikit-learn {sklearn.__version__}",
        "command": "python -m bench.thresholds",
    }


def hardware() -> str:
    """The processor's name and the number of cores this run may use."""
    name = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = about.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {name}"


def main() -> None:
    studies = made(1199)
    cases = [
        *moves(3_197), *moves(100_000), *moves(1_000_000), flat(), *per_bone(studies), *areas(1199, True),
        *areas(36_808, False), *areas(30_000, True), *areas(1_000_000, False), *bootstrap(studies),
        *bootstrap(made(40_000), 200), *aggregated(),
    ]  # fmt: skip
    words = " ".join(sys.argv[1:])
    rows = [measure(case) for case in cases if words in case.what]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(f"{row['ratio_median']:>6} x ({row['ratio_min']}-{row['ratio_max']})  {row['what']}, n = {row['n']}: "
              f"{row['ours_ms']} ms against {row['peer_ms']} ms of {row['peer']}")  # fmt: skip


if __name__ == "__main__":
    main()
