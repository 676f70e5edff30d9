"""Arguments shared by the functions on runs: the type, description and range of each.

A function takes `draws: Draws = 16`, and `ltm_pyro.ranges.in_range` checks the range. If its docstring describes an
argument, that description takes precedence over the one here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from os import PathLike, fspath
from typing import Annotated, Any, Literal, NamedTuple

from ltm_pyro.ranges import SEED, whole


class Argument(NamedTuple):
    """The description of an argument, beside its type.

    Attributes:
        description: half a sentence; empty if the docstring describes the argument.
        metavar: the placeholder of its value in the help.
        alone: its value if the option is given without one.
    """

    description: str = ""
    metavar: str | None = None
    alone: Any = None


TRUST = (
    "import the classes of other packages that runs name, which runs their code; the current folder is searched for "
    "them too"
)
MOVED = "the place of the run's own corpus now, if it has been moved: the held-out part of it is scored"

RunFolder = Annotated[str | PathLike[str], Argument("the run's folder")]  # a `TrainedRun` is accepted too
Checkpoint = Annotated[str, Argument("best, latest, or a step")]
TrustCode = Annotated[bool, Argument(TRUST, alone=True)]
CorpusAt = Annotated[str | None, Argument(MOVED, "PLACE")]
Field = Annotated[str, Argument("the field that holds the text; `text` if left out")]

Draws = Annotated[int, Argument("S, samples of z per sequence"), whole(1)]
FastSteps = Annotated[int | None, Argument("fast steps that fit q; as many as usually suffice if left out"), whole(0)]
Limit = Annotated[int | None, Argument("the most sequences to score"), whole(1)]
BatchSize = Annotated[int, Argument("sequences in a batch"), whole(1)]
Seed = Annotated[int, Argument("seed of all random numbers"), SEED]

Temperature = Annotated[float, Argument("divides the logits; 0: the likeliest token")]
TopK = Annotated[int, Argument("draw from the k likeliest tokens; 0: from all"), whole(0)]
TopP = Annotated[float, Argument("draw from the likeliest tokens of total mass p")]
DiffusionSteps = Annotated[
    int | None, Argument("steps of masked diffusion; if left out, one for each token, which is exact"), whole(1)
]

Rethink = Annotated[int, Argument("R, rounds of rethinking", "R"), whole(0)]
Keep = Annotated[str | None, Argument("the answer that is kept", "last|elbo|predictive")]

Given = Annotated[str | None, Argument(metavar="VALUE")]
Attribute = Annotated[str | None, Argument(metavar="FIELD")]
Wanted = Annotated[str | None, Argument(metavar="VALUE")]
WantedBy = Literal["fit", "best", "weights", "langevin"]
Candidates = Annotated[int | None, whole(1)]

Out = Annotated[str | None, Argument("the results' folder")]
Quick = Annotated[bool, Argument("smaller sizes, for a first look", alone=True)]
Seeds = Annotated[Sequence[int], Argument("seeds of weights, order and noise: every variant is trained with each")]
Processes = Annotated[
    int | None,
    Argument("runs trained at once, on one thread each; if left out, one after another on all threads"),
    whole(1),
]
Resume = Annotated[bool, Argument("continue an interrupted call", alone=True)]


class Call:
    """The arguments of one call of a function, from which its results are named.

    Args:
        function: the function, most of whose arguments have a default.
        given: all its arguments by name: `locals()` at the start of its body.

    Attributes:
        given, defaults: by name, in the order of the signature; sequences as lists.
    """

    def __init__(self, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
        parameters = signature(function).parameters
        self.given = {name: _plain(given[name]) for name in parameters}
        self.defaults = {name: _plain(parameter.default) for name, parameter in parameters.items()}

    def without(self, *names: str) -> dict[str, Any]:
        """The arguments except those named."""
        return {name: value for name, value in self.given.items() if name not in names}


def _plain(value: Any) -> Any:
    if isinstance(value, PathLike):
        return fspath(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
