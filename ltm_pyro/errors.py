"""The exception for errors of a user."""


class InputError(ValueError):
    """Bad input: the message says what was wrong, what was expected, and the remedy.

    The command line prints it as one line and exits with code 2; in Python it is a `ValueError`.
    """
