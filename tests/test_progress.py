"""The progress of long work: steps, shares and seconds left, by a clock that the tests turn."""

import json

import pytest

from core.progress import Progress, Tracker, duration_text, keep_rates, progress_from, read_rates

STEPS = ("decoding", "comparing pairs", "aligning pairs")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(tracker: Tracker, clock: Clock, what: str, total: int, seconds: float, parts: int = 10) -> list[Progress]:
    """A step at an even pace."""
    told = []
    for part in range(1, parts + 1):
        clock.now += seconds / parts
        told.append(tracker.report(total * part // parts, total, what))
    return told


def test_a_quick_first_step_promises_nothing_about_the_slow_ones(clock):
    """An audit said 'about 1 s left' at 6 s and took 142 s: its first step of four was nearly done."""
    tracker = Tracker(STEPS, clock=clock)
    first = run(tracker, clock, "decoding", 1000, 6)
    assert all(told.left is None for told in first)
    assert first[-2].step_left == pytest.approx(0.6) and "left in this step" in first[-2].sentence()
    assert max(told.fraction for told in first) <= 1 / 3 + 1e-9
    slow = run(tracker, clock, "comparing pairs", 50, 90)
    assert slow[4].step == 2 and slow[4].step_left == pytest.approx(45) and slow[4].left is None
    last = run(tracker, clock, "aligning pairs", 10, 46)
    assert last[4].left == pytest.approx(23) and "about 25 s left" in last[4].sentence()
    assert last[-1].left is None and last[-1].fraction == 1


def test_earlier_work_tells_how_long_the_later_steps_take(clock):
    rates = {"decoding": 0.006, "comparing pairs": 0.09, "aligning pairs": 0.046}
    told = run(Tracker(STEPS, rates, 1000, clock), clock, "decoding", 1000, 6)[4]
    assert told.left == pytest.approx(3 + 90 + 46) and "about 3 min left" in told.sentence()
    assert told.fraction == pytest.approx(3 / 142)
    # Twice as many radiographs, twice as long.
    clock.now = 0.0
    told = run(Tracker(STEPS, rates, 2000, clock), clock, "decoding", 2000, 12)[4]
    assert told.left == pytest.approx(6 + 180 + 92)


def test_what_was_measured_is_kept_for_the_next_time(clock, tmp_path):
    file = tmp_path / "rates.json"
    assert read_rates(file, "audit") == {}
    tracker = Tracker(STEPS, size=1000, clock=clock)
    for what, seconds in zip(STEPS, (6, 90, 46)):
        run(tracker, clock, what, 10, seconds)
    keep_rates(file, "audit", tracker.finish())
    keep_rates(file, "index", {"reading files": 1.0})
    assert read_rates(file, "audit") == pytest.approx(dict(zip(STEPS, (0.006, 0.09, 0.046))))
    file.write_text("[1]")
    assert read_rates(file, "audit") == {}
    keep_rates(tmp_path / "none" / "rates.json", "audit", {"decoding": 1.0})
    assert read_rates(tmp_path / "none" / "rates.json", "audit") == {"decoding": 1.0}


def test_a_pace_that_slows_down_lengthens_the_estimate(clock):
    """Files of a cache come first and at once; the estimate is by the slower of the two paces."""
    tracker = Tracker(clock=clock)
    run(tracker, clock, "decoding", 900, 3, parts=3)
    for done in range(901, 931):
        clock.now += 1
        told = tracker.report(done, 1000, "decoding")
    assert told.left == pytest.approx(70, rel=0.1)


def test_nothing_is_estimated_from_the_first_moments(clock):
    tracker = Tracker(clock=clock)
    for done in (1, 5, 9):
        clock.now += 0.5
        assert tracker.report(done, 1000, "x").left is None
    clock.now = 3
    assert tracker.report(12, 1000, "x").left is None
    clock.now = 20
    assert tracker.report(15, 1000, "x").left > 60


def test_work_that_is_resumed_is_not_taken_for_quick(clock):
    """A run that goes on at its eighth epoch of ten has not done eight epochs in the first second."""
    tracker = Tracker(clock=clock)
    clock.now += 1
    assert tracker.report(810, 1000, "epoch 9 of 10").left is None
    for done in range(820, 1000, 10):
        clock.now += 4
        told = tracker.report(done, 1000, "epoch 9 of 10")
    assert told.fraction == 0.99 and told.left == pytest.approx(4)
    assert [Tracker(clock=clock).report(done, 1000, "x").left for done in (0, 900)] == [None, None]


def test_the_share_never_shrinks_and_never_is_whole_before_the_end(clock):
    tracker = Tracker(STEPS, clock=clock)
    told = run(tracker, clock, "decoding", 10, 5)
    told += [
        tracker.report(0, 4, "aligning pairs"),
        tracker.report(5, 10, "decoding"),
        tracker.report(1, 4, "aligning"),
    ]
    shares = [one.fraction for one in told]
    assert shares == sorted(shares) and shares[-1] < 1
    assert [one.step for one in told[-3:]] == [3, 3, 3]  # a step that is left out, and one that comes again


def test_all_counted_is_not_all_done(clock):
    told = run(Tracker(clock=clock), clock, "reading files", 100, 20)
    assert told[-1].left is None and "left" not in told[-1].sentence()


def test_silence_ends_an_estimate(clock, monkeypatch):
    told = run(Tracker(clock=clock), clock, "x", 100, 20)[4]
    monkeypatch.setattr("core.progress.time.time", lambda: 1000.0)
    stored = json.loads(told.to_json())
    assert progress_from(stored) == told and told.left == pytest.approx(10)
    monkeypatch.setattr("core.progress.time.time", lambda: 1030.0)
    assert progress_from(stored).left is None and progress_from(stored).fraction == told.fraction


def test_progress_of_earlier_versions_is_read():
    told = progress_from({"done": 3, "total": 12, "what": "epoch 2 of 3"})
    assert told.sentence() == "epoch 2 of 3: 3 of 12" and told.fraction == 0.25


def test_durations_are_rounded_up():
    texts = {0: "1 s", 0.2: "1 s", 9.1: "10 s", 41: "45 s", 55: "1 min", 61: "2 min", 3600: "1 h", 7700: "2 h 10 min"}
    assert {seconds: duration_text(seconds) for seconds in texts} == texts
