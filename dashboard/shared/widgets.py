"""The elements that pages share: heading, figures with intervals, gallery, empty state, chart, error message."""

import math
from collections.abc import Callable
from contextlib import contextmanager
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.attribution import read_attribution
from core.data.index import Dataset
from core.data.spreadsheet import guarded_table
from core.errors import OverreadError, from_disk
from core.metrics.intervals import Estimate
from core.progress import Tracker
from dashboard.shared import pending, theme
from dashboard.shared.glossary import marked
from dashboard.shared.help_drawer import draw_help
from dashboard.shared.plain import plain

PHANTOM = "Phantom: synthetic, not a person"


def style() -> None:
    """Add the style sheet; called once per run."""
    st.html(f"<style>{theme.stylesheet()}{Path(__file__).with_name('style.css').read_text()}</style>")


def heading(title: str, dataset: Dataset | None, *facts: str) -> None:
    """The page's name, and one line on its contents."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(title, anchor=False, width="content")
        draw_help(title)
    words = [f'<span class="phantom">{PHANTOM}</span>'] if dataset and dataset.phantom else []
    words += [marked(fact) for fact in facts if fact]
    words += [attribution_html(dataset)] if dataset else []
    st.html(f'<p class="line">{" &middot; ".join(filter(None, words))}</p>')


def attribution_html(dataset: Dataset) -> str:
    """The authors of a data set, as a link to its record; '' where none are stored."""
    known = read_attribution(dataset.name)
    if known is None:
        return ""
    line = escape(f"{known.title}, {known.short_authors()}, {known.licence}")
    link = known.link if known.link.startswith("https://") else ""
    return f'<a href="{escape(link)}" target="_blank" rel="noopener">{line}</a>' if link else line


def estimate_text(estimate: Estimate, kind: str = "percent") -> tuple[str, str]:
    """The value, and its interval with n; or 'Not estimable' and why. Kinds: core.metrics.rates.FORMATS, auroc."""
    if math.isnan(estimate.value):
        return "Not estimable", estimate.why.removeprefix("not estimable: ") or "no labelled studies"
    show, unit = {
        "percent": (lambda value: f"{100 * value:.1f}", "%"),
        "auroc": (lambda value: f"{value:.3f}", ""),
        "ratio": (lambda value: f"{value:.3f}", ""),
        "number": (lambda value: f"{value:.1f}", ""),
    }[kind]
    if math.isnan(estimate.low):
        return show(estimate.value) + unit, f"n = {estimate.n:,}; {estimate.why or 'no interval'}"
    return show(estimate.value) + unit, f"({show(estimate.low)}-{show(estimate.high)}), n = {estimate.n:,}"


def sentence(name: str, estimate: Estimate, kind: str = "percent") -> str:
    """`Sensitivity 92.1% (88.6-94.6), n = 316`, or `Sensitivity not estimable: no abnormal studies`."""
    value, rest = estimate_text(estimate, kind)
    return f"{name} not estimable: {rest}" if value == "Not estimable" else f"{name} {value} {rest}"


def draw_table(table: pd.DataFrame, **options) -> None:
    """Draw a table without its index. Texts are guarded, since the table's own button downloads them as CSV."""
    st.dataframe(guarded_table(table), hide_index=True, **options)


def facts(*cells: tuple[str, str, str] | tuple[str, str, str, str]) -> None:
    """A row of figures: name, value, small print, and optionally the meaning whose colour the value takes."""
    html = []
    for name, value, rest, *accent in cells:
        size = " small" if len(value) > 9 else ""
        html.append(
            f'<div class="{"accent-" + accent[0] if accent else ""}"><div class="name">{escape(name)}</div>'
            f'<div class="value{size}">{escape(value)}</div><div class="rest">{escape(rest)}</div></div>'
        )
    st.html(f'<div class="facts">{"".join(html)}</div>')


def empty(title: str, what_to_do: str, command: str = "") -> None:
    """An empty state: what is missing, and how to get it."""
    st.html(f'<div class="empty"><b>{escape(title)}</b><p>{escape(what_to_do)}</p></div>')
    if command:
        st.code(command, language="bash", wrap_lines=True)


def caption(title: str, count: str = "") -> None:
    """The name of a chart or of a part of a page, and its basis, such as the number of studies."""
    st.html(f'<p class="caption">{escape(title)} <small>{marked(count)}</small></p>')


def note(text: str, why: str = "", about: str = "", ask: str = "Why?") -> None:
    """A sentence in small, muted print; `why` opens behind it. about: the subject of `why`, for screen readers."""
    line = f'<p class="note">{marked(text)}</p>' if text else ""
    st.html(line + (why_html([why], about, ask) if why else ""))


