"""The address of the library's repository, from which it is installed as long as its name is on no package index."""

REPOSITORY = "https://github.com/ltm-pyro/ltm_pyro"
ON_INDEX = False


def requirement(extra: str = "") -> str:
    """The argument of `pip install` that installs the library.

    Args:
        extra: an extra of its own, such as `pretrained`; none if empty.
    """
    name = f"ltm-pyro[{extra}]" if extra else "ltm-pyro"
    return name if ON_INDEX else f"{name} @ git+{REPOSITORY}"
