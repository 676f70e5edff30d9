"""Priors compared in a folder, and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ltm_pyro.ranges import in_range
from ltm_pyro.runs.arguments import Argument, Limit, Out, Processes, Resume, Seeds
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.study import PriorComparison
from ltm_pyro.studies.variants import Variant, as_variants

Seconds = Annotated[
    float | None, Argument("train each for so long, instead of for --train.steps, which is equal tokens")
]


@in_range
def study_priors(
    *,
    priors: Sequence[Variant] | None = None,
    seeds: Seeds = (0,),
    out: Out = None,
    seconds: Seconds = None,
    limit: Limit = None,
    processes: Processes = None,
    resume: Resume = False,
    base: Mapping[str, Any],
    check_models: bool = True,
    command: Sequence[str] = (),
) -> PriorComparison:
    """Each prior trained anew, at one budget and on one split of a corpus, and evaluated.

    Args:
        priors: the first is what the others are compared with; all of ours with an exact density if left out.
        out: the comparison's folder; comparisons/priors-CORPUS if left out.
        limit: the most held-out texts to score; --train.final_sequences if left out.
        resume: go on with the comparison in --out; what is done stays.

    Raises:
        InputError: as `PriorComparison`.
    """
    comparison = PriorComparison(
        base,
        as_variants("prior", default_priors()) if priors is None else priors,
        seeds=seeds,
        out=out,
        seconds=seconds,
        limit=limit,
        processes=processes,
        resume=resume,
        check_models=check_models,
        command=["ltm", *command],
    )
    comparison.conduct()
    return comparison
