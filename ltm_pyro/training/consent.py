"""Consent to importing the classes that a file of arguments names, if they are of other packages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files import parse_yaml, read_text, validate
from ltm_pyro.training.class_paths import NamedClass, checked_arguments
from ltm_pyro.training.own_runs import code_folder
from ltm_pyro.training.reach import without_reach

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

LARGEST = 2**18  # bytes of a file of arguments


class Consented(NamedTuple):
    """Arguments of a file that may be parsed and built.

    Attributes:
        values: nested, as YAML holds them.
        foreign: the classes of other packages among them.
        own: True if the file is the configuration of a run made on this machine, or trusted.
        remark: message about arguments that were left out; usually empty.
    """

    values: dict[str, Any]
    foreign: list[NamedClass]
    own: bool = True
    remark: str = ""


def consented(parser: ArgumentParser, given: Mapping[str, Any], path: Path, trust_code: bool = False) -> Consented:
    """Check the arguments of a file before any class that they name is imported.

    Consent is given by `trust_code`, or by the file being the unchanged configuration of a run that was made at this
    path of this machine: the folder in which that run was made is then searched for its code too.

    Args:
        parser: one with the arguments of `build.add_arguments`.
        given: the file's content, or a part of it.
        path: of the file.
        trust_code: the user's consent to import classes of other packages that the file names.

    Raises:
        InputError: if consent is missing, and as `checked_arguments`.
    """
    code = code_folder(path)
    try:
        checked = checked_arguments(parser, given)
        if checked.foreign and code is None and not trust_code:
            raise InputError(_refusal(checked.foreign[0]))
        if checked.foreign:
            look_in(code)
            checked = checked_arguments(parser, given, trust_code=True)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    own = code is not None or trust_code
    removed = [] if own else without_reach(checked.values)
    return Consented(*checked, own, f"{path}: {', '.join(removed)} left out: {_MADE_ELSEWHERE}" if removed else "")


_MADE_ELSEWHERE = (
    "the file was not made by a command on this machine, and may not name other folders to write to or services to "
    "report to. Give the argument itself, or --trust_code"
)


def foreign_classes(parser: ArgumentParser, path: Path) -> list[NamedClass]:
    """The classes of other packages than ltm_pyro, torch and Pyro that a file of arguments names; none is imported.

    Raises:
        InputError: if the file cannot be read, or as `checked_arguments`.
    """
    arguments = read_arguments(path)
    try:
        return checked_arguments(parser, arguments).foreign
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_arguments(path: Path, follow: bool = False) -> dict[str, Any]:
    """The arguments in a YAML file of limited size, with numbers as the parser of arguments reads them.

    Args:
        path: of the file.
        follow: True if the file may be a link, which is refused inside a run.

    Raises:
        InputError: if the file cannot be read, or holds anything other than arguments by name.
    """
    from jsonargparse import get_loader

    text = read_text(path, LARGEST, follow=follow)
    validate(parse_yaml(text, str(path)), dict[str, Any], str(path))
    return _as_now(get_loader("yaml")(text))


def _as_now(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a file of any version in the present form; earlier versions wrote a missing field as null."""
    data = arguments.get("data")
    if isinstance(data, dict) and "field" in data and data["field"] is None:
        data["field"] = ""
    return arguments


def look_in(folder: str | None) -> None:
    """Add a folder to the end of the import path, so that its modules never shadow installed ones."""
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)


def _refusal(named: NamedClass) -> str:
    return (
        f"{named} is code of another package than ltm_pyro, torch and Pyro, and is not run without consent. If you "
        "trust the file and that code, give --trust_code (in Python, trust_code=True) in the folder that holds the code"
    )
