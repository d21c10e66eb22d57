"""The monitor: silence while nothing changes, and an alarm with its studies where something does."""

import numpy as np
import pandas as pd
import pytest

from core.serving.monitor import (
    LIMIT,
    MEASURES,
    Reference,
    alarms,
    cusum,
    daily_table,
    model_in_log,
    shadow_table,
    shifts,
    traffic,
)
from tests.refusals import refused


def made_up_log(count=600, rate=0.3, seed=0, **columns) -> pd.DataFrame:
    """A log of one model that calls `rate` of the studies abnormal."""
    random = np.random.default_rng(seed)
    score = random.random(count)
    frame = pd.DataFrame(
        {
            "number": np.arange(1, count + 1),
            "time": pd.date_range("2026-11-01", periods=count, freq="20min", tz="UTC"),
            "digest": "d",
            "model": "m",
            "shadow": False,
            "input": [f"i{number}" for number in range(count)],
            "score": score,
            "decision": np.where(score < rate, "abnormal", "normal"),
            "views": [[["a", "b", 0.1]] * 2] * count,
            "unusable": [[]] * count,
            "brightness": 0.4 + 0.05 * random.standard_normal(count),
            "contrast": 0.2 + 0.02 * random.standard_normal(count),
            "side": random.choice([1800.0, 2500.0], count),
        }
    )
    return frame.assign(**columns)


def reference(rate=0.3, **columns):
    studies = traffic(made_up_log(400, seed=9), "d")[list(MEASURES)]
    return Reference(rate, studies.assign(**columns))


def codes(log, rate=0.3):
    return [alarm.code for alarm in alarms(traffic(log, "d"), reference(rate))]


def test_an_unchanged_service_is_silent():
    quiet = sum(not codes(made_up_log(seed=seed)) for seed in range(20))
    assert quiet >= 17  # about one alarm in 3,000 studies, and strict tests


@pytest.mark.parametrize(("change", "expected"), [(0.6, "alerts-more"), (0.05, "alerts-fewer")])
def test_a_changed_rate_of_alerts_is_found_with_its_studies(change, expected):
    before, after = made_up_log(300), made_up_log(300, rate=change, seed=1)
    after["number"] += 300
    log = pd.concat([before, after], ignore_index=True)
    found = [alarm for alarm in alarms(traffic(log, "d"), reference()) if alarm.code == expected]
    assert found and min(found[0].numbers) > 250
    wanted = "abnormal" if expected == "alerts-more" else "normal"
    assert set(log.set_index("number").loc[list(found[0].numbers), "decision"]) == {wanted}


def test_the_cusum_is_that_of_its_definition():
    alerts, rate = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 1]), 0.2
    found, total = cusum(alerts, rate), 0.0
    odds = 2 * rate / (1 - rate)
    changed = odds / (1 + odds)
    for alert, value in zip(alerts, found["upper"]):
        ratio = changed / rate if alert else (1 - changed) / (1 - rate)
        total = max(0.0, total + np.log(ratio))
        assert value == pytest.approx(total)
        total = 0.0 if total > LIMIT else total


def test_the_cusum_alarms_as_rarely_and_as_soon_as_it_says():
    random = np.random.default_rng(1)
    quiet = cusum(random.random(60_000) < 0.3, 0.3)
    alarms_in_it = int(((quiet["upper"] > LIMIT) | (quiet["lower"] > LIMIT)).sum())
    assert 60_000 / max(alarms_in_it, 1) > 1_000
    odds = 2 * 0.3 / 0.7
    delays = [
        int(np.flatnonzero(cusum(random.random(2_000) < odds / (1 + odds), 0.3)["upper"] > LIMIT)[0]) for _ in range(40)
    ]
    assert np.mean(delays) < 80


def test_shifts_of_scores_and_radiographs_are_found():
    darker = made_up_log()
    darker.loc[300:, "brightness"] -= 0.1
    assert "shift" in codes(darker)
    assert "shift" in codes(made_up_log(score=np.random.default_rng(2).beta(2, 1, 600)))


def test_radiographs_are_compared_with_the_split_of_the_point_from_the_first_studies_on():
    larger = made_up_log(60, side=3000.0)
    (alarm,) = alarms(traffic(larger, "d"), reference())
    assert "longer sides" in alarm.text and "the split the point was chosen on" in alarm.text
    assert len(alarm.numbers) == 20
    # Without the radiographs of the split, they are compared with the first studies, and there are too few.
    assert not alarms(traffic(larger, "d"), reference(side=np.nan))
    found = {one.measure: one for one in shifts(traffic(made_up_log(600), "d"), reference(side=np.nan))}
    assert "first 200" in found["side"].where and len(found["side"].before) == 200
    assert "split" in found["contrast"].where and len(found["contrast"].before) == 400


def test_the_studies_behind_a_shift_are_those_farthest_from_the_reference():
    log = made_up_log(100)
    log.loc[40:69, "contrast"] += 1.0
    (alarm,) = [alarm for alarm in alarms(traffic(log, "d"), reference()) if "contrasts" in alarm.text]
    assert set(alarm.numbers) <= set(range(41, 71)) and len(alarm.numbers) == 20


def test_many_unusable_radiographs_are_found():
    log = made_up_log()
    log["unusable"] = [["image-unreadable"] if number % 8 == 0 else [] for number in range(len(log))]
    found = alarms(traffic(log, "d"), reference())
    assert [alarm.code for alarm in found] == ["unusable"] and "image-unreadable" in found[0].text


def test_the_table_of_days_counts_every_study():
    log = made_up_log()
    log.loc[:5, ["score", "decision"]] = None
    table = daily_table(traffic(log, "d"))
    assert table["studies"].sum() == 600 and table["unusable"].sum() == 6 and table["decided"].sum() == 594
    assert (table["low"] <= table["rate"]).all() and (table["rate"] <= table["high"]).all()


def test_a_shadow_is_joined_by_input():
    live = made_up_log(50)
    other = made_up_log(40, seed=3, digest="e", model="other", shadow=True)
    table = shadow_table(pd.concat([live, other], ignore_index=True), "d")
    assert len(table) == 40 and set(table["model"]) == {"other"} and "decision_shadow" in table
    assert len(traffic(pd.concat([live, other], ignore_index=True), "d")) == 50


def test_few_studies_raise_no_alarm():
    assert not codes(made_up_log(20, rate=0.3))


def test_a_model_of_the_log_is_found_by_name_and_by_digits():
    log = pd.concat([made_up_log(3, digest="abc1"), made_up_log(3, digest="def2", model="s", shadow=True)])
    assert model_in_log(log, "", False) == model_in_log(log, "m", False) == model_in_log(log, "abc", False) == "abc1"
    assert model_in_log(log, "s", True) == "def2"
    with refused("model-not-logged", "m (abc1)"):
        model_in_log(log, "s", False)
