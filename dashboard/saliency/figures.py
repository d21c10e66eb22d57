"""Radiographs with maps over them, as HTML."""

from dataclasses import dataclass
from html import escape

import numpy as np

from core.explain.map_record import MapRecord
from core.explain.overlay import SIDES, is_blank, outline_png, overlay, overlay_png, png
from dashboard.saliency.controls import Look
from dashboard.shared import loaders, trust_marks, widgets


@dataclass(frozen=True)
class MapWords:
    """The words at a map, and how it is drawn: the known finding, the side of the film, the scale of a study."""

    fact: str
    small: str
    finding: np.ndarray | None = None
    side: int = 0
    top: float | None = None
    is_waiting: bool = True


def radiograph_html(pixels: np.ndarray) -> str:
    """The radiograph in the square that the network receives."""
    return f'<img src="{loaders.picture_uri(pixels)}" alt="radiograph, fitted to the network\'s square">'


def map_html(record: MapRecord, look: Look, top: float | None = None) -> str:
    """The map of a record as a layer over its radiograph. top: the value of full strength, by default the map's own."""
    return _layer(overlay_png(record, look.polarity, look.palette, look.least, top))


def mean_html(mean: np.ndarray, look: Look) -> str:
    """A mean map as a layer; the caption beside it says what the checks of its method found."""
    return _layer(png(overlay(mean, look.polarity, look.palette, look.least)))


def _layer(picture: bytes) -> str:
    return f'<img class="over" src="{loaders.overlay_uri(picture)}" alt="" style="opacity:var(--opacity)">'


def map_figure_html(title: str, under: str, record: MapRecord, look: Look, words: MapWords) -> str:
    """One map over its radiograph with its verdict; only the film where the map does not hold up."""
    layer = "" if trust_marks.is_plain(record, look.show_all) else map_html(record, look, words.top)
    pointing = trust_marks.pointing_words(record, words.finding)
    return figure_html(
        title,
        under + layer + outline_html(words.finding, words.side),
        words.fact,
        " ".join(part for part in (words.small, pointing) if part),
        trust_marks.reason_html(record),
        trust_marks.verdict_html(record, words.is_waiting),
    )


def outline_html(finding: np.ndarray | None, side: int) -> str:
    """The border of a known finding as a layer; '' where none is known."""
    if finding is None or not finding.any():
        return ""
    layer = loaders.overlay_uri(outline_png(finding, side))
    return f'<img class="over" src="{layer}" alt="the known finding, outlined">'


def map_note(attribution, look: Look) -> str:
    """The method's settings, and a remark where the map has no visible part."""
    if not attribution.signed:
        return f"{attribution.note}; shows strength only"
    if is_blank(attribution.map, look.polarity):
        side = {"towards abnormal": "for abnormal", "towards normal": "for normal"}.get(look.polarity, "either way")
        return f"This map has no visible evidence {side}. {attribution.note}"
    return attribution.note


def figure_html(title: str, layers: str, fact: str, small: str, below: str = "", above: str = "") -> str:
    """One picture with its caption; `above` and `below` are HTML before and after the caption."""
    figure = widgets.film(layers, f"<b>{escape(title)}</b><span>{escape(fact)}</span>", small)
    return figure.replace("<figcaption>", f"<figcaption>{above}").replace("</figcaption>", f"{below}</figcaption>")


def grid_html(figures: list[str], look: Look, size: str = "small") -> str:
    """Figures as one grid, 'small' with a legend or 'tiny' without a legend."""
    # One custom property sets the opacity of all maps, so that a change of it replaces no picture.
    grid = f'<div class="films small {size}" style="--opacity:{look.opacity}">{"".join(figures)}</div>'
    return grid if size == "tiny" else grid + _legend_html(look)


def _legend_html(look: Look) -> str:
    if look.palette != SIDES:
        return f'<p class="legend">Strength in {escape(look.palette)}: {escape(look.polarity)}</p>'
    colours = {"towards abnormal": "orange: evidence for abnormal", "towards normal": "blue: evidence for normal"}
    shown = [side for side in colours if look.polarity in (side, "either way")]
    marks = "".join(f'<span class="{side.split()[1]}"><i></i>{colours[side]}</span>' for side in shown)
    return f'<p class="legend">{marks}</p>'
