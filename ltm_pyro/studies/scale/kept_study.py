"""Scaling study in a folder, with its tables shown at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import Argument, Out, Resume, Seed, Seeds
from ltm_pyro.studies.scale.grid import INFERENCE, read_grid
from ltm_pyro.studies.scale.records import Compute
from ltm_pyro.studies.scale.study import ScaleStudy

FLOPS: dict[str, Compute] = {"spent": "flops_per_token", "paper": "paper_flops_per_token"}
Sizes = Sequence[int] | None
GridFile = Annotated[str | None, Argument("YAML: dimensions as below, each with a value or a list of them", "FILE")]


@in_range
def study_scale(
    *,
    grid: Annotated[
        str | None, Argument("YAML: dimensions as below, each with a value or a list of them", "FILE")
    ] = None,
    fast_steps: Sizes = None,
    thoughts: Sizes = None,
    layers: Sizes = None,
    width: Sizes = None,
    window: Sizes = None,
    inference_steps: Sequence[int | Literal["training"]] | None = None,
    seeds: Seeds = (0,),
    out: Out = None,
    processes: Annotated[int, Argument("runs at once, of one thread each"), whole(1)] = 1,
    limit: Annotated[int | None, whole(2)] = None,
    seed: Seed = 0,
    flops: Literal["spent", "paper"] = "spent",
    resume: Resume = False,
    axes: Mapping[str, Sequence[Any]] | None = None,
    base: Mapping[str, Any],
    command: Sequence[str] = (),
) -> ScaleStudy:
    """Train and score models over a grid of sizes and fast steps, and plot bounds against T_fast, compute and tokens.

    Args:
        fast_steps: T_fast in training.
        thoughts: K, thoughts per layer; N_z is L x K.
        layers: L.
        width: D.
        window: window of self-attention, tokens.
        inference_steps: T_fast at inference, each for all trained models; `training` is as many as in training.
        out: folder of the study; comparisons/scale-CORPUS if left out.
        limit: largest number of held-out texts to score; --train.final_sequences if left out.
        seed: seed of the noise of all scoring, and of the bootstrap.
        flops: measure of compute of the laws.
        resume: continue the study in --out; finished runs are kept.
        axes: values of further dimensions: any arguments of a run that change its weights, by path, such as
            `slow.learning_rate`, with classes by name.

    Raises:
        InputError: as `ScaleStudy`.
    """
    values: dict[str, Sequence[Any] | None] = {
        "fast_steps": fast_steps,
        "thoughts": thoughts,
        "layers": layers,
        "width": width,
        "window": window,
        INFERENCE: inference_steps,
        **(axes or {}),
    }
    study = ScaleStudy(
        read_grid(grid, values),
        base,
        seeds=seeds,
        out=out,
        processes=processes,
        limit=limit,
        seed=seed,
        compute=FLOPS[flops],
        resume=resume,
        command=["ltm", *command],
    )
    study.conduct()
    return study
