"""Generation of text from a run's trained objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ltm_pyro.errors import InputError
from ltm_pyro.runs.detokenising import pieces, shown_prompt, whole_texts
from ltm_pyro.runs.draft import Draft
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.generation import Sampling
    from ltm_pyro.models import AbstractModel
    from ltm_pyro.runs.wanted import Thoughts
    from ltm_pyro.training.build import RunComponents


BATCH_SIZE = 16


def stream(
    run: Run,
    components: RunComponents,
    prompt: str = "",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    draft: Draft | None = None,
    steps: int | None = None,
    thoughts: Thoughts | None = None,
) -> Iterator[str]:
    """One text while it is written, beginning with the prompt.

    Args:
        run, components: a run and its trained objects.
        prompt: the text to continue: q is fitted on it, then z is held; if empty, z is drawn from the prior.
        tokens: the most to write; as many as the decoder's length allows if None.
        sampling: the distribution that tokens are drawn from; the model's own if None.
        draft: the run that proposes tokens, if any.
        steps: of masked diffusion; one for each token if None.
        thoughts: the source of z, as of `wanted.thoughts_for`; q fitted on the prompt, or the prior, if None.

    Raises:
        InputError: at the call, if the prompt is not UTF-8, or too long.
    """
    ids = encode(run, prompt)
    written = _written(run, components, ids.expand(1, -1), tokens, sampling, draft, steps, thoughts)
    return chain([shown_prompt(run.tokenizer, begun(run, prompt), ids)], pieces(run.tokenizer, ids, written))


def texts(
    run: Run,
    components: RunComponents,
    count: int,
    prompt: str = "",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    draft: Draft | None = None,
    steps: int | None = None,
    batch_size: int = BATCH_SIZE,
    thoughts: Thoughts | None = None,
) -> Iterator[str]:
    """Several texts, each with its own thoughts, in order, each as soon as it and all before it have ended.

    Args:
        count: number of texts.
        batch_size: number of texts written at once. For another batch size one seed gives other texts.

    The other arguments are those of `stream`.
    """
    ids = encode(run, prompt)
    shown = shown_prompt(run.tokenizer, begun(run, prompt), ids)
    for first in range(0, count, batch_size):
        prompts = ids.expand(min(batch_size, count - first), -1)
        written = _written(run, components, prompts, tokens, sampling, draft, steps, thoughts)
        yield from (shown + text for text in whole_texts(run.tokenizer, prompts, written))


def _written(
    run: Run,
    components: RunComponents,
    prompts: Tensor,
    tokens: int | None,
    sampling: Sampling | None,
    draft: Draft | None,
    steps: int | None,
    thoughts: Thoughts | None,
) -> Iterator[Tensor]:
    """The tokens of several texts after their prompts, shape (N, P); yields (N,) at a time."""
    from ltm_pyro.generation import write, write_by_diffusion, write_speculatively
    from ltm_pyro.models import MaskedDiffusionModel

    model = components.model
    prompts = prompts.to(next(model.parameters()).device)
    rows, prompt_length = prompts.shape
    room = room_for([model] if draft is None else [model, draft.components.model], prompt_length, tokens)
    if isinstance(model, MaskedDiffusionModel):
        return write_by_diffusion(model, prompts, tokens or room, sampling, run.tokenizer.eos_id, steps)
    z = (thoughts or _thoughts)(components, prompts[0], rows)
    if draft is None:
        return write(model, z, prompts, tokens or room, sampling, run.tokenizer.eos_id)
    draft_z = _thoughts(draft.components, prompts[0], rows)
    pair = (model, z, draft.components.model, draft_z)
    return write_speculatively(
        *pair, prompts, tokens or room, sampling, run.tokenizer.eos_id, draft.ahead, tally=draft.tally
    )


def room_for(models: Sequence[AbstractModel], prompt_length: int, tokens: int | None) -> int:
    """Number of tokens that can be written after a prompt of `prompt_length` tokens, by one model or a model and draft.

    Raises:
        InputError: if that leaves fewer than `tokens`, or none.
    """
    length = min(model.decoder.length for model in models)
    room = length - prompt_length
    if room < (tokens or 1):
        whose = "this run" if len(models) == 1 else "these two runs"
        raise InputError(
            f"the prompt has {prompt_length} tokens, and texts of {whose} have at most {length}: that leaves "
            f"{max(0, room)} to write, not {tokens or 1}. Shorten the prompt, or write less (--tokens)"
        )
    return room


def _thoughts(components: RunComponents, prompt: Tensor, rows: int) -> Tensor | None:
    from ltm_pyro.generation import thoughts_from_prior, thoughts_from_prompt

    if len(prompt):
        return thoughts_from_prompt(components.model, components.guide, components.fast, prompt, rows)
    return thoughts_from_prior(components.model, rows)


def begun(run: Run, prompt: str) -> str:
    """A prompt as texts of the run begin: in a run of prompts and answers, with the separator at its end."""
    from ltm_pyro.data import joined_prompt

    data = run.config.data
    return joined_prompt(prompt, data.separator) if prompt and data.prompt else prompt


def encode(run: Run, prompt: str) -> Tensor:
    """Token ids of a prompt, (P,); raises InputError if it is not UTF-8."""
    import torch

    prompt = begun(run, prompt)
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the prompt is not UTF-8 at character {error.start}: give it as UTF-8 text") from error
    return torch.as_tensor(run.tokenizer.encode(prompt), dtype=torch.long)


def write_samples(
    run: Run,
    components: RunComponents,
    count: int,
    seed: int,
    prompt: str = "",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    thoughts: Thoughts | None = None,
) -> list[str]:
    """Several texts from a seed; torch's generator is left unchanged. The other arguments are those of `texts`."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return list(texts(run, components, count, prompt, tokens, sampling, thoughts=thoughts))


def keep_samples(run: Run, samples: Sequence[str]) -> None:
    """Write samples under `samples/` in the run's folder.

    Raises:
        InputError: if the files cannot be written.
    """
    for number, text in enumerate(samples, 1):
        run.write(f"samples/prior-{number}.txt", text + "\n")
