"""Speculative sampling: a small draft model proposes several tokens, which the large model scores in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.texts import Texts
from ltm_pyro.generation.writer import checked_prompt, held_thoughts, ordinary
from ltm_pyro.instances import refuse_class
from ltm_pyro.models import AbstractDecoder, AbstractModel
from ltm_pyro.models.drawing import draw


@dataclass
class AcceptanceStats:
    """Counts of the passes of the target model and of the draft's proposals.

    Attributes:
        passes: of the target model, counted once for each text that had not ended.
        tokens: written by these passes.
        proposed, accepted: tokens of the draft.
    """

    passes: int = 0
    tokens: int = 0
    proposed: int = 0
    accepted: int = 0

    def add(self, count: int, writing: Tensor, kept: Tensor, new: Tensor) -> None:
        """Count one round.

        Args:
            count: number of proposals for each text.
            writing: mask of the texts that had not ended, (N,).
            kept: number of accepted proposals of each text, (N,).
            new: number of tokens that each text gained, (N,).
        """
        texts, kept_of_all, grown = torch.stack((writing.sum(), (kept * writing).sum(), new.sum())).tolist()
        self.passes += texts
        self.tokens += grown
        self.proposed += texts * count
        self.accepted += kept_of_all


def write_speculatively(
    model: AbstractModel,
    z: Tensor | None,
    draft: AbstractModel,
    draft_z: Tensor | None,
    prompt: Tensor,
    tokens: int,
    sampling: Sampling | None = None,
    eos_id: int | None = None,
    ahead: int = 4,
    generator: torch.Generator | None = None,
    tally: AcceptanceStats | None = None,
) -> Iterator[Tensor]:
    r"""Continuations with exactly the distribution of `write`, in fewer passes of the model.

    The draft draws `ahead` tokens, one after another, from its own q. The model scores them in one pass and accepts
    each with probability :math:`\min(1, p/q)`, up to the first that it rejects, in whose place it draws a token from
    :math:`\max(0, p - q)`, normalised; after accepting all it draws one more token from p (Leviathan et al., 2023,
    arXiv 2211.17192; Chen et al., 2023, arXiv 2302.01318). p and q are the distributions that `sampling` makes of the
    two models' logits. The draft and its thoughts affect the speed alone, never the distribution of the texts.

    The texts of a batch may grow by different numbers of tokens.

    Args:
        model, z: as for `write`.
        draft, draft_z: a model of the same vocabulary, and a value of its own site `z` for each text.
        prompt: token ids to continue, shape (N, P); P may be 0.
        tokens: the most to write.
        sampling: how a token is drawn; from the model's own distribution if None.
        eos_id: the token that ends a text; None never ends one.
        ahead: number of tokens that the draft proposes for each pass of the model.
        generator: of random numbers; torch's global one if None.
        tally: counts proposals and acceptances.

    Yields:
        The next token of each text, shape (N,); `eos_id` for texts that have ended.

    Raises:
        InputError: at the call, if the vocabularies differ, `ahead` is below 1, or a decoder's length is too short.
    """
    if ahead < 1:
        raise InputError(f"ahead={ahead}: expected 1 or more, the number of tokens that the draft proposes")
    if model.decoder.vocabulary != draft.decoder.vocabulary:
        raise InputError(
            f"the draft's vocabulary has {draft.decoder.vocabulary} tokens, the model's {model.decoder.vocabulary}: "
            "both must have the same tokenizer"
        )
    prompt = checked_prompt(model, z, prompt, tokens)
    checked_prompt(draft, draft_z, prompt, tokens, of="the draft")
    refuse_class("sampling", sampling, "Sampling()")
    thoughts, draft_thoughts = held_thoughts(model, z), held_thoughts(draft, draft_z)
    pair = _Pair(model.decoder, thoughts, draft.decoder, draft_thoughts, sampling or Sampling(), ahead, generator)
    return ordinary(_written(pair, prompt, tokens, eos_id, AcceptanceStats() if tally is None else tally))


@dataclass
class _Pair:
    """A decoder and its draft, whose caches hold the same texts."""

    decoder: AbstractDecoder
    thoughts: Tensor | None
    draft: AbstractDecoder
    draft_thoughts: Tensor | None
    sampling: Sampling
    ahead: int
    generator: torch.Generator | None

    def begin(self, tokens: Tensor) -> Tensor:
        """Prefill both caches with the beginning of the texts, (N, T); returns the decoder's first token, (N,)."""
        logits, self.cache = self.decoder.prefill(tokens, self.thoughts, self.ahead)
        _, self.draft_cache = self.draft.prefill(tokens, self.draft_thoughts, self.ahead)
        return self.sampling.draw(logits, self.generator)

    def go_on(self, last: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """One round: proposals of the draft, and their acceptance by the decoder.

        Args:
            last: the last two tokens of each text, shape (N, 2).
            length: of each text, the beginning included, (N,); 0 for a text that has ended, whose result is ignored.
            count: number of tokens to propose, up to `ahead`; 0 only in the last call.

        Returns:
            Tokens, shape (N, count + 1), and the number of accepted proposals of each text, (N,). A text goes on with
            its accepted proposals and the one token after them, which the decoder drew; the others are discarded.
        """
        proposed, q = self._propose(last, length, count)
        self.cache.rewind((length - 1).clamp_min(0))
        logits = self.decoder.decode_steps(torch.cat((last[:, 1:], proposed), 1), self.cache)
        p = self.sampling.probabilities(logits)  # (N, count + 1, V)
        accepted_count = accepted(p[:, :-1], q, proposed, self.generator)
        q = torch.cat((q, torch.zeros_like(p[:, :1])), 1)  # the last token has no proposal
        place = accepted_count[:, None, None].expand(-1, 1, p.shape[-1])
        drawn = draw(remainder(p.gather(1, place), q.gather(1, place)), self.generator)  # (N, 1)
        return torch.cat((proposed, drawn), 1).scatter(1, accepted_count[:, None], drawn), accepted_count

    def _propose(self, last: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Proposed tokens, shape (N, count), and the distributions they were drawn from, (N, count, V)."""
        if not count:
            return last[:, :0], torch.empty(len(last), 0, self.decoder.vocabulary, device=last.device)
        self.draft_cache.rewind((length - 2).clamp_min(0))  # the last two tokens may be missing from its cache
        logits = self.draft.decode_steps(last, self.draft_cache)[:, -1]
        probabilities = [self.sampling.probabilities(logits)]
        tokens = [draw(probabilities[0], self.generator)]
        while len(tokens) < count:
            logits = self.draft.decode_step(tokens[-1], self.draft_cache)
            probabilities.append(self.sampling.probabilities(logits))
            tokens.append(draw(probabilities[-1], self.generator))
        return torch.stack(tokens, 1), torch.stack(probabilities, 1)


def accepted(p: Tensor, q: Tensor, proposed: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""Number of accepted proposals of each text, each with probability :math:`\min(1, p/q)` until one is rejected.

    Args:
        p, q: probabilities of the model and of the draft, shape (N, T, V).
        proposed: tokens drawn from q, shape (N, T).
        generator: of random numbers.

    Returns:
        Shape (N,), from 0 to T.
    """
    uniform = torch.rand(proposed.shape, dtype=torch.float64, device=p.device, generator=generator)
    target, draft = (probabilities.gather(-1, proposed[..., None]).squeeze(-1) for probabilities in (p, q))
    return (uniform * draft < target).cumprod(1).sum(1)


def remainder(p: Tensor, q: Tensor) -> Tensor:
    r"""Distribution of the token in place of a rejected one: :math:`\max(0, p - q)`, not normalised, shaped as p."""
    difference = (p - q).clamp_min(0)
    return torch.where(difference.sum(-1, keepdim=True) > 0, difference, p)  # 0 everywhere if p equals q


@torch.inference_mode()
def _written(pair: _Pair, prompt: Tensor, tokens: int, eos_id: int | None, tally: AcceptanceStats) -> Iterator[Tensor]:
    texts = Texts(prompt, pair.decoder.bos_id, tokens, eos_id, pair.ahead)
    first = pair.begin(texts.beginning)
    texts.append(first[:, None], torch.zeros_like(first))
    yield from texts.new_columns()
    while texts.room:
        writing, before = ~texts.over, texts.length
        count = min(pair.ahead, texts.room - 1)
        following, kept = pair.go_on(texts.last_two, torch.where(writing, before, 0), count)
        texts.append(following, kept)
        tally.add(count, writing, kept, texts.length - before)
        yield from texts.new_columns()
