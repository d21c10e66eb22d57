"""Charts draw the values of their frames, and every axis has its unit."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.data.balance import balance_table, file_sizes_table, views_table
from core.data.resize_loss import resize_loss_summary, resize_loss_table
from core.explain.overlay import is_blank, overlay, png, strength
from core.metrics.calibration import reliability_table
from core.metrics.counts import counts_table
from core.metrics.decision import net_benefit_table
from core.metrics.ranking import precision_recall_table, roc_table
from dashboard.audit import charts as audit
from dashboard.bones import charts as bones
from dashboard.calibration import charts as calibration
from dashboard.compare import charts as curves
from dashboard.dataset import charts as dataset
from dashboard.runs import charts as history
from dashboard.saliency import charts as saliency
from dashboard.shared import theme
from dashboard.threshold import charts as decision

SCORES, LABELS = [0.9, 0.8, 0.6, 0.4, 0.3, 0.1], [1, 1, 0, 1, 0, 0]


@pytest.fixture
def counts() -> pd.DataFrame:
    return counts_table(SCORES, LABELS)


def trace(figure, name: str):
    return next(part for part in figure.data if part.name == name)


def test_roc_draws_the_table_and_marks_the_threshold(counts):
    table = roc_table(counts)
    figure = curves.roc({"one": table, "two": table.iloc[::2]}, {"one": (2 / 3, 2 / 3), "two": (1 / 3, 1)}, n=6)
    one, two = trace(figure, "one"), trace(figure, "two")
    assert list(one.x) == list(table["false_positive_rate"]) and list(one.y) == list(table["sensitivity"])
    assert list(two.y) == list(table["sensitivity"].iloc[::2]) and two.line.dash != one.line.dash
    assert figure.data[-1].x[0] == 0 and figure.data[-1].y[0] == pytest.approx(1 / 3)
    assert trace(figure, "threshold").x[0] == pytest.approx(1 / 3) and trace(figure, "threshold").y[0] == pytest.approx(
        2 / 3
    )
    assert figure.layout.title.subtitle.text == "6 studies" and figure.layout.yaxis.title.text == "Sensitivity"


def test_precision_recall_draws_the_table_and_the_line_of_chance(counts):
    table = precision_recall_table(counts)
    figure = curves.precision_recall({"one": table}, {"one": (2 / 3, 2 / 3)}, share=0.5, n=6)
    np.testing.assert_array_equal(trace(figure, "one").y, table["ppv"])
    assert not figure.layout.showlegend
    assert list(figure.data[0].y) == [0.5, 0.5]


def test_the_decision_curve_is_per_100_studies_and_marks_the_threshold(counts):
    table = net_benefit_table(counts)
    figure = decision.net_benefit(table, 0.5)
    np.testing.assert_allclose(trace(figure, "The model").y, 100 * table["net_benefit"])
    assert figure.layout.shapes[0].x0 == 0.5 and figure.data[-1].y[0] == pytest.approx(
        100 * table["net_benefit"].iloc[49]
    )
    assert len(decision.net_benefit(table, 0.0).data) == 3


def test_the_reliability_curve_leaves_empty_bins_out_and_carries_wilson():
    table = reliability_table([0.1, 0.15, 0.15, 0.9], [0, 1, 0, 1], bins=10)
    drawn = trace(calibration.reliability(table, "Before"), "observed")
    assert list(drawn.x) == pytest.approx([0.4 / 3, 0.9]) and list(drawn.y) == pytest.approx([1 / 3, 1])
    assert drawn.error_y.array[1] == 0 and drawn.error_y.arrayminus[0] == pytest.approx(1 / 3 - table["low"][1])


def test_a_whisker_reaches_from_low_to_high():
    groups = pd.DataFrame(
        {
            "name": ["Wrist", "Hand"],
            "n": [40, 3],
            "sensitivity": [0.8, np.nan],
            "sensitivity_low": [0.6, np.nan],
            "sensitivity_high": [0.9, np.nan],
        }
    )
    dots = trace(bones.dot_and_whisker(groups, {"sensitivity": 0.7}, "sensitivity"), "Sensitivity")
    assert list(dots.y) == ["Hand (3)", "Wrist (40)"] and np.isnan(dots.x[0]) and dots.x[1] == 0.8
    assert dots.error_x.array[1] == pytest.approx(0.1) and dots.error_x.arrayminus[1] == pytest.approx(0.2)


INDEX = pd.DataFrame(
    {
        "study_id": ["s1", "s1", "s2", "s3", "s4"],
        "group_id": ["p1", "p1", "p1", "p2", "p3"],
        "bone": ["wrist"] * 3 + ["hand"] * 2,
        "label": [1.0, 1.0, 0.0, np.nan, 0.0],
        "split": "train",
        "width": [10, 20, 30, 40, 50],
        "height": [5] * 5,
    }
)


def test_balance_bars_add_up_and_show_the_unknown():
    counts = balance_table(INDEX, "study")
    figure = dataset.label_balance(counts, "study", "train", ["wrist", "hand", "elbow"], 900)
    bars = [part for part in figure.data if part.type == "bar"]
    assert sum(sum(bar.x) for bar in bars) == 4
    assert [bar.name for bar in bars] == ["Normal (2)", "Abnormal (1)", "Unknown (1)"]
    assert list(figure.data[0].y) == ["Elbow", "Hand", "Wrist"]
    # One scale for every split, and no marks between whole numbers.
    assert figure.layout.xaxis.range[1] > 900 and figure.layout.xaxis.dtick == 500


@pytest.mark.parametrize(("largest", "step"), [(1, 1), (3, 1), (9, 5), (40, 10), (900, 500), (36_000, 10_000)])
def test_axes_of_counts_have_whole_steps(largest, step):
    assert dataset.whole_step(largest) == step


def test_views_per_study_and_sizes():
    views = dataset.views_per_study(views_table(INDEX)).data[0]
    assert dict(zip(views.x, views.y)) == {1: 3, 2: 1}
    table = file_sizes_table(INDEX)
    figure = dataset.image_sizes(table, len(INDEX))
    assert figure.data[0].customdata.sum() == len(INDEX) == table["n"].sum()
    assert f"{len(INDEX)} radiographs, 5 sizes" == figure.layout.title.subtitle.text
    assert "shown: the most common, 1 radiograph" in dataset.image_sizes(table.tail(1), 5).layout.title.subtitle.text


def test_the_loss_of_resizing_shows_medians_with_quartiles():
    random = np.random.default_rng(0)
    summary = resize_loss_summary(
        [resize_loss_table(random.integers(0, 256, (90, 70)).astype(np.uint8), (8, 32)) for _ in range(5)]
    )
    edges = trace(dataset.detail_left(summary), "edges")
    assert list(edges.x) == ["8", "32"] and list(edges.y) == list(summary["edges"])
    assert list(edges.error_y.array) == list(summary["edges_high"] - summary["edges"])


def test_history_marks_the_kept_epoch():
    run = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0], "tune_loss": [3.0, 1.5, 2.0]})
    figure = history.curve({"run": run}, "loss", {"run": 2})
    assert list(figure.data[0].y) == [3, 2, 1] and figure.data[0].name == "training"
    assert list(figure.data[2].x) == [2] and list(figure.data[2].y) == [1.5]
    assert figure.layout.yaxis.title.text == "Cross-entropy (nats)"


def test_two_runs_carry_their_names():
    run = pd.DataFrame({"epoch": [1], "seconds": [2.0]})
    assert [part.name for part in history.curve({"a": run, "b": run}, "seconds", {}).data] == ["a", "b"]


def test_both_sides_of_a_map_share_one_scale():
    signed = np.array([[2.0, -1.0], [0.0, np.nan]], np.float32)
    assert strength(signed, "towards abnormal")[0].tolist() == pytest.approx([1, 0])
    against = strength(signed, "towards normal")[0]
    assert against[0] == 0 and 0.4 < against[1] < 0.6
    assert strength(np.zeros((2, 2)), "either way").max() == 0


def test_the_overlay_is_transparent_where_the_map_is_zero():
    picture = np.asarray(Image.open(io.BytesIO(png(overlay(np.array([[1.0, 0.0]]), "towards abnormal")))))
    assert picture.shape == (1, 2, 4) and picture[0, 1, 3] == 0 and picture[0, 0, 3] == 255


HOSTILE = "<b>wrist</b> &deg; %{y}"


def drawn_with(name: str, counts: pd.DataFrame) -> list:
    """Every chart that draws names from data, each with this name."""
    table, run = roc_table(counts), pd.DataFrame({"epoch": [1], "seconds": [2.0]})
    recall = precision_recall_table(counts)
    groups = pd.DataFrame({"name": [name], "n": [4], "auroc": [0.8], "auroc_low": [0.7], "auroc_high": [0.9]})
    balance = balance_table(INDEX.assign(bone=name), "study")
    area = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 4}
    curve = {"insertion": [0.1, 0.9], "deletion": [0.9, 0.1]}
    return [
        curves.roc({name: table, "other": table}, {name: (1, 1)}, n=6),
        curves.precision_recall({name: recall, "other": recall}, {name: (1, 1)}, share=0.5, n=6),
        history.curve({name: run, "other": run}, "seconds", {}),
        bones.dot_and_whisker(groups, {"auroc": 0.7}, "auroc"),
        dataset.label_balance(balance, "study", "train", [name], 9),
        audit.shortcut_areas(area, {name: area}),
        saliency.insertion_deletion_curves({name: dict.fromkeys(("map", "edges", "centre", "random"), curve)}),
    ]


def test_names_from_data_are_drawn_as_they_were_typed(counts):
    for figure in drawn_with(HOSTILE, counts):
        text = str(figure.to_plotly_json())
        # Plotly shows these entities as the characters, and reads nothing in them.
        assert "&lt;b&gt;wrist&lt;/b&gt; &amp;deg; %&#123;y}" in text and HOSTILE not in text


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        return float(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["abnormal", "normal", "missed", "alarm", "threshold", "text", "muted"])
def test_words_are_readable_in_both_themes(name):
    assert contrast(theme.NAMES[name], "#0E1116") >= 4.5
    assert contrast(theme.LIGHT[theme.NAMES[name]], "#F7F8FA") >= 4.5


def test_every_colour_of_a_chart_has_its_light_counterpart():
    used = {
        theme.ABNORMAL,
        theme.NORMAL,
        theme.MISSED,
        theme.ALARM,
        theme.THRESHOLD,
        theme.TEXT,
        theme.MUTED,
        theme.LINE,
    }
    used |= {colour for colour, _ in theme.bone_style(["wrist", "hip", "leg"]).values()} | set(
        theme.TEMPLATE.layout.colorway
    )
    assert used <= set(theme.LIGHT) and len(set(theme.LIGHT.values())) == len(theme.LIGHT)


def test_bones_keep_their_colour_beside_other_regions():
    assert theme.bone_style(["wrist"])["wrist"] == theme.bone_style(["finger", "hip", "wrist"])["wrist"]
    styles = theme.bone_style(["finger", "hip", "leg"])
    assert len(set(styles.values())) == 3


def test_an_empty_side_of_a_map_is_blank():
    negative = np.array([[-1.0, -0.2], [0.0, 0.01]])
    assert is_blank(negative, "towards abnormal")
    assert not is_blank(negative, "towards normal")
    assert not is_blank(negative, "either way")
