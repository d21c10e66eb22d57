"""A study as a card of a gallery: with its outcome, with its given label, or blind."""

import re
from collections.abc import Callable
from html import escape
from urllib.parse import urlencode

import pandas as pd

from core.among import among
from core.data.index import Dataset
from core.review.cases import neutral_name, sort_views, study_slices
from core.scores.view import View
from dashboard.shared import loaders, theme, widgets
from dashboard.shared.selection import bone_name


def outcome_card(view: View, study, files: pd.DataFrame, outcome: str, verdicts: str = "") -> str:
    """A card with score, threshold, distance and outcome. It links to the Errors page with the list of `outcome`."""
    words = (
        f"<div><b>{escape(bone_name(study.bone))}</b>{widgets.mark(study.outcome)}</div>"
        f"<div>{widgets.score_bar(study.score, view.threshold)}</div>"
        f"<div><small>{_breakable(study.study_id)}</small>"
        f'<small class="near">{_signed(study.score - view.threshold)}</small></div>{_tag(verdicts)}'
    )
    link = "errors?" + urlencode(view.address(outcome=theme.OUTCOMES[outcome][1], study=study.study_id))
    return widgets.card(_pictures(view, study.bone, files), words, link, study.study_id)


def _signed(difference: float) -> str:
    """A difference from the threshold with its sign, in enough digits to have one."""
    text = f"{difference:+.3f}"
    return f"{difference:+.0e}" if difference and not text.strip("+-0.") else text


def label_card(view: View, study, files: pd.DataFrame, verdicts: str = "", page: str = "labels") -> str:
    """A card with the given label first, and the score if there is one. It links to the study on `page`."""
    score = widgets.score_bar(study["score"], view.threshold) if study["score"] == study["score"] else ""
    words = (
        f"<div><b>{escape(bone_name(study['bone']))}</b>{widgets.label_mark(study['label'])}</div><div>{score}</div>"
        f"<small>{_breakable(study['study_id'])}</small>{_tag(verdicts)}"
    )
    link = f"{page}?" + urlencode(view.address(study=study["study_id"]))
    return widgets.card(_pictures(view, study["bone"], files), words, link, study["study_id"])


def count_link(count: int, view: View, outcome: str) -> str:
    """A number of studies as a link to them on the Errors page; plain text where there is none to show."""
    if not count or not view.source.has_images:
        return f"{count:,}"
    return f'<a href="errors?{escape(urlencode(view.address(outcome=outcome)))}" target="_self">{count:,}</a>'


def blind_card(view: View, study: str, bone: str, files: pd.DataFrame, page: str = "errors") -> str:
    """A card that shows neither label nor score, by its contents, its order of views or its link."""
    name = neutral_name(study)
    words = f"<div><b>{escape(bone_name(bone))}</b></div><small>{name}</small>"
    link = f"{page}?" + urlencode(view.address(study=name, blind="true"))
    return widgets.card(_pictures(view, bone, files), words, link, name)


def files_of_studies(dataset: Dataset, views: pd.DataFrame) -> Callable[[str], pd.DataFrame]:
    """A function that gives the scored radiographs of a study in the order of the index.

    They have sha1, width and height, which only the index has. A study without any gives an empty table.
    """
    facts = loaders.index(dataset)[["image_id", "sha1", "width", "height"]]
    rows = sort_views(facts[among(facts["image_id"], views["image_id"])].merge(views, on="image_id"))
    slices = study_slices(rows)
    return lambda study: rows.iloc[slices.get(study, slice(0, 0))]


def _pictures(view: View, bone: str, files: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (loaders.thumbnail_uri(view.dataset, path, sha1), f"{bone}, view {place} of {len(files)}")
        for place, (path, sha1) in enumerate(zip(files["path"].tolist(), files["sha1"].tolist()), 1)
    ]


def _breakable(name: str) -> str:
    """A name as HTML that is broken after its separators, not within a word."""
    return re.sub(r"([/_.-])", r"\1<wbr>", escape(name))


def _tag(verdicts: str) -> str:
    return f'<span class="tag">{escape(verdicts)}</span>' if verdicts else ""
