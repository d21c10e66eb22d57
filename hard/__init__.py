"""Attacks on a running workbench: what was tried, how often, and what happened. Run: `make hard`."""
