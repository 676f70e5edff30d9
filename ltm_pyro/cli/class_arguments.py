"""Class arguments on a command line: a class named there replaces one in a file, with all its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.known_classes import PACKAGES
from ltm_pyro.runs.config import CLASSES
from ltm_pyro.training.consent import read_arguments

IMPORT_PATH = re.compile(r"(?<![\w./-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
OPTIONAL = ("--transport", "--reward")  # options of classes that a run may be without
GROUPS = ("decoder", "prior", "transport", "guide", "reward", "fast", "slow")  # of arguments that may name a class


def given(argv: Sequence[str], option: str) -> list[str]:
    """The values of an option: each the next word, or the text after an equals sign."""
    after = [following for word, following in pairwise([*argv, ""]) if word == option]
    return after + [word.removeprefix(f"{option}=") for word in argv if word.startswith(f"{option}=")]


def named_classes(argv: Sequence[str]) -> set[str]:
    """The arguments of `CLASSES` whose class is named by the words, or by a file of `--config`."""
    return _in_argv(argv).union(*(_in_file(content) for content in map(read, given(argv, "--config"))))


def without_overruled_shares(groups: Mapping[str, Any], argv: Sequence[str]) -> Mapping[str, Any]:
    """A recipe's arguments, without a schedule's shares of the run if the words give the schedule in slow steps."""
    for group in ("fast", "slow"):
        argument = f"--{group}.bound.kl_weight"
        named = [*given(argv, argument), *(word for word in argv if word.startswith(f"{argument}."))]
        holder = groups.get(group, {}).get("bound", {}).get("init_args", {}).get("kl_weight", {})
        if isinstance(holder, dict) and any(re.search(r"\b(steps|delay|period)\b", word) for word in named):
            for share in ("begin", "over"):
                holder.get("init_args", {}).pop(share, None)
    return groups


def files_as_text(argv: Sequence[str], check: Callable[[Mapping[str, Any], Path], Mapping[str, Any]]) -> list[str]:
    """The words, with each file of `--config` replaced by its text, without the classes that the words name.

    Args:
        argv: of a command line.
        check: a function of a file's arguments and its path, which returns the arguments to keep.

    Raises:
        InputError: if a file cannot be read.
    """
    import yaml

    named = _in_argv(argv)
    words: list[str] = []
    for before, word in pairwise(["", *argv]):
        equals = "--config=" if word.startswith("--config=") else ""
        if before == "--config" or equals:
            path = Path(word.removeprefix(equals))
            try:
                content = read_arguments(path, follow=True)
            except InputError as error:
                raise InputError(f"--config {error}") from error
            arguments = check(_without(content, named), path)
            words.append(equals + yaml.safe_dump(dict(arguments), sort_keys=False))
        else:
            words.append(word)
    return words


def without_nulls(argv: Sequence[str]) -> list[str]:
    """The words without null for an option of `OPTIONAL`: no class is the default once the words name the argument."""
    words: list[str] = []
    for word in argv:
        option, _, value = word.partition("=")
        if words and words[-1] in OPTIONAL and word == "null":
            words.pop()
        elif not (option in OPTIONAL and value == "null"):
            words.append(word)
    return words


def names_own_code(argv: Sequence[str]) -> bool:
    """True if the words name a class of the user's own by its import path."""
    for before, word in pairwise(["", *argv]):
        option, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        paths = IMPORT_PATH.findall(value) if option.removeprefix("--").split(".")[0] in GROUPS else []
        if any(path.split(".")[0] not in PACKAGES for path in paths):
            return True
    return False


def read(path: str) -> Mapping[str, Any]:
    """The arguments of a file; empty if it cannot be read."""
    try:
        return read_arguments(Path(path), follow=True)
    except InputError:
        return {}


def _in_argv(argv: Sequence[str]) -> set[str]:
    return {word.split("=")[0].removeprefix("--") for word in argv if word.startswith("--")} & set(CLASSES)


def _in_file(content: Mapping[str, Any]) -> set[str]:
    return {name for name in CLASSES if _holder(content, name) is not None}


def _holder(content: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The mapping that holds the last part of a dotted name in nested arguments; None if there is none."""
    *groups, last = name.split(".")
    inner: Any = content
    for group in groups:
        inner = inner.get(group) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) and last in inner else None


def _without(content: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    remaining = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    for name in names:
        holder = _holder(remaining, name)
        if isinstance(holder, dict):
            del holder[name.split(".")[-1]]
    return remaining
