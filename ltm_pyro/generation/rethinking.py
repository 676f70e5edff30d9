"""Rethinking: answers and the thoughts fitted to them, in turn."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from torch import Tensor

from ltm_pyro.bounds import ELBO
from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.generation.answers import Answers
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.token_passes import TokenPasses
from ltm_pyro.generation.trace import Round, Trace, checked_rule
from ltm_pyro.generation.writer import checked_prompt, write
from ltm_pyro.inference import FastLoop
from ltm_pyro.inference.contracts import guide_of
from ltm_pyro.models import AbstractModel

AT_ONCE = 8  # draws of z in one pass of a score


def rethink(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    prompts: Tensor,
    rounds: int,
    tokens: int,
    sampling: Sampling | None = None,
    eos_id: int | None = None,
    keep: str = "last",
    scores: Collection[str] = (),
    draws: int = 16,
    generator: torch.Generator | None = None,
) -> Trace:
    r"""Rounds of rethinking: write an answer, fit z to prompt and answer, write the answer again.

    .. math:: z_0 \sim q(z \mid c),\; y_0 \sim p(y \mid c, z_0); \qquad
              z_r \sim q(z \mid c, y_{r-1}),\; y_r \sim p(y \mid c, z_r), \quad r = 1 \dots R

    with c the prompt. (After Kong et al., 2026, arXiv 2602.06584: Gibbs-like rounds at the time of inference.) Every
    fit starts anew, and each text has its own. With R = 0 the answer is that of `thoughts_from_prompts` and `write`,
    bit for bit. With an empty prompt z_0 is drawn from the prior.

    Scores take random numbers of their own, so that the answers do not depend on them; neither is divided by the length
    of the answer. The ELBO of a round is :math:`\mathbb{E}_q[\log p(c, y_r \mid z)] - \mathrm{KL}(q \| p)`, mean over S
    draws from the q that is fitted to c and y_r: a lower bound of log p(c, y_r), end token included. c is the same in
    all rounds, so that differences between rounds are those of the answers. The predictive score is
    :math:`\log \frac1S \sum_s p(y_r \mid c, z_s)` with z_s from q(z | c), the same draws in all rounds; with a q that
    is fitted to the answer too, it would predict nothing.

    Args:
        model: a model with thoughts, whose likelihood factorises from left to right.
        guide, fast: fit q(z).
        prompts: token ids, shape (N, P); P may be 0.
        rounds: R.
        tokens: the most tokens of an answer.
        sampling: how a token is drawn; from the model's own distribution if None.
        eos_id: the token that ends an answer; None never ends one.
        keep: the rule that keeps one of the answers: `last`, `elbo` or `predictive`.
        scores: `elbo`, `predictive` or both: scores beside the rule's own.
        draws: S.
        generator: of the random numbers of tokens; torch's global one if None, which thoughts always take.

    Returns:
        The answers of all rounds, R + 1, with their scores and token-passes.

    Raises:
        InputError: for a model without thoughts, negative rounds, another rule, an ELBO with a guide that has no
            density, or as `write`.
    """
    asked = checked_request(model, guide, rounds, keep, scores)
    if draws < 1:
        raise InputError(f"draws={draws}: expected 1 or more draws of z for each score")
    prompts = checked_prompt(model, None, prompts, tokens)
    rethinker = _Rethinker(model, guide, fast, prompts, draws, asked)
    writing = (tokens, sampling, eos_id, generator)
    return Trace(list(rethinker.rounds(rounds, *writing)), keep)


def checked_request(model: AbstractModel, guide: Any, rounds: int, keep: str, scores: Collection[str]) -> set[str]:
    """Scores that a rule needs and those asked for beside it; raises InputError as `rethink` does."""
    refuse_without_thoughts(model)
    if rounds < 0:
        raise InputError(f"rounds={rounds}: expected 0 or more rounds of rethinking")
    asked = {checked_rule(name) for name in (keep, *scores)} - {"last"}
    if "elbo" in asked and not guide_of(guide).has_density:
        raise InputError(
            f"the ELBO of an answer needs the density of q(z), which {type(guide).__name__} has not: keep an answer by "
            "`last` or `predictive`"
        )
    return asked


def refuse_without_thoughts(model: AbstractModel) -> None:
    """Raises InputError for a model without thoughts, such as an autoregressive or a masked diffusion model."""
    if model.prior is None:
        raise InputError(
            "rethinking fits thoughts to an answer, and this model has none: give a run with thoughts, or leave out "
            "--rethink (and --trace)"
        )


class _Rethinker:
    """The objects of rethinking and the batch of prompts."""

    def __init__(
        self, model: AbstractModel, guide: Any, fast: FastLoop, prompts: Tensor, draws: int, asked: Collection[str]
    ) -> None:
        self.model, self.guide, self.fast, self.prompts = model, guide, fast, prompts
        self.draws, self.asked = draws, asked
        self.passes = TokenPasses(len(prompts), prompts.device)

    def rounds(
        self,
        count: int,
        tokens: int,
        sampling: Sampling | None,
        eos_id: int | None,
        generator: torch.Generator | None,
    ) -> Iterator[Round]:
        z = self._thoughts(self.passes, self.prompts, None)
        of_prompt = self._draws_of_prompt()
        for number in range(count + 1):
            written = write(self.model, z, self.prompts, tokens, sampling, eos_id, generator)
            answers = Answers.collect(written, eos_id)
            self.passes.add_written(self.prompts.shape[1], answers.lengths)
            spent, parts = self.passes.spent, self._predictive(answers, of_prompt)
            if number < count:
                z = self._refit(answers, self.passes)
                parts |= {"fit_passes": self.passes.spent - spent, **self._elbo(answers)}
            elif "elbo" in self.asked:
                last = TokenPasses(len(self.prompts), self.prompts.device)
                with _own_noise():
                    self._refit(answers, last)
                parts |= {"fit_passes": last.spent, **self._elbo(answers)}
            yield Round(answers, spent, **parts)

    def _thoughts(self, passes: TokenPasses, x: Tensor, mask: Tensor | None) -> Tensor:
        """z from q fitted to texts; from the prior if they are empty."""
        if not x.shape[1]:
            with torch.no_grad():
                z: Tensor = _prior(self.model).sample((len(x),))
            return z
        lengths = torch.full_like(x[:, 0], x.shape[1]) if mask is None else mask.sum(-1)
        with passes.reading(lengths):
            self.fast.fit(self.model, self.guide, x, mask)
        with torch.no_grad():
            drawn: Tensor = self.guide(x, mask)
        return drawn

    def _refit(self, answers: Answers, passes: TokenPasses) -> Tensor:
        x, mask, _ = answers.after(self.prompts)
        return self._thoughts(passes, x, mask)

    @torch.no_grad()
    def _draws_of_prompt(self) -> Tensor | None:
        """S draws of z given the prompt alone, (S, N, L, K, D); None if no predictive score is asked for."""
        if "predictive" not in self.asked:
            return None
        with _own_noise():
            if not self.prompts.shape[1]:
                z: Tensor = _prior(self.model).sample((self.draws, len(self.prompts)))
                return z
            with pyro.plate("particles", self.draws, dim=-2):
                drawn: Tensor = self.guide(self.prompts, None)
            return drawn

    @torch.no_grad()
    def _predictive(self, answers: Answers, z: Tensor | None) -> dict[str, Tensor]:
        """log p(answer | prompt) by the draws of q(z | prompt), and its token-passes."""
        if z is None:
            return {}
        x, mask, scored = answers.after(self.prompts)
        passes, parts = TokenPasses(len(x), x.device), []
        with passes.reading(mask.sum(-1)):
            for chunk in z.split(AT_ONCE):
                held = pyro.poutine.condition(self.model, {"z": chunk})
                with pyro.plate("particles", len(chunk), dim=-2):
                    site = pyro.poutine.trace(held).get_trace(x, scored).nodes["x"]
                parts.append(site["fn"].log_prob(site["value"]).expand(len(chunk), len(x)))
        return {"predictive": log_mean_exp(torch.cat(parts)), "predictive_passes": passes.spent}

    @torch.no_grad()
    def _elbo(self, answers: Answers) -> dict[str, Tensor]:
        """The ELBO of prompt and answer under the guide's present fit, and its token-passes."""
        if "elbo" not in self.asked:
            return {}
        x, mask, _ = answers.after(self.prompts)
        passes = TokenPasses(len(x), x.device)
        with _own_noise(), passes.reading(mask.sum(-1)):
            terms = ELBO(self.draws, at_once=AT_ONCE).terms(self.model, self.guide, x=x, mask=mask)
        return {"elbo": terms.elbo, "elbo_passes": passes.spent}


def _prior(model: AbstractModel) -> Any:
    return model.prior() if model.prior is not None else None


@contextmanager
def _own_noise() -> Iterator[None]:
    """Context with random numbers of its own; the global state is restored at its end."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(torch.randint(2**62, ())))
        yield
