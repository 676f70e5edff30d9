"""Generation of text by a trained run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling
from ltm_pyro.models import MaskedDiffusionModel
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    Attribute,
    BatchSize,
    Candidates,
    Checkpoint,
    DiffusionSteps,
    Given,
    Keep,
    Rethink,
    RunFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    TrustCode,
    Wanted,
    WantedBy,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.draft import Draft, load_draft
from ltm_pyro.runs.given import components_given
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.rethinking import described, known_scores, refuse_label, refuse_unused, rethought
from ltm_pyro.runs.wanted import thoughts_for
from ltm_pyro.runs.writing import BATCH_SIZE, stream, texts
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.randomness import seed_everything


@in_range
def generate(
    run: RunFolder,
    *,
    prompt: str = "",
    given: Given = None,
    attribute: Attribute = None,
    reward: Wanted = None,
    by: WantedBy = "fit",
    candidates: Candidates = None,
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
    rethink: Rethink = 0,
    keep: Keep = None,
    trace: Annotated[bool, Argument(alone=True)] = False,
    trust_code: TrustCode = False,
) -> Iterator[str]:
    """Text from a trained run: a single text while it is written; several one by one, each below its number.

    Args:
        prompt: the text to continue: q is fitted on it, then z is held; if left out, z is drawn from the prior.
        given: a value of the field that a control of the run was fitted to: z is then of p(z | value).
        attribute: this field, if the run has controls of several.
        reward: a value of the labels that the run has learned: z is then inferred given this label too.
        by: how: `fit`, q fitted to prompt and label; `best` of candidates of z by the reward head, or one of them drawn
            by its `weights`; `langevin`, Metropolis-adjusted chains.
        candidates: number of candidates of z for each text, by `best` or `weights`; 32 if left out.
        samples: number of texts, each with its own thoughts.
        tokens: the most to write; as many as the sequence length allows if left out.
        seed: seed of thoughts and tokens.
        batch_size: number of texts written at once.
        draft: the folder of a smaller run with the same tokenizer, which proposes tokens: faster, and every text has
            exactly the probability that it has without a draft.
        ahead: number of tokens that the draft proposes at once.
        rethink: R, rounds of rethinking: z is fitted to prompt and answer, and the answer written again.
        keep: the answer that rethinking keeps: last, elbo or predictive; the last if left out.
        trace: show the answers of all rounds with their scores and token-passes, not only the kept text.
        run, temperature, top_k, top_p, checkpoint, steps, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: at the call, for a prompt that is too long, a draft that does not suit the run, or a label that it
            has not learned.
    """
    sampling = Sampling(temperature, top_k, top_p)
    refuse_unused(rethink, keep)
    opened = open_run(run, trust_code)
    components, _ = load(opened, checkpoint)
    draft_run = None if draft is None else load_draft(opened, draft, ahead, trust_code)
    _refuse_unfit(components, draft_run, steps)
    components = components_given(opened, components, checkpoint, given, attribute)
    thoughts = thoughts_for(opened, components, reward, by, candidates)
    seed_everything(seed)  # after loading, so that z is the same with a draft and without
    if rethink or trace:
        refuse_label(reward)
        if draft_run is not None:
            raise InputError("--draft: rethinking writes its answers without a draft; leave out --draft or --rethink")
        scores = known_scores(components) if trace else ()
        choice = (rethink, prompt, keep or "last", tokens, sampling, scores, batch_size)
        return _rethought(rethought(opened, components, samples, *choice), samples, trace)
    request = (prompt, tokens, sampling, draft_run, steps)
    if samples == 1:
        written: Iterator[str] = chain(stream(opened, components, *request, thoughts), ["\n"])
    else:
        several = texts(opened, components, samples, *request, batch_size, thoughts)
        written = (f"--- {number} ---\n{text}\n" for number, text in enumerate(several, 1))
    return written if draft_run is None else _remarked(written, draft_run)


def _rethought(records: Iterator[dict[str, Any]], samples: int, trace: bool) -> Iterator[str]:
    for number, record in enumerate(records, 1):
        heading = f"--- {number} ---\n" if samples > 1 else ""
        yield heading + (described(record) if trace else f"{record['text']}\n")


def _remarked(written: Iterator[str], draft: Draft) -> Iterator[str]:
    """The written text; then a message about the draft's proposals."""
    yield from written
    say(draft.remark())


def _refuse_unfit(components: RunComponents, draft: Draft | None, steps: int | None) -> None:
    models = [components.model] if draft is None else [components.model, draft.components.model]
    diffuses = [isinstance(model, MaskedDiffusionModel) for model in models]
    if draft is not None and any(diffuses):
        raise InputError("--draft: masked diffusion does not write left to right, as a draft requires; leave it out")
    if steps is not None and not diffuses[0]:
        raise InputError(f"--steps {steps}: only a masked diffusion model writes in steps; leave it out")
