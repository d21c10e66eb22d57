"""Limits on the measures of a radiograph, one number each: the audit and the error browser both use them."""

import pandas as pd

# A radiograph at or above the limit of a measure is unusual.
LIMITS = {"blank": 1.0, "noise": 0.5, "films": 2.0, "metal": 0.02}
TENTH = 0.1


def beyond_limit(measured: pd.DataFrame, *measures: str) -> pd.Series:
    """Rows of MEASURES that reach the limit of at least one of the named measures."""
    return pd.concat([measured[name] >= LIMITS[name] for name in measures], axis=1).any(axis=1)


def lowest_tenth(measured: pd.DataFrame, measure: str) -> pd.Series:
    """Rows of MEASURES in the lowest tenth of a measure among the rows given."""
    return measured[measure] <= measured[measure].quantile(TENTH)
