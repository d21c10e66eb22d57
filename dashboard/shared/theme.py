"""One colour per meaning, one Plotly template, and the style sheet that carries both into the light theme.

Charts are drawn with the dark theme's colours. Each colour has one meaning, so the style sheet can replace it in the
browser when the theme is switched, without drawing the chart again.
"""

import plotly.graph_objects as go
import plotly.io as pio

from core.schema import MURA_BONES, bone_order

ABNORMAL, NORMAL, MISSED, ALARM = "#E8743B", "#4C9BD6", "#E8567B", "#9B7EDE"
THRESHOLD, TEXT, MUTED, LINE, PANEL = "#F2C14E", "#E6EDF3", "#9AA4B2", "#2A313C", "#161B22"

# Chosen among 174 candidates: the smallest distance in OKLab is as large as possible, also with protanopia and
# deuteranopia. The last three are for regions outside MURA, chosen in the same way.
_BONES = (
    *("#BCD3F2", "#D77CB1", "#C6DE78", "#928564", "#C4A4FE", "#D4AE9D", "#BE9A2A"),
    *("#AC64A0", "#B8DCB8", "#D0ACD0"),
)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
# The light theme keeps the hue and adjusts the lightness: 4.5:1 on its background for words, 3:1 for the bones' marks.
LIGHT = {
    ABNORMAL: "#BE4E05",
    NORMAL: "#2376AF",
    MISSED: "#D12F5D",
    ALARM: "#7D60BD",
    THRESHOLD: "#8E6A03",
    TEXT: "#1A222D",
    MUTED: "#5B6573",
    LINE: "#D3DAE2",
    PANEL: "#FFFFFF",
    **dict(
        zip(
            _BONES,
            (
                *("#768BA8", "#C46BA0", "#7C9127", "#857858", "#9879CF", "#A68272", "#A98500"),
                *("#9C5590", "#739073", "#977B97"),
            ),
            strict=True,
        )
    ),
}
NAMES = {
    "abnormal": ABNORMAL,
    "normal": NORMAL,
    "missed": MISSED,
    "alarm": ALARM,
    "threshold": THRESHOLD,
    "text": TEXT,
    "muted": MUTED,
    "line": LINE,
    "panel": PANEL,
}
# Style, name and colour of each outcome on every page.
OUTCOMES = {
    "FN": ("missed", "Missed", MISSED),
    "FP": ("alarm", "False alarm", ALARM),
    "TP": ("abnormal", "Found", ABNORMAL),
    "TN": ("normal", "Cleared", NORMAL),
}
MEANING = {
    "FN": "abnormal, called normal",
    "FP": "normal, called abnormal",
    "TP": "abnormal, called abnormal",
    "TN": "normal, called normal",
}
LABELS = {1.0: ("Abnormal", ABNORMAL), 0.0: ("Normal", NORMAL)}
UNKNOWN = ("Unknown", MUTED)

_AXIS = {
    "gridcolor": LINE,
    "zeroline": False,
    "linecolor": LINE,
    "automargin": True,
    "fixedrange": True,
    "ticklabelstandoff": 5,
    "tickfont": {"color": MUTED},
    "title": {"standoff": 8, "font": {"size": 12.5, "color": MUTED}},
}
TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Source Sans, Segoe UI, Helvetica Neue, Arial, sans-serif", "size": 13, "color": TEXT},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "hovermode": "closest",
        "dragmode": False,
        "bargap": 0.25,
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "x": 0,
            "bgcolor": "rgba(0,0,0,0)",
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
        "hoverlabel": {"bgcolor": PANEL, "bordercolor": LINE, "font": {"color": TEXT}},
        "colorway": list(_BONES),
    }
)


# Plotly gives every figure without a template a copy of its own default one.
pio.templates.default = None
_TEMPLATE = TEMPLATE.to_plotly_json()


class Chart(go.Figure):
    """A figure whose template is added when it is sent: as a part of the figure, Plotly copies it at every step."""

    def to_dict(self) -> dict:
        """The figure as JSON values, with the template."""
        sent = super().to_dict()
        sent["layout"]["template"] = _TEMPLATE
        return sent


def figure(title: str, count: str, x: str = "", y: str = "", height: int = 320) -> Chart:
    """An empty figure in the template. The page shows title and count above it."""
    titles = {"title": {"text": title, "subtitle": {"text": count}}}
    return Chart(layout=titles | {"height": height, "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}})


def bone_style(bones) -> dict[str, tuple[str, str]]:
    """Colour and mark of each bone: fixed for MURA's seven on every chart, then in order for other regions."""
    others = [bone for bone in bone_order(bones) if bone not in MURA_BONES]
    places = {bone: place for place, bone in enumerate([*MURA_BONES, *others])}
    return {
        bone: (_BONES[places[bone] % len(_BONES)], _SYMBOLS[places[bone] % len(_SYMBOLS)]) for bone in bone_order(bones)
    }


def faded(colour: str, opacity: float) -> str:
    """The colour with an opacity, in the form that Plotly writes and the style sheet recognises."""
    red, green, blue = _parts(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def stylesheet() -> str:
    """The palette as custom properties, and for each colour of a chart its counterpart in the light theme."""
    names = "".join(f"--{name}:light-dark({LIGHT[dark]},{dark});" for name, dark in NAMES.items())
    # At the root, since dialogues and popovers are not inside the page's element.
    rules = [f":root{{{names}}}"]
    for dark, light in LIGHT.items():
        red, green, blue = _parts(dark)
        for part in ("fill", "stroke"):
            # A drawn mark has its colour in its own style attribute, hence this selector and !important.
            selector = f'.js-plotly-plot [style*="{part}: rgb({red}, {green}, {blue})"]'
            rules.append(f"{selector}{{{part}:light-dark({light},{dark})!important}}")
    return "".join(rules)


def _parts(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
