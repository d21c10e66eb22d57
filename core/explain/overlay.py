"""A saliency map as a transparent picture over its radiograph."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from core.explain.map_record import MapRecord
from core.explain.method_list import METHOD_LIST

SIDES = "sides"
# Palettes of even brightness steps, readable without colour: control points with linear steps between them.
_POINTS = {
    # Evidence for abnormal and for normal in the colours of the labels, from dim to bright.
    SIDES: "#8A3208 #E8743B #FFC79E",
    "normal side": "#114A78 #4C9BD6 #B9DEFA",
    "magma": "#000004 #180F3D #440F76 #721F81 #9E2F7F #CD4071 #F1605D #FD9668 #FECA8D #FCFDBF",
    "inferno": "#000004 #1B0C41 #4A0C6B #781C6D #A52C60 #CF4446 #ED6925 #FB9B06 #F7D13D #FCFFA4",
    "viridis": "#440154 #482878 #3E4989 #31688E #26828E #1F9E89 #35B779 #6ECE58 #B5DE2B #FDE725",
    "grey": "#000000 #FFFFFF",
}
PALETTES = {
    name: np.stack(
        [
            np.interp(
                np.linspace(0, 1, 256),
                np.linspace(0, 1, len(points.split())),
                [int(colour[place : place + 2], 16) for colour in points.split()],
            )
            for place in (1, 3, 5)
        ],
        axis=1,
    ).astype(np.uint8)
    for name, points in _POINTS.items()
}
_NORMAL_SIDE = PALETTES.pop("normal side")
POLARITIES = {"towards abnormal": 1.0, "towards normal": -1.0, "either way": 0.0}


def full_strength(signed: np.ndarray) -> float:
    """The value drawn at full strength in one map or the maps of a study: the 99.5th percentile of magnitudes."""
    size = np.abs(np.nan_to_num(np.asarray(signed, dtype=np.float32)))
    return float(np.percentile(size, 99.5)) or float(size.max())


def strength(signed: np.ndarray, polarity: str, top: float | None = None) -> np.ndarray:
    """One side of a signed map, or its magnitude, divided by `top` (default: its own full strength), 0..1.

    Both sides of a map share one scale, so a weak side looks weak.
    """
    signed = np.nan_to_num(np.asarray(signed, dtype=np.float32))
    top = full_strength(signed) if top is None else top
    side = np.abs(signed) if POLARITIES[polarity] == 0 else np.maximum(POLARITIES[polarity] * signed, 0)
    return np.clip(side / top, 0, 1) if top > 0 else np.zeros_like(side)


def is_blank(signed: np.ndarray, polarity: str) -> bool:
    """Whether a side of a map is invisible: no pixel reaches a tenth of the map's full strength."""
    return bool(strength(signed, polarity).max() < 0.1)


def _upper(level: np.ndarray) -> np.ndarray:
    """Positions in a palette, without its lowest fifth, which would only darken the radiograph."""
    return (255 * (0.2 + 0.8 * level)).astype(np.uint8)


def overlay_png(
    record: MapRecord,
    polarity: str,
    palette: str = SIDES,
    least: float = 0.0,
    top: float | None = None,
    fit: Callable[[np.ndarray], np.ndarray] | None = None,
) -> bytes:
    """The map of a record as RGBA PNG; transparent where it is zero or its strength is below `least` (0..1).

    The caller shows the record's verdict beside it. fit: brings the map into the shape of its radiograph.
    """
    if record.attribution is None:
        raise ValueError(f"a record without a map: {record.why}")
    values, signed = record.attribution.map, record.attribution.signed
    side = polarity if signed else "either way"
    return png(overlay(fit(values) if fit else values, side, palette_of(palette, signed), least, top))


def png(picture: np.ndarray) -> bytes:
    """A picture uint8 [h, w, 4] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, "PNG")
    return buffer.getvalue()


def overlay(
    signed: np.ndarray, polarity: str, palette: str = SIDES, least: float = 0.0, top: float | None = None
) -> np.ndarray:
    """The colours of a map as uint8 [s, s, 4]. The palette `sides` gives each kind of evidence its hue."""
    level = strength(signed, polarity, top)
    place = _upper(level)
    colours = PALETTES[palette][place]
    if palette == SIDES:
        colours = np.where((np.nan_to_num(signed) < 0)[..., None], _NORMAL_SIDE[place], colours)
    # Weak parts are transparent, so that a broad map does not hide the bone.
    alpha = (255 * level * (level >= least)).astype(np.uint8)[..., None]
    return np.concatenate([colours, alpha], axis=2)


def outline_png(mask: np.ndarray, side: int) -> bytes:
    """The dashed border of a mask bool [s, s] as RGBA PNG of `side` pixels, visible on any background."""
    large = (
        np.asarray(Image.fromarray(255 * mask.astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)) > 127
    )
    wide = max(1, round(side / 320))
    border = ndimage.binary_dilation(large, iterations=wide) & ~large
    rows, columns = np.indices(border.shape)
    dash = (rows + columns) // (4 * wide) % 2
    picture = np.zeros((side, side, 4), np.uint8)
    picture[border] = np.where(dash[border][:, None], [255, 255, 255, 255], [14, 17, 22, 255])
    return png(picture)


def palette_of(palette: str, signed: bool) -> str:
    """The palette of a map; a map without signs has no sides to colour."""
    return "magma" if palette == SIDES and not signed else palette


def sheet_png(pixels: np.ndarray, records: list[MapRecord], look: tuple[str, str, float], opacity: float) -> bytes:
    """The radiograph and its maps side by side as PNG, each map above its method and verdict.

    look: polarity, palette, least strength. The maps are resized to the radiograph.
    """
    film = np.repeat(pixels[..., None], 3, axis=2).astype(np.float32)
    row, (polarity, palette, least), side = [_captioned(film, "", "")], look, pixels.shape[::-1]
    for record in records:
        picture = Image.open(io.BytesIO(overlay_png(record, polarity, palette, least, fit=_resized(side))))
        over = np.asarray(picture).astype(np.float32)
        alpha = opacity * over[..., 3:] / 255
        drawn = film * (1 - alpha) + over[..., :3] * alpha
        row.append(_captioned(drawn, METHOD_LIST[record.key.method].title, record.verdict))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=1).round().astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _resized(side: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    def fit(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(np.asarray(values, np.float32)).resize(side, Image.Resampling.BILINEAR))

    return fit


def _captioned(film: np.ndarray, title: str, verdict: str) -> np.ndarray:
    """A picture float [h, w, 3] with two lines of text below it."""
    size = max(9, film.shape[1] // 24)
    strip = Image.new("RGB", (film.shape[1], round(3.2 * size)), "white")
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(size)
    pen.text((size // 2, size // 3), title, "black", font)
    pen.text((size // 2, round(1.7 * size)), verdict, "black", font)
    return np.concatenate([film, np.asarray(strip).astype(np.float32)])
