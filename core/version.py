"""The version of Overread. `pyproject.toml` reads it here."""

VERSION = "0.2.0"
