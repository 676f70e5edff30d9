"""Rethinking by a trained run: texts with the trace of their rounds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.detokenising import shown_prompt
from ltm_pyro.runs.writing import BATCH_SIZE, begun, encode, room_for
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.generation import Sampling, Trace
    from ltm_pyro.training.build import RunComponents

SCORES = ("elbo", "predictive")


def refuse_label(reward: object) -> None:
    """Raises InputError if z is to be given a label, too."""
    if reward is not None:
        raise InputError(
            f"--reward {reward}: rethinking fits z to prompt and answer alone, without a label; leave out --reward or "
            "--rethink (and --trace)"
        )


def refuse_unused(rethink: int, keep: str | None) -> None:
    """Raises InputError for a rule without rounds of rethinking, or one that does not exist."""
    from ltm_pyro.generation.trace import checked_rule

    if keep is not None:
        checked_rule(keep)
        if not rethink:
            raise InputError(
                f"--keep {keep}: without rethinking there is one answer; give --rethink R, or leave it out"
            )


def known_scores(components: RunComponents) -> tuple[str, ...]:
    """Scores of an answer that a run has: the ELBO only if the guide has a density."""
    return SCORES if components.guide.has_density else SCORES[1:]


def rethought(
    run: Run,
    components: RunComponents,
    count: int,
    rounds: int,
    prompt: str = "",
    keep: str = "last",
    tokens: int | None = None,
    sampling: Sampling | None = None,
    scores: Collection[str] = (),
    batch_size: int = BATCH_SIZE,
) -> Iterator[dict[str, Any]]:
    """Texts with their traces, as plain values for JSON.

    Args:
        run, components: a run and its trained objects.
        count: number of texts.
        rounds: R, rounds of rethinking; with 0 the texts are those of `writing.texts`.
        prompt: the text to answer or to continue; if empty, the first z is drawn from the prior.
        keep: the rule that keeps a round's answer: `last`, `elbo` or `predictive`.
        tokens: the most to write; as many as the decoder's length allows if None.
        sampling: how tokens are drawn; from the model's own distribution if None.
        scores: `elbo`, `predictive` or both: scores beside the rule's own.
        batch_size: number of texts at once. For another batch size one seed gives other texts.

    Returns:
        For each text, in order: `prompt`; `text`, the prompt with the kept answer; `keep`, the rule; `kept`, the number
        of the kept round; `passes`, token-passes spent (`ltm_pyro.generation.TokenPasses`); and `rounds`: for each
        its number `round`, `answer` (without the prompt), `tokens` (with the end token), `passes` up to this answer,
        and `elbo` and `predictive` in nats, higher is better, where they were asked for.

    Raises:
        InputError: at the call, for a run without thoughts, a rule that does not exist or needs a density that the
            guide has not, or a prompt that is too long.
    """
    from ltm_pyro.generation.rethinking import checked_request
    from ltm_pyro.models import MaskedDiffusionModel

    model = components.model
    if isinstance(model, MaskedDiffusionModel):
        raise InputError("--rethink: masked diffusion has no thoughts to fit to an answer; leave it out")
    checked_request(model, components.guide, rounds, keep, scores)
    ids = encode(run, prompt)
    room = room_for([model], len(ids), tokens)
    device = next(model.parameters()).device

    def made() -> Iterator[dict[str, Any]]:
        from ltm_pyro.generation import rethink

        for first in range(0, count, batch_size):
            prompts = ids.expand(min(batch_size, count - first), -1).to(device)
            objects = (model, components.guide, components.fast)
            end = run.tokenizer.eos_id
            trace = rethink(*objects, prompts, rounds, tokens or room, sampling, end, keep, scores)
            yield from (_record(run, trace, row, prompt, ids) for row in range(len(prompts)))

    return made()


def described(record: dict[str, Any]) -> str:
    """A trace as text: each round below a line with its numbers."""
    return "".join(f"{_heading(part, record)}\n{part['answer']}\n" for part in record["rounds"])


def _heading(part: dict[str, Any], record: dict[str, Any]) -> str:
    labels = (("elbo", "ELBO of prompt and answer"), ("predictive", "log p(answer | prompt)"))
    scores = [f"{label} {part[name]:.2f} nats" for name, label in labels if part.get(name) is not None]
    kept = " (kept)" if part["round"] == record["kept"] else ""
    numbers = [f"{part['tokens']} tokens", *scores, f"{part['passes']:,} token-passes"]
    return f"--- round {part['round']}{kept}: {', '.join(numbers)} ---"


def _record(run: Run, trace: Trace, row: int, prompt: str, ids: Tensor) -> dict[str, Any]:
    from ltm_pyro.data import continuation

    end = run.tokenizer.eos_id
    rounds: list[dict[str, Any]] = []
    answers: list[str] = []
    for number, part in enumerate(trace.rounds):
        written = part.answers.ids(row)
        kept = written[:-1] if written and written[-1] == end else written
        scores = {name: getattr(part, name) for name in SCORES}
        answer = continuation(run.tokenizer, ids.tolist(), kept)
        numbers = {name: _plain(score[row].item()) for name, score in scores.items() if score is not None}
        passes = int(part.passes[row])
        rounds.append({"round": number, "answer": answer, "tokens": len(written), "passes": passes, **numbers})
        answers.append(answer)
    kept_round = int(trace.kept[row])
    return {
        "prompt": prompt,
        "text": shown_prompt(run.tokenizer, begun(run, prompt), ids) + answers[kept_round],
        "keep": trace.keep,
        "kept": kept_round,
        "passes": int(trace.passes[row]),
        "rounds": rounds,
    }


def _plain(number: float) -> float | None:
    return number if math.isfinite(number) else None
