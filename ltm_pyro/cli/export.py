"""`ltm export`."""

from __future__ import annotations

from typing import Any

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.export import TREE, Exported, export


def _last_is_out(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with OUT as the last of two places, and CORPUS before it."""
    if arguments["corpus"] is None:
        return arguments
    return {**arguments, "corpus": arguments["out"], "out": arguments["corpus"]}


def _show(exported: Exported) -> None:
    show(str(exported.path))
    opening = "xarray.open_datatree" if exported.path.suffix == TREE else "pandas.read_parquet"
    say(f"{exported.texts:,} texts, {exported.bytes / 1e6:,.1f} MB. Next, in Python: {opening}({str(exported.path)!r})")


main = Command(
    export,
    "ltm export",
    _show,
    names={"field": "data.field"},
    prepare=_last_is_out,
    usage="RUN [CORPUS] OUT [--ARGUMENT VALUE ...]",
)
