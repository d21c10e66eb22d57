"""The quality limits are one number for the audit and the error browser."""

import pandas as pd

from core.audit.audit import QUALITY_CHECKS
from core.data.quality import LIMITS, beyond_limit, lowest_tenth
from dashboard.errors.filters import QUALITY


def test_a_radiograph_at_the_limit_counts_and_one_below_does_not():
    rows = pd.DataFrame({"metal": [0.0199, 0.02, 0.5], "noise": [0.5, 0.1, 0.1], "blank": [0.0, 0.0, 1.0]})
    assert beyond_limit(rows, "metal").tolist() == [False, True, True]
    assert beyond_limit(rows, "noise", "blank").tolist() == [True, False, True]


def test_the_lowest_tenth_is_of_the_rows_given():
    rows = pd.DataFrame({"contrast": range(100)})
    assert lowest_tenth(rows, "contrast").sum() == 10


def test_the_audit_and_the_filter_of_the_error_browser_share_every_limit():
    assert {check.column: check.limit for check in QUALITY_CHECKS.values() if check.column in LIMITS} == LIMITS
    rows = pd.DataFrame({"metal": [0.015, LIMITS["metal"]]})
    assert QUALITY["metal or overexposed"](rows).tolist() == [False, True]
