"""Arguments that many functions on runs take: the type, description and range of each, once.

A function takes `draws: Draws = 16`, and `ltm_pyro.ranges.in_range` holds it to its range. What its docstring says of
an argument goes before the description here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from os import PathLike, fspath
from typing import Annotated, Any, NamedTuple

from ltm_pyro.ranges import SEED, whole


class Argument(NamedTuple):
    """The description of an argument, beside its type.

    Attributes:
        description: half a sentence; empty where the docstring says it.
        metavar: what stands for its value.
        alone: its value where it is named without one.
    """

    description: str = ""
    metavar: str | None = None
    alone: Any = None


TRUST = (
    "import the classes of other packages that runs name, which runs their code; the current folder is looked through "
    "for it"
)
MOVED = "where the run's own corpus lies now, if it has been moved: what was held out of it is scored"

RunFolder = Annotated[str | PathLike[str], Argument("the run's folder")]  # a `TrainedRun` stands for its own
Checkpoint = Annotated[str, Argument("best, latest, or a step")]
TrustCode = Annotated[bool, Argument(TRUST, alone=True)]
CorpusAt = Annotated[str | None, Argument(MOVED, "PLACE")]
Field = Annotated[str, Argument("the field that holds the text; `text` if left out")]

Draws = Annotated[int, Argument("S, samples of z per sequence"), whole(1)]
FastSteps = Annotated[int | None, Argument("to fit q with; as many as usually suffice if left out"), whole(0)]
Limit = Annotated[int | None, Argument("the most sequences to score"), whole(1)]
BatchSize = Annotated[int, Argument("sequences at once"), whole(1)]
Seed = Annotated[int, Argument("of all noise"), SEED]

Temperature = Annotated[float, Argument("divides the logits; 0: the likeliest token")]
TopK = Annotated[int, Argument("draw from the k likeliest tokens; 0: from all"), whole(0)]
TopP = Annotated[float, Argument("draw from the likeliest tokens of total mass p")]
DiffusionSteps = Annotated[int | None, Argument("of masked diffusion; one for each token if left out, exact"), whole(1)]

Out = Annotated[str | None, Argument("the results' folder")]
Quick = Annotated[bool, Argument("smaller sizes, for a first look", alone=True)]
Seeds = Annotated[Sequence[int], Argument("of weights, order and noise: every run is trained with each")]
Processes = Annotated[
    int | None,
    Argument("runs at once, of one thread each; one after another, with all threads, if left out"),
    whole(1),
]
Resume = Annotated[bool, Argument("go on with what an interrupted call has left", alone=True)]


class Call:
    """The arguments of one call of a function, by which its results are named.

    Args:
        function: with a default for most of them.
        given: all of its arguments, as `locals()` has them at its beginning.

    Attributes:
        given, defaults: by name, in the order of the signature; sequences as lists.
    """

    def __init__(self, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
        parameters = signature(function).parameters
        self.given = {name: _plain(given[name]) for name in parameters}
        self.defaults = {name: _plain(one.default) for name, one in parameters.items()}

    def without(self, *names: str) -> dict[str, Any]:
        """The arguments but for some."""
        return {name: value for name, value in self.given.items() if name not in names}


def _plain(value: Any) -> Any:
    if isinstance(value, PathLike):
        return fspath(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
