"""The audit: what is wrong with a data set, before anyone trains on it."""
