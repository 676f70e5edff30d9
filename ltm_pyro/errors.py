"""The one exception for what a user can get wrong."""


class InputError(ValueError):
    """What was given cannot be used: the message says what, what was expected, and the remedy.

    The command line prints it as one line and exits with code 2; in Python it is a `ValueError`.
    """
