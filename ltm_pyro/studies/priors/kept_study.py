"""Comparison of priors in a folder, with its tables shown at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ltm_pyro.ranges import in_range
from ltm_pyro.runs.arguments import Argument, Limit, Out, Processes, Resume, Seeds
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.study import PriorComparison
from ltm_pyro.studies.variants import Variant, as_variants

Seconds = Annotated[
    float | None, Argument("seconds of training for each prior, instead of --train.steps, which gives equal tokens")
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
    """Train and evaluate a model with each prior, at the same budget and on the same split of a corpus.

    Args:
        priors: priors to compare, the reference first; all of the library with an exact density if left out.
        out: folder of the comparison; comparisons/priors-CORPUS if left out.
        limit: largest number of held-out texts to score; --train.final_sequences if left out.
        resume: continue the comparison in --out; finished runs are kept.

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
