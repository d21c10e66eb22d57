"""How maps are drawn: side, colour, opacity and the weakest part shown. None of it computes a map again."""

from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st

from dashboard.shared import loaders, widgets
from dashboard.shared.overlay import PALETTES, POLARITIES, SIDES, is_blank, outline_png, overlay_png, palette_of

DEFAULT = ["hires_cam", "occlusion"]


@dataclass(frozen=True)
class Look:
    """What the sliders say."""

    polarity: str
    palette: str
    least: float
    opacity: float
    as_given: bool = False


def choose_methods(most: int = 0) -> list[str]:
    """The methods, in the order of the registry; with `most` 1, a single one."""
    methods = registry()
    titles = {name: methods[name].title for name in methods}
    if most == 1:
        name = st.selectbox(
            "Method", list(titles), key="method", format_func=titles.get, bind="query-params", help=helps(methods)
        )
        return [name]
    names = st.pills(
        "Methods",
        list(titles),
        selection_mode="multi",
        default=DEFAULT,
        key="methods",
        format_func=titles.get,
        bind="query-params",
        wrap=True,
        help=helps(methods),
    )
    return [name for name in titles if name in names]


def registry() -> dict:
    """The methods there are. Imports torch."""
    from core.explain.methods import METHODS

    return METHODS


def helps(methods: dict) -> str:
    """Each method in one line, with its source."""
    return "\n".join(
        f"- **{one.title}** ({one.source}): {one.call.__doc__.splitlines()[0]}" for one in methods.values()
    )


def choose_look() -> Look:
    """The sliders, in the URL."""
    first, second, third, fourth, fifth = st.columns([3, 3, 3, 3, 2], vertical_alignment="bottom")
    polarity = first.selectbox(
        "Shows",
        list(POLARITIES)[::-1],
        key="polarity",
        bind="query-params",
        help="Which side of the map: what speaks for abnormal, for normal, or both by strength.",
    )
    palette = second.selectbox(
        "Colours",
        list(PALETTES),
        key="palette",
        bind="query-params",
        help="sides: orange speaks for abnormal, blue for normal; the others show strength alone.",
    )
    opacity = third.slider("Opacity", 0, 100, 60, 5, key="opacity", format="%d%%", bind="query-params")
    least = fourth.slider(
        "Weakest shown",
        0,
        95,
        0,
        5,
        key="least",
        format="%d%%",
        bind="query-params",
        help="Of the map's strongest part.",
    )
    as_given = fifth.toggle(
        "As given",
        key="as_given",
        bind="query-params",
        help="The pixels that the network is given, instead of the radiograph at a size worth looking at.",
    )
    return Look(polarity, palette, least / 100, opacity / 100, as_given)


def picture(pixels: np.ndarray) -> str:
    """The radiograph in the square that the network is given."""
    return f'<img src="{loaders.picture_uri(pixels)}" alt="radiograph, fitted as the network is given it">'


def over(found, look: Look, top: float | None = None) -> str:
    """The map to be laid over its radiograph. The opacity is one custom property of the whole block."""
    polarity = look.polarity if found.signed else "either way"
    palette = palette_of(look.palette, found.signed)
    layer = loaders.overlay_uri(overlay_png(found.map, polarity, palette, look.least, top))
    return f'<img class="over" src="{layer}" alt="" style="opacity:var(--opacity)">'


def outline(truth: np.ndarray | None, side: int) -> str:
    """The border of a known finding as a layer; nothing where none is known."""
    if truth is None or not truth.any():
        return ""
    layer = loaders.overlay_uri(outline_png(truth, side))
    return f'<img class="over" src="{layer}" alt="the known finding, outlined">'


def note(found, look: Look) -> str:
    """The method's settings; and where nothing is seen, that this is the answer."""
    if found.signed and is_blank(found.map, look.polarity):
        return f"Nothing here speaks {look.polarity}. {found.note}"
    return found.note if found.signed else f"{found.note}; a magnitude, without a side"


def legend(look: Look) -> str:
    """What the colours say."""
    if look.palette != SIDES:
        return f'<p class="legend">Strength in {escape(look.palette)}: {escape(look.polarity)}</p>'
    swatches = {"towards abnormal": "orange speaks for abnormal", "towards normal": "blue speaks for normal"}
    shown = [side for side in swatches if look.polarity in (side, "either way")]
    marks = "".join(f'<span class="{side.split()[1]}"><i></i>{swatches[side]}</span>' for side in shown)
    return f'<p class="legend">{marks}</p>'


def film(title: str, inside: str, fact: str, small: str, below: str = "", above: str = "") -> str:
    """One picture with its words; `above` and `below`, HTML, stand before and after them."""
    made = widgets.film(inside, f"<b>{escape(title)}</b><span>{escape(fact)}</span>", small)
    return made.replace("<figcaption>", f"<figcaption>{above}").replace("</figcaption>", f"{below}</figcaption>")


def block(figures: list[str], look: Look, size: str = "small") -> str:
    """The pictures as one grid, 'small' or 'tiny'."""
    grid = f'<div class="films small {size}" style="--opacity:{look.opacity}">{"".join(figures)}</div>'
    return grid if size == "tiny" else grid + legend(look)