def why_html(sentences: list[str], about: str = "", ask: str = "Why?") -> str:
    """Sentences that a summary opens in place: what explains a figure, and is not needed to read it."""
    named = f' aria-label="{escape(ask)} {escape(about)}"' if about else ""
    lines = "".join(f'<p class="note">{marked(sentence)}</p>' for sentence in sentences if sentence)
    return f'<details class="why"><summary{named}>{escape(ask)}</summary>{lines}</details>' if lines else ""


def show_figure(figure: go.Figure, key: str) -> None:
    """A chart under its title. The title is page text, so that it can wrap on a narrow screen."""
    title = figure.layout.title.text or ""
    count = figure.layout.title.subtitle.text or ""
    # With a wider gap, the title would not be seen as part of its chart.
    with st.container(gap="xxsmall"):
        caption(title, count)
        figure.update_layout(title=None)
        st.plotly_chart(
            figure, theme=None, width="stretch", key=key, config={"displayModeBar": False}, alt=f"{title}: {count}"
        )


def gallery(cards: list[str], card: str = "15rem", tall: str = "9.5rem", crisp: bool = False) -> None:
    """Cards (see `card`) as one grid: one element, however many radiographs."""
    style = f"--card:{card};--tall:{tall}"
    st.html(f'<div class="gallery{" crisp" if crisp else ""}" style="{style}">{"".join(cards)}</div>')


def card(pictures: list[tuple[str, str]], words: str, link: str = "", study: str = "") -> str:
    """One card: pictures as (URI, alternative text), words as HTML. A click sends `study`."""
    images = "".join(f'<img src="{escape(uri)}" alt="{escape(alt)}" loading="lazy">' for uri, alt in pictures)
    body = f'<div class="views">{images}</div><div class="words">{words}</div>'
    if link:
        return f'<a class="card" href="{escape(link)}" data-study="{escape(study)}">{body}</a>'
    return f'<div class="card">{body}</div>'


def film(picture: str, line: str, *smalls: str) -> str:
    """One large picture. Picture and line are HTML; the small lines below are plain text."""
    below = "".join(f"<small>{escape(small)}</small>" for small in smalls if small)
    return f'<figure><div class="film">{picture}</div><figcaption><div>{line}</div>{below}</figcaption></figure>'


def mark(outcome: str) -> str:
    """An outcome as a word in its colour."""
    name, words, _ = theme.OUTCOMES.get(outcome, ("unknown", "Label unknown", ""))
    return f'<span class="mark {name}">{words}</span>'


def label_mark(label: float) -> str:
    """A label as a word in its colour."""
    words = theme.LABELS.get(label, theme.UNKNOWN)[0]
    return f'<span class="mark {words.lower()}">{words}</span>'


def score_bar(score: float, threshold: float) -> str:
    """A score as a short bar with the threshold's tick."""
    return (
        f'<span class="score" role="img" aria-label="score {score:.3f}, threshold {threshold:.3f}">'
        f'<i style="width:{100 * score:.1f}%"></i><b style="left:{100 * threshold:.1f}%"></b></span>'
        f"<span>{score:.3f}</span>"
    )


def progress(first: str) -> Callable[[float, str], None]:
    """Draw a bar. Returns the callable that moves it: fraction done and a message; the bar adds the time left."""
    bar, tracker = st.progress(0.0, plain(first)), Tracker()

    def advance(fraction: float, message: str) -> None:
        now = tracker.report(round(1000 * min(max(fraction, 0.0), 1.0)), 1000, message)
        bar.progress(now.fraction, plain(", ".join(filter(None, [message, now.left_text()]))))

    return advance


@contextmanager
def guarded():
    """Show an OverreadError as a message; any other exception is a bug and is shown as one."""
    try:
        with pending.until_drawn():
            yield
    except OverreadError as error:
        empty("This cannot be shown", str(error))
        offer_again(error)
    except OSError as error:
        if not (known := from_disk(error)):
            raise
        empty("This cannot be shown", str(known))


def offer_again(error: OverreadError) -> None:
    """A button that makes a damaged file again, where the error names one that is derived from others."""
    if not error.file:
        return
    from core.workflows.make_again import can_be_made_again, make_again

    if can_be_made_again(error.file) and st.button("Make it again", key="make_again", icon=":material/restart_alt:"):
        try:
            bar = progress("Making it again")
            make_again(error.file, lambda done, total, what: bar(done / max(total, 1), what))
        except OverreadError as failed:
            st.error(plain(failed))
        else:
            st.rerun()
