"""The table of rates: its values, and that every output has a new entry."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest

import core.metrics.rates as table_of_rates
from core.metrics.compare import compare, match_studies
from core.metrics.counts import counts_at, counts_table
from core.metrics.decision import at_prevalence
from core.metrics.evaluation import evaluate, figure_names
from core.metrics.intervals import clopper_pearson
from core.metrics.rates import FORMATS, RATES, Rate, interval_text, rates_at, rates_text
from core.metrics.studies import study_table
from core.metrics.thresholds import choice_facts, choose, figures_at, parse_rule
from docs.make_rates_table import PAGE, with_table
from tests.metrics.examples import P, Q, Y, one_view_each, predictions, separated

NAME = "false_alarm_rate"
NEW = Rate(
    NAME, "False alarm rate",
    lambda of: table_of_rates.confusion.rate(of.fp, of.fp + of.tn, "normal"),
    formula="FP / (FP + TN)", interval="Wilson", undefined="no normal studies", better="lower",
    help="The share of normal studies that are called abnormal.", short="FPR",
)  # fmt: skip


@pytest.fixture
def with_new_rate(monkeypatch):
    monkeypatch.setitem(RATES, NAME, NEW)


def test_every_entry_is_complete():
    for name, rate in RATES.items():
        assert rate.name == name and rate.format in FORMATS and rate.better in ("higher", "lower", "")
        assert rate.share_of in ("abnormal", "normal", "all", "")
        assert all(getattr(rate, field) for field in ("title", "formula", "interval", "undefined", "help"))
        assert rate.help.endswith(".") and "|" not in "".join(str(getattr(rate, part.name)) for part in fields(rate))


def test_docs_have_the_table_of_rates_of_the_code():
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run: make docs"


def test_the_json_of_evaluate_has_a_new_rate(with_new_rate):
    found = evaluate(predictions(200), 0.5, by="bone")
    json.dumps(found, allow_nan=False)
    for facts in (found, *found["groups"]):
        assert facts[NAME] == pytest.approx(facts["fp"] / (facts["fp"] + facts["tn"]))
        assert facts[f"{NAME}_low"] < facts[NAME] < facts[f"{NAME}_high"]
    assert NAME in figure_names()


def test_threshold_and_compare_have_a_new_rate(with_new_rate):
    studies = study_table(predictions(200))
    rule = parse_rule("youden")
    facts = choice_facts(studies, choose(studies, rule), rule)
    assert facts[NAME] == pytest.approx(1 - facts["specificity"])
    assert facts[f"{NAME}_low"] == pytest.approx(1 - facts["specificity_high"])
    one, other = (study_table(one_view_each(scores, Y)) for scores in (P, Q))
    facts = compare(match_studies(one, other), 0.5, 0.35, draws=0)
    assert facts[f"{NAME}_a"] == pytest.approx(2 / 11) and math.isnan(facts[f"{NAME}_difference_low"])
    assert facts[f"{NAME}_difference"] == pytest.approx(facts[f"{NAME}_a"] - facts[f"{NAME}_b"])


def test_evaluate_prints_a_new_rate(with_new_rate, tmp_path, capsys):
    from core.commands.evaluate import evaluate as command

    file = tmp_path / "scores.parquet"
    frame = predictions(200)
    frame.to_parquet(file)
    command(str(file), threshold=0.5)
    row = evaluate(frame, 0.5)
    shown = f"FPR {interval_text(row, NAME, 'percent')}"
    assert " ".join(shown.split()) in " ".join(capsys.readouterr().out.split())


def test_tables_of_the_pages_have_a_new_rate(with_new_rate):
    from core.metrics.subgroups import slice_table
    from dashboard.bones.table import cell, more_html
    from dashboard.compare.tables import measures_html

    studies = study_table(predictions(300))
    table = slice_table(studies, 0.5, draws=0)
    row = table.iloc[0].to_dict()
    html = more_html(table, row, "bone", {name: name for name in table["bone"]})
    assert ">FPR<" in html and cell(row, NAME, "percent") in html
    one, other = (study_table(one_view_each(scores, Y)) for scores in (P, Q))
    assert "False alarm rate" in measures_html(compare(match_studies(one, other), 0.5, 0.35, draws=0), "one", "other")


def test_docs_have_a_new_rate(with_new_rate):
    line = next(line for line in with_table(PAGE.read_text(encoding="utf-8")).splitlines() if NAME in line)
    assert "FP / (FP + TN)" in line and "lower" in line


def test_figures_at_a_threshold_have_a_value_and_a_reason_for_each_rate():
    row = figures_at(counts_table(P, np.zeros(20)), 0.5)
    assert all(f"{name}{end}" in row for name in RATES for end in ("", "_low", "_high"))
    undefined = [name for name in RATES if math.isnan(row[name])]
    assert "sensitivity" in undefined and all(f"{name}: " in row["why"] for name in undefined)


def test_values_are_shown_in_their_format():
    row = {"a": 0.92149, "a_low": 0.8861, "a_high": 0.946, "b": math.nan, "c": -1e-9, "c_low": None, "c_high": None}
    assert interval_text(row, "a", "percent") == "92.1% (88.6-94.6)"
    assert interval_text(row, "b", "ratio") == interval_text(row, "absent", "number") == "not estimable"
    assert interval_text(row, "c", "ratio") == "0.000" and interval_text(row, "c", "percent") == "0.0%"
    row = {"kappa": 0.5, "ppv": 0.25}
    assert rates_text(row, list(RATES.values())) == "PPV 25.0%, Kappa 0.500"


def test_rates_at_a_threshold():
    scores, labels = separated(200, 300)
    counts = counts_table(scores, labels)
    rates = rates_at(counts, 0.5)
    at = counts_at(counts, 0.5)
    assert set(rates) >= {
        "sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "kappa", "mcc",
        "likelihood_ratio_positive", "likelihood_ratio_negative", "alerts_per_100", "number_needed_to_review",
    }  # fmt: skip
    assert all(rate.low < rate.value < rate.high and rate.why == "" for rate in rates.values())
    assert rates["sensitivity"].value == at["tp"] / 200 and rates["sensitivity"].n == 200
    assert rates["specificity"].value == at["tn"] / 300 and rates["specificity"].n == 300
    exact = rates_at(counts, 0.5, method="clopper_pearson")["sensitivity"]
    assert (exact.low, exact.high) == pytest.approx(clopper_pearson(at["tp"], 200))


def test_a_stated_prevalence_changes_only_the_predictive_values():
    counts = counts_table(*separated(200, 300))
    here, there = rates_at(counts, 0.5), rates_at(counts, 0.5, prevalence=0.05)
    moved = {name for name in here if here[name] != there[name]}
    assert moved == {"ppv", "npv", "alerts_per_100", "number_needed_to_review"}
    plain = at_prevalence(here["sensitivity"].value, here["specificity"].value, 0.05)
    assert there["ppv"].value == pytest.approx(plain["ppv"], abs=1e-12)


@pytest.mark.parametrize("labels", [np.ones(20), np.zeros(20)])
@pytest.mark.parametrize("prevalence", [None, 0.1])
def test_rates_of_one_class_have_the_rate_of_that_class(labels, prevalence):
    rates = rates_at(counts_table(P, labels), 0.5, prevalence)
    shown, hidden = ("sensitivity", "specificity") if labels[0] else ("specificity", "sensitivity")
    assert rates[shown].n == 20 and 0 < rates[shown].low < rates[shown].value < rates[shown].high
    assert all(rate.why for rate in rates.values() if np.isnan(rate.value)) and np.isnan(rates[hidden].value)
    assert np.isnan(rates["kappa"].value) and np.isnan(rates["mcc"].value)


def test_rates_without_studies_are_all_undefined():
    rates = rates_at(counts_table([], []), 0.5)
    assert all(np.isnan(rate.value) and rate.why for rate in rates.values())
