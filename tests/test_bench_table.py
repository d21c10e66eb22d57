"""`make bench`: the rows of a run become one table that says where the peer is faster, and failures are listed."""

from bench import every
from bench.every import Outcome

ROW = {"what": "an epoch", "n": "320", "peer": "a plain loop", "ratio_min": "0.7", "ratio_max": "0.9"}


def test_a_row_in_which_the_peer_is_faster_says_so():
    rows = [{**ROW, "ratio_median": "0.8"}, {**ROW, "ratio_median": "2.0"}, {"what": "loss", "ratio_median": ""}]
    slow, fast = every.table([Outcome("training", rows, 1.0, "")]).splitlines()[2:]
    assert slow == "| an epoch | 320 | a plain loop | 0.8 (0.7-0.9) | the peer is faster |"
    assert fast.endswith("2.0 (0.7-0.9) |  |")


def test_only_the_rows_of_this_run_are_collected(tmp_path, monkeypatch):
    monkeypatch.setattr(every, "RESULTS", tmp_path)
    file = tmp_path / "made.csv"
    file.write_text("what,ratio_median\nold,1\n")
    code = f"open({str(file)!r}, 'a').write('new,2\\n')"
    monkeypatch.setitem(every.BENCHES, "made", (["bench_made_here"], 60))
    (tmp_path / "bench_made_here.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert every.run("made", str(tmp_path)).rows == [{"what": "new", "ratio_median": "2"}]


def test_a_benchmark_that_fails_or_takes_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(every, "RESULTS", tmp_path)
    (tmp_path / "bench_fails_here.py").write_text("print('first'); raise SystemExit('no space left')")
    (tmp_path / "bench_waits_here.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(every.BENCHES, "fails", (["bench_fails_here"], 60))
    monkeypatch.setitem(every.BENCHES, "waits", (["bench_waits_here"], 1))
    failed, waited = every.run("fails", ""), every.run("waits", "")
    assert failed.failure == "ended with status 1: no space left" and waited.failure.startswith("stopped after 1 s")
    assert "no space left" in every.summary([failed])
