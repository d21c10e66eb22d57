"""The one error a person is meant to read."""


class OverreadError(ValueError):
    """Bad input, said in one sentence: what was found, what was expected, what to do.

    The command line prints it and exits with 1; a page shows it as a message. Anything else that is raised is a bug.
    """
