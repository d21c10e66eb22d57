"""The commands of `python -m core`, one module a room: thin, each calls one function of that room."""
