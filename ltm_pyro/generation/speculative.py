"""Speculative sampling: a small model proposes several tokens, and the large one reads them all at once."""

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
    """Counts of a draft's proposals, accepted and refused, while a text is written.

    Attributes:
        passes: of the target over a text.
        tokens: written by them.
        proposed, accepted: tokens of the draft.
    """

    passes: int = 0
    tokens: int = 0
    proposed: int = 0
    accepted: int = 0

    def add(self, count: int, writing: Tensor, kept: Tensor, new: Tensor) -> None:
        """Count one round.

        Args:
            count: proposals for each text.
            writing: which texts were not over, (N,).
            kept: how many proposals each kept, (N,).
            new: by how many tokens each grew, (N,).
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
    r"""Text as `write` writes it, with the distribution of the model alone, in fewer passes of the model.

    The draft draws `ahead` tokens, one after another, from its own q. The model reads them at once, keeps each with
    probability :math:`\min(1, p/q)` as long as it kept all before, and draws the token after those from
    :math:`\max(0, p - q)`, normalised; or from p if it kept all (Leviathan et al., 2023, arXiv 2211.17192; Chen et
    al., 2023, arXiv 2302.01318). p and q are what `sampling` makes of both models' logits. Whatever the draft and its
    thoughts, the texts have the probabilities that `write` gives them; with another draft they only take longer.

    Every text of a batch goes on at its own pace.

    Args:
        model, z: that write, as for `write`.
        draft, draft_z: a model of the same vocabulary, and a value of its own site `z`, for as many texts.
        prompt: token ids to continue, shape (N, P); P may be 0.
        tokens: the most to write.
        sampling: how a token is drawn; from the model's own distribution if None.
        eos_id: the token at which a text is over; None never ends one.
        ahead: tokens that the draft proposes at once.
        generator: of all draws; the global one if None.
        tally: counts what is accepted.

    Yields:
        The next token of each text, shape (N,), several one after another; `eos_id` again for those that are over.

    Raises:
        InputError: at once, if the vocabularies differ, `ahead` is below 1, or a decoder is too short.
    """
    if ahead < 1:
        raise InputError(f"ahead={ahead}: the draft proposes 1 token at once, or more")
    if model.decoder.vocabulary != draft.decoder.vocabulary:
        raise InputError(
            f"the draft knows {draft.decoder.vocabulary} tokens, the model {model.decoder.vocabulary}: "
            "both must have the same tokenizer"
        )
    prompt = checked_prompt(model, z, prompt, tokens)
    checked_prompt(draft, draft_z, prompt, tokens, of="the draft")
    refuse_class("sampling", sampling, "Sampling()")
    given, draft_given = held_thoughts(model, z), held_thoughts(draft, draft_z)
    pair = _Pair(model.decoder, given, draft.decoder, draft_given, sampling or Sampling(), ahead, generator)
    return ordinary(_written(pair, prompt, tokens, eos_id, AcceptanceStats() if tally is None else tally))


@dataclass
class _Pair:
    """A decoder and its draft, which have read the same texts."""

    decoder: AbstractDecoder
    thoughts: Tensor | None
    draft: AbstractDecoder
    draft_thoughts: Tensor | None
    sampling: Sampling
    ahead: int
    generator: torch.Generator | None

    def begin(self, tokens: Tensor) -> Tensor:
        """Read the beginning of the texts, shape (N, T); returns the first token that the decoder writes, (N,)."""
        logits, self.cache = self.decoder.prefill(tokens, self.thoughts, self.ahead)
        _, self.draft_cache = self.draft.prefill(tokens, self.draft_thoughts, self.ahead)
        return self.sampling.draw(logits, self.generator)

    def go_on(self, last: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Propose and judge.

        Args:
            last: the last two tokens of each text, shape (N, 2).
            length: of each text, the beginning included, (N,); 0 for a text that is over, of which nothing is asked.
            count: tokens to propose, up to `ahead`; 0 only in the last call.

        Returns:
            Tokens, shape (N, count + 1), and how many proposals are kept of each text, (N,): so many tokens follow,
            and the one behind them, which the decoder drew. The others do not belong to the text.
        """
        proposed, q = self._propose(last, length, count)
        self.cache.rewind((length - 1).clamp_min(0))
        logits = self.decoder.decode_steps(torch.cat((last[:, 1:], proposed), 1), self.cache)
        p = self.sampling.probabilities(logits)  # (N, count + 1, V)
        kept = accepted(p[:, :-1], q, proposed, self.generator)
        q = torch.cat((q, torch.zeros_like(p[:, :1])), 1)  # nobody proposed the last
        place = kept[:, None, None].expand(-1, 1, p.shape[-1])
        drawn = draw(remainder(p.gather(1, place), q.gather(1, place)), self.generator)  # (N, 1)
        return torch.cat((proposed, drawn), 1).scatter(1, kept[:, None], drawn), kept

    def _propose(self, last: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Tokens of the draft, shape (N, count), and what each was drawn from, (N, count, V)."""
        if not count:
            return last[:, :0], torch.empty(len(last), 0, self.decoder.vocabulary, device=last.device)
        self.draft_cache.rewind((length - 2).clamp_min(0))  # of all that was kept, it may not have read the last two
        logits = self.draft.decode_steps(last, self.draft_cache)[:, -1]
        probabilities = [self.sampling.probabilities(logits)]
        tokens = [draw(probabilities[0], self.generator)]
        while len(tokens) < count:
            logits = self.draft.decode_step(tokens[-1], self.draft_cache)
            probabilities.append(self.sampling.probabilities(logits))
            tokens.append(draw(probabilities[-1], self.generator))
        return torch.stack(tokens, 1), torch.stack(probabilities, 1)


def accepted(p: Tensor, q: Tensor, proposed: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""How many proposals of each text are kept: each with probability :math:`\min(1, p/q)`, up to the first failure.

    Args:
        p, q: of the model and of the draft, shape (N, T, V).
        proposed: drawn from q, shape (N, T).
        generator: of the random numbers.

    Returns:
        Shape (N,), from 0 to T.
    """
    uniform = torch.rand(proposed.shape, dtype=torch.float64, device=p.device, generator=generator)
    ours, theirs = (probabilities.gather(-1, proposed[..., None]).squeeze(-1) for probabilities in (p, q))
    return (uniform * theirs < ours).cumprod(1).sum(1)


def remainder(p: Tensor, q: Tensor) -> Tensor:
    r"""Distribution of the token in place of a rejected one: :math:`\max(0, p - q)`, not normalised, as p and q."""
    left = (p - q).clamp_min(0)
    return torch.where(left.sum(-1, keepdim=True) > 0, left, p)  # nothing is left where p and q differ by rounding


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
