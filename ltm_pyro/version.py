"""The version of the installed library, made from the last tag of its repository."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ltm-pyro")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "0+unknown"
