"""The commands of `python -m core`, one module per subject: each parses its options and calls one function."""
