"""Bases of a run: the pretrained models whose weights it needs, with their hashes and licences, kept as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import StringConstraints
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.pretrained import find_source
from ltm_pyro.pretrained.source import HUB, UNKNOWN

if TYPE_CHECKING:
    from jsonargparse import Namespace

BASES = "base.json"
BASES_BYTES = 2**16
ALL = "all"  # the value of `learns` with which the weights of a base are in the run's checkpoints
LINE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(pattern=LINE, max_length=1000)]


class Base(TypedDict):
    """A pretrained model that a part of a run stands on.

    `part` is `decoder` or the path of an encoder, `guide.encoder`; `name` is `hf:NAME` or a path, of which a shared run
    has the last part only; `learns` is the part's own argument, `all` if its checkpoints hold the base's weights.
    """

    part: Line
    name: Line
    revision: Line | None
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    licence: Line
    learns: Line


def parts_with_base(config: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a configuration that name weights by their hash, each with its arguments.

    Args:
        config: a parsed configuration, or the content of a config.yaml; no class that it names is imported.
    """
    for name in ("decoder", "guide"):
        yield from _hashed(config.get(name), name)


def recorded(config: Namespace) -> str:
    """The content of `base.json`, from a configuration whose bases are on this machine; empty if it has none."""
    bases = [_base(part, arguments, _licence(arguments)) for part, arguments in parts_with_base(config)]
    return json.dumps(bases, indent=2) + "\n" if bases else ""


def bases_of(folder: Path, config: Any) -> list[Base]:
    """The bases of a run, none of which has to be on this machine.

    Args:
        folder: of the run.
        config: as for `parts_with_base`.

    Raises:
        InputError: if `base.json` is damaged.
    """
    known: dict[tuple[str, str], Base] = {}
    if (folder / BASES).is_file():
        content: list[Base] = read_json(folder / BASES, list[Base], BASES_BYTES)
        known = {(base["part"], base["sha256"]): base for base in content}
    bases = []
    for part, arguments in parts_with_base(config):
        base = known.get((part, arguments.get("sha256")))
        licence = _licence(arguments) if base is None else base["licence"]
        bases.append(_base(part, arguments, licence))
    return bases


def is_of_hub(base: Base) -> bool:
    return base["name"].startswith(HUB)


def _base(part: str, arguments: Any, licence: str) -> Base:
    return {
        "part": part,
        "name": arguments.get("name"),
        "revision": arguments.get("revision"),
        "sha256": arguments.get("sha256"),
        "licence": licence,
        "learns": arguments.get("learns") or "",
    }


def _licence(arguments: Any) -> str:
    """The licence that a base states, which is on this machine when a run is made; `unknown` if it cannot be found."""
    try:
        return find_source(arguments.get("name"), arguments.get("revision")).licence
    except InputError:
        return UNKNOWN


def _hashed(spec: Any, name: str) -> Iterator[tuple[str, Any]]:
    arguments: Any = spec.get("init_args", spec) if hasattr(spec, "get") else None
    if not hasattr(arguments, "get"):
        return
    if isinstance(arguments.get("sha256"), str) and isinstance(arguments.get("name"), str):
        yield name, arguments
    items: Mapping[str, Any] = arguments if isinstance(arguments, Mapping) else vars(arguments)
    for key, value in items.items():
        yield from _hashed(value, f"{name}.{key}")
