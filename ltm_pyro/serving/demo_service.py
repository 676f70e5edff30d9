"""Service of the demo page: answers requests to a run by events."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.data import joined_prompt
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.inspection.attribution import nats_gained
from ltm_pyro.evaluation.log_weights import under_posterior, under_prior
from ltm_pyro.generation import Sampling, great_circle, thoughts_from_prior, write

if TYPE_CHECKING:
    from ltm_pyro.bounds import Terms
    from ltm_pyro.data import Tokenizer
    from ltm_pyro.training.build import RunComponents

LIMITS = {"characters": 20_000, "steps": 256, "tokens": 512, "temperature": 2.0}
DRAWS = 8
WINDOW = 8  # steps of the running mean
Event = dict[str, Any]
Tell = Callable[[Event], None]


class DemoService:
    """Service that answers requests with a run's trained objects; it keeps no state between requests.

    Args:
        name: name of the run.
        components: objects of the run, with the fast loop of its tables.
        tokenizer: tokenizer of the run.
        separator: characters that end every prompt of a run of prompts and answers; empty for other runs.

    Raises:
        InputError: for a model without thoughts.
    """

    def __init__(self, name: str, components: RunComponents, tokenizer: Tokenizer, separator: str = "") -> None:
        if components.model.prior is None:
            raise InputError(f"{name} has no thoughts to show: serve a run of the latent model")
        self.name, self.tokenizer, self.separator = name, tokenizer, separator
        self.model, self.guide, self.fast, _ = components
        self.length = self.model.decoder.length

    def about(self) -> Event:
        """Facts about the run for the page, and the ranges of its inputs."""
        layers, thoughts, width = self.model.prior.z_shape  # type: ignore[union-attr]
        transport = getattr(self.model, "transport", None)
        return {
            "name": self.name,
            "length": self.length,
            "fast_steps": self.fast.steps,
            "layers": layers,
            "thoughts": thoughts,
            "width": width,
            "prior": " with ".join(type(part).__name__ for part in (self.model.prior, transport) if part is not None),
            "guide": type(self.guide).__name__,
            "window": WINDOW,
            "limits": {**LIMITS, "tokens": min(LIMITS["tokens"], self.length)},
        }

    def fit(self, wanted: Mapping[str, Any], tell: Tell) -> None:
        """Fit q to a text, step by step, then score the text with fresh noise, as a whole and by token.

        Args:
            wanted: `text`, `steps`, `seed`.
            tell: called with an event at each step; it may raise an exception, to stop.

        Raises:
            InputError: for missing or invalid arguments.
        """
        steps, seed = _whole(wanted, "steps", 0, LIMITS["steps"]), _whole(wanted, "seed", 0, 2**31)
        ids, cut = self._encode(wanted, "text", self.length)
        tell({"tokens": len(ids), "cut": cut, "of": "text"})
        with evaluation_mode(self.model, self.guide, seed):
            x = self._fitted(ids, steps, tell, "text")
            tell({"thoughts": self._thoughts()})
            tell({"numbers": self._numbers(x)})
            gained = nats_gained(self.model, self.guide, DRAWS, x=x)[0]
            if gained.isfinite().all():
                tell({"reading": self._reading(ids, gained)})

    def write(self, wanted: Mapping[str, Any], tell: Tell) -> None:
        """Continue a text with thoughts fitted on it, or generate with thoughts interpolated between two texts.

        Args:
            wanted: `text`, `steps`, `seed`, `tokens`, `temperature`; for an interpolation also `other` and `share`.
            tell: called with an event for each piece of text.

        Raises:
            InputError: for missing or invalid arguments.
        """
        steps, seed = _whole(wanted, "steps", 0, LIMITS["steps"]), _whole(wanted, "seed", 0, 2**31)
        tokens = _whole(wanted, "tokens", 1, min(LIMITS["tokens"], self.length))
        sampling = Sampling(_real(wanted, "temperature", 0, LIMITS["temperature"]))
        between = "other" in wanted
        with evaluation_mode(self.model, self.guide, seed):
            if between:
                share = _real(wanted, "share", 0, 1)
                texts = {name: self._encode(wanted, name, self.length) for name in ("text", "other")}
                for name, (ids, cut) in texts.items():
                    tell({"tokens": len(ids), "cut": cut, "of": name})
                ends = [self._z(ids, steps, tell, name) for name, (ids, _) in texts.items()]
                z, prompt = great_circle(ends[0], ends[1], share), self._row([])
            else:
                ids, cut = self._encode(wanted, "text", self.length - tokens, may_be_empty=True, end=True)
                tell({"tokens": len(ids), "cut": cut, "of": "text"})
                z, prompt = self._z(ids, steps, tell, "text"), self._row(ids)
            for piece in self._pieces(z, prompt, tokens, sampling):
                tell({"piece": piece})

    def _z(self, ids: list[int], steps: int, tell: Tell, of: str) -> Tensor:
        """Thoughts fitted on a text; from the prior for an empty text."""
        if not ids:
            z = thoughts_from_prior(self.model, 1)
            assert z is not None  # the constructor checks that the model has thoughts
            return z
        x = self._fitted(ids, steps, tell, of)
        with torch.no_grad():
            return self.guide(x)

    def _fitted(self, ids: list[int], steps: int, tell: Tell, of: str) -> Tensor:
        """Fit q to a text, with an event for each step: the text's name, cost, KL, and running mean of the cost."""
        x, latest = self._row(ids), deque[float](maxlen=WINDOW)

        def watch(step: int, terms: Terms) -> None:
            cost, kl = -terms.elbo.item() / len(ids), terms.kl.item() / len(ids)
            latest.append(cost)
            tell({"step": step, "cost": cost, "mean": sum(latest) / len(latest), "kl": kl, "of": of})

        self.fast.lasting(steps).fit(self.model, self.guide, x, watch=watch)
        return x

    @torch.no_grad()
    def _thoughts(self) -> list[list[float]] | None:
        """KL of each thought, nats, (L, K); None unless q and p are diagonal Gaussians."""
        q, p = (_plain(d) for d in (self.guide.posterior(), self.model.prior()))  # type: ignore[misc]
        if not isinstance(q, Normal) or not isinstance(p, Normal):
            return None
        kl = kl_divergence(q, p.expand(q.batch_shape))
        return kl[0].sum(-1).tolist()

    @torch.no_grad()
    def _numbers(self, x: Tensor) -> Event:
        """Scores of the fitted text, nats per token, with fresh noise."""
        count = x.shape[1]
        numbers: Event = {"prior": -under_prior(self.model, DRAWS, x=x).mean().item() / count, "draws": DRAWS}
        if self.guide.has_density and self.model.exact:
            fitted = under_posterior(self.model, self.guide, DRAWS, x=x)
            numbers["elbo"] = (fitted.kl - fitted.log_likelihood.mean(0)).item() / count
            numbers["importance_weighted"] = -log_mean_exp(fitted.log_weight).item() / count
            numbers["kl"] = fitted.kl.item() / count
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def _reading(self, ids: list[int], gained: Tensor) -> Event:
        """Tokens of a text, and the nats that each gains by the thoughts, (T,) each."""
        from ltm_pyro.data import token_texts

        return {"tokens": token_texts(self.tokenizer, ids), "gained": [round(nats, 4) for nats in gained.tolist()]}

    def _pieces(self, z: Tensor, prompt: Tensor, tokens: int, sampling: Sampling) -> Iterator[str]:
        from ltm_pyro.data import StreamDecoder

        decoder = StreamDecoder(self.tokenizer, prompt[0].tolist())
        for token in write(self.model, z, prompt, tokens, sampling, self.tokenizer.eos_id):
            if int(token) != self.tokenizer.eos_id:
                yield decoder.feed(int(token))
        yield decoder.flush()

    def _row(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], dtype=torch.long, device=next(self.model.parameters()).device)

    def _encode(
        self, arguments: Mapping[str, Any], name: str, limit: int, may_be_empty: bool = False, end: bool = False
    ) -> tuple[list[int], bool]:
        """First token ids of a text (or last ones of a prompt, with `end`), and True if the text was cut."""
        text = arguments.get(name)
        if not isinstance(text, str) or not (text.strip() or may_be_empty):
            raise InputError(f"{name}: type some text")
        if len(text) > LIMITS["characters"]:
            raise InputError(f"{name} has {len(text):,} characters: at most {LIMITS['characters']:,} are allowed")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{name} is not Unicode text at character {error.start}") from error
        text = joined_prompt(text, self.separator) if end and text else text
        ids = [int(token) for token in self.tokenizer.encode(text)]
        cut = (ids[-limit:] if limit else []) if end else ids[:limit]
        return cut, len(cut) < len(ids)


def _plain(distribution: Any) -> Any:
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    return distribution


def _whole(arguments: Mapping[str, Any], name: str, minimum: int, maximum: float) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise InputError(f"{name}={value!r}: expected a whole number from {minimum} to {maximum:.0f}")
    return value


def _real(arguments: Mapping[str, Any], name: str, minimum: float, maximum: float) -> float:
    value = arguments.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise InputError(f"{name}={value!r}: expected a number from {minimum:g} to {maximum:g}")
    return float(value)
