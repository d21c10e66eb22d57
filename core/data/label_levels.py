"""The level of labels, one radiograph or its whole study, and how labels of radiographs become a study's label.

The label of a study is on each of its radiographs (`label`). Where radiographs are labelled singly, their own labels
stay in `image_label`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.notes import Note
from core.errors import OverreadError
from core.plural import count_text, share_clause

LEVELS = ("image", "study")
RULES = ("any", "all", "drop")
IMAGE_LABEL = "image_label"
# The share of mixed studies among those with several radiographs and an abnormal one, from which on the data leave no
# doubt that radiographs are labelled singly: 10% in GRAZPEDWRI-DX (504 of 5,049) and 46% in the knees (520 of 1,128).
# Where studies are labelled it is 0, as in MURA, whose label is the study's folder. A list that was typed by hand may
# have a mistake in one study of a hundred, so the share must be well above 1% and well below 10%.
DOUBTFUL = 0.02
RULE_WORDS = {
    "any": "a study is abnormal if any of its radiographs is",
    "all": "a study is abnormal if all of its radiographs are",
    "drop": "a study whose radiographs have different labels counts as unlabelled",
}


@dataclass(frozen=True)
class LabelRule:
    """level: 'image', 'study', or '' to infer it. rule: how labels of radiographs become the study's; '' for that which
    the name had before, or else 'any'."""

    level: str = ""
    rule: str = ""

    def __post_init__(self) -> None:
        if self.level not in ("", *LEVELS):
            raise OverreadError(
                f"--label-level is {self.level[:40]!r}; expected image (each radiograph has a label of its own) or "
                "study (the label belongs to the study).",
                code="label-level-unknown",
            )
        if self.rule not in ("", *RULES):
            raise OverreadError(
                f"--study-rule is {self.rule[:40]!r}; expected any, all or drop.", code="study-rule-unknown"
            )


@dataclass(frozen=True)
class StoredRule:
    """The label level and study rule that a name has, and whether studies of it have both labels."""

    level: str
    rule: str
    mixed: bool


@dataclass(frozen=True)
class LabelledRows:
    """Rows with the label of their study. level: 'image', 'study', or '' where the data leave it open."""

    frame: pd.DataFrame
    level: str
    rule: str
    notes: list[Note]


def label_studies(
    frame: pd.DataFrame, wanted: LabelRule, source: str, stored: StoredRule | None = None
) -> LabelledRows:
    """Give every radiograph (study_id, label) the label of its study, by the level asked for or inferred.

    With labels of radiographs these stay in `image_label`; an own column of that name becomes `image_label_given`. A
    radiograph without a label leaves its study unlabelled unless the others decide: one abnormal for 'any', one normal
    for 'all'. source: for messages. stored: what the name had before, kept where nothing else is asked for and it fits.
    """
    spread = frame.groupby("study_id", sort=False)["label"].agg(["min", "max", "count", "size"])
    mixed = spread["min"] < spread["max"]
    wanted, notes = _with_stored(wanted, stored, bool(mixed.any()))
    level = wanted.level
    if not level:
        level, reason = _inferred(spread, mixed)
        notes.append(_inference_note(level, reason, wanted.rule, source))
    elif level == "study" and mixed.any():
        notes.append(
            Note(
                code="study-labels-differ",
                text=f"the labels are the studies', and {_mixed_words(mixed)}; these count as unlabelled",
            )
        )
    if level != "image":
        if IMAGE_LABEL in frame:
            known = int(pd.to_numeric(frame[IMAGE_LABEL], errors="coerce").notna().sum())
            text = f"{IMAGE_LABEL} is the truth of {count_text(known, 'radiograph')}; it is used for evaluation only"
            notes.append(Note(code="truth-kept", text=text))
        return LabelledRows(frame, level, "", notes)
    notes.append(_outcome_note(spread, mixed, wanted.rule))
    if IMAGE_LABEL in frame:
        frame = frame.rename(columns={IMAGE_LABEL: f"{IMAGE_LABEL}_given"})
        notes.append(
            Note(code="column-renamed", text=f"the column {IMAGE_LABEL} of {source} is kept as {IMAGE_LABEL}_given")
        )
    of_study = _combined(spread, wanted.rule)
    label = frame["study_id"].map(of_study).astype("float64")
    return LabelledRows(
        frame.assign(**{IMAGE_LABEL: frame["label"].astype("float64"), "label": label}), level, wanted.rule, notes
    )


def _combined(spread: pd.DataFrame, rule: str) -> pd.Series:
    """The label of each study: 1, 0, or NaN where the known labels do not decide it."""
    low, high, complete = spread["min"], spread["max"], spread["count"] == spread["size"]
    if rule == "any":
        return high.where(complete | (high == 1))
    if rule == "all":
        return low.where(complete | (low == 0))
    return low.where(complete & (low == high))


def _with_stored(wanted: LabelRule, stored: StoredRule | None, mixed: bool) -> tuple[LabelRule, list[Note]]:
    """The requested level and rule, completed from those of the name. mixed: whether studies have both labels now."""
    asked = LabelRule(wanted.level, wanted.rule or "any")
    if stored is None or not stored.level or wanted.level == "study" or (wanted.level and stored.level == "study"):
        return asked, []
    if stored.level == "image":
        kept = LabelRule("image", wanted.rule or stored.rule or "any")
        if kept == wanted:
            return asked, []
        flags = f"--label-level image --study-rule {kept.rule}"
        return kept, [Note(f"labels are taken as before under this name: {flags}", "label-level-kept")]
    if wanted.rule:
        return asked, []
    if mixed and not stored.mixed:
        # The earlier level was inferred from studies whose radiographs agreed.
        text = "labels were those of studies under this name, and some studies now have both labels"
        return asked, [Note(text, "label-level-not-kept")]
    text = "labels are taken as before under this name: --label-level study"
    return LabelRule("study", asked.rule), [Note(text, "label-level-kept")]


def _inferred(spread: pd.DataFrame, mixed: pd.Series) -> tuple[str, str]:
    """The level that the data show, with the reason; '' where they leave doubt."""
    count = int(mixed.sum())
    if not count:
        if (spread["size"] == 1).all():
            return "study", "every study has one radiograph"
        return "study", "all radiographs of a study have the same label"
    comparable = int(((spread["max"] == 1) & (spread["count"] > 1)).sum())
    words = f"{_mixed_words(mixed)} ({count / comparable:.1%} of those with an abnormal one)"
    return ("image" if count / comparable >= DOUBTFUL else ""), words


def _inference_note(level: str, reason: str, rule: str, source: str) -> Note:
    if level == "study":
        return Note(code="label-level", text=f"labels are taken as the study's: {reason} (--label-level study)")
    if level == "image":
        return Note(
            code="label-level",
            text=f"labels are taken as those of single radiographs: {reason}; {RULE_WORDS[rule]} (--label-level image "
            f"--study-rule {rule}). If {source} labels studies, pass --label-level study",
        )
    return Note(
        code="label-level-open",
        text=f"{reason}: mistakes, or labels of single radiographs. They count as unlabelled now; pass --label-level "
        f"image if {source} labels radiographs, or --label-level study to confirm this",
    )


def _outcome_note(spread: pd.DataFrame, mixed: pd.Series, rule: str) -> Note:
    found = _combined(spread, rule)
    unknown = int((found.isna() & ~mixed).sum())
    lacking = f"; {unknown:,} lack a label that decides" if unknown else ""
    return Note(
        code="study-rule",
        text=f"{RULE_WORDS[rule]}: {int((found == 1).sum()):,} abnormal, {int((found == 0).sum()):,} normal and "
        f"{count_text(int(found.isna().sum()), 'unlabelled study')}, {int(mixed.sum()):,} of all with both "
        f"labels{lacking}",
    )


def _mixed_words(mixed: pd.Series) -> str:
    names = ", ".join(map(str, mixed.index[mixed][:3]))
    count = int(mixed.sum())
    return f"{share_clause(count, len(mixed), 'study', 'have')} radiographs with different labels (first: {names})"


def own_labels(frame: pd.DataFrame) -> pd.Series:
    """The label that each radiograph itself was given: `image_label` where it has one, else the study's."""
    if IMAGE_LABEL not in frame:
        return frame["label"]
    return frame[IMAGE_LABEL].fillna(frame["label"])


def known_image_labels(values: pd.Series) -> np.ndarray:
    """Labels of radiographs as float64: 1, 0 or NaN. OverreadError for any other value."""
    found = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    bad = values.notna().to_numpy() & ~np.isin(found, (0.0, 1.0))
    if bad.any():
        raise OverreadError(
            f"The column {IMAGE_LABEL} has {str(values[bad].iloc[0])[:40]!r} in {int(bad.sum()):,} of "
            f"{count_text(len(values), 'row')}; expected 1 (abnormal), 0 (normal) or empty.",
            code="image-label-invalid",
        )
    return found
