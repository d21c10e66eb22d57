"""The one error that is written for a person to read."""


class OverreadError(ValueError):
    """Bad input: the message says what was found, what was expected and what to do.

    The command line prints it and exits with 1; a page shows it as a message. Any other exception is a bug. code: a
    short name that stays when the wording changes, such as 'column-missing'; tests and scripts match it.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        # Worker processes send their errors back by pickling; without this the code would be lost on the way.
        return type(self), (str(self), self.code)
