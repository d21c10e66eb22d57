"""Radiographs with maps over them, as HTML."""

from html import escape

import numpy as np

from core.explain.overlay import SIDES, is_blank, outline_png, overlay_png, palette_of
from dashboard.saliency.controls import Look
from dashboard.shared import loaders, widgets


def radiograph_html(pixels: np.ndarray) -> str:
    """The radiograph in the square that the network receives."""
    return f'<img src="{loaders.picture_uri(pixels)}" alt="radiograph, fitted to the network\'s square">'


def map_html(values: np.ndarray, look: Look, signed: bool = True, top: float | None = None) -> str:
    """A map as a layer over its radiograph. top: the value of full strength, by default the map's own."""
    polarity = look.polarity if signed else "either way"
    palette = palette_of(look.palette, signed)
    layer = loaders.overlay_uri(overlay_png(values, polarity, palette, look.least, top))
    return f'<img class="over" src="{layer}" alt="" style="opacity:var(--opacity)">'


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
    """Figures as one grid, 'small' with a legend or 'tiny' without."""
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
