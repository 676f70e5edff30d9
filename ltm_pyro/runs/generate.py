"""Text from a trained run, as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling
from ltm_pyro.models import MaskedDiffusionModel
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    BatchSize,
    Checkpoint,
    DiffusionSteps,
    RunFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.draft import Draft, load_draft
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.writing import BATCH_SIZE, stream, texts
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.randomness import seed_everything


@in_range
def generate(
    run: RunFolder,
    *,
    prompt: str = "",
    samples: Annotated[int, whole(1)] = 1,
    tokens: Annotated[int | None, whole(1)] = None,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    checkpoint: Checkpoint = "best",
    batch_size: BatchSize = BATCH_SIZE,
    draft: str | None = None,
    steps: DiffusionSteps = None,
    ahead: Annotated[int, whole(1)] = 4,
    trust_code: TrustCode = False,
) -> Iterator[str]:
    """Text from a trained run: one in pieces, as they are written; of several each whole, below a line with its number.

    Args:
        prompt: q is fitted on it and then held; z is from the prior if left out.
        samples: how many texts, each with thoughts of its own.
        tokens: the most to write; all there is room for if left out.
        seed: of thoughts and tokens.
        batch_size: how many of several texts to write at once.
        draft: the folder of a smaller run with the same tokenizer, which proposes tokens: less time, and texts with
            exactly the probabilities that they have without it.
        ahead: how many tokens the draft proposes at once.
        run, temperature, top_k, top_p, checkpoint, steps, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: before anything is written, for a prompt that is too long, or a draft that does not suit the run.
    """
    sampling = Sampling(temperature, top_k, top_p)
    opened = open_run(run, trust_code)
    components, _ = load(opened, checkpoint)
    proposing = None if draft is None else load_draft(opened, draft, ahead, trust_code)
    _refuse_unfit(components, proposing, steps)
    seed_everything(seed)  # after loading, so that z is the same with a draft and without
    what = (prompt, tokens, sampling, proposing, steps)
    if samples == 1:
        written: Iterator[str] = chain(stream(opened, components, *what), ["\n"])
    else:
        several = texts(opened, components, samples, *what, batch_size)
        written = (f"--- {number} ---\n{text}\n" for number, text in enumerate(several, 1))
    return written if proposing is None else _remarked(written, proposing)


def _remarked(written: Iterator[str], draft: Draft) -> Iterator[str]:
    """The written text, and at its end a line about the draft's proposals."""
    yield from written
    say(draft.remark())


def _refuse_unfit(components: RunComponents, draft: Draft | None, steps: int | None) -> None:
    models = [components.model] if draft is None else [components.model, draft.components.model]
    diffuses = [isinstance(model, MaskedDiffusionModel) for model in models]
    if draft is not None and any(diffuses):
        raise InputError("--draft: masked diffusion does not write from left to right; leave it out")
    if steps is not None and not diffuses[0]:
        raise InputError(f"--steps {steps}: only masked diffusion writes in steps; leave it out")
