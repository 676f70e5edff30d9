"""A run as lm-evaluation-harness sees a language model; imported where that is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import TemplateLM

from ltm_pyro.cli.text_of_tokens import whole_texts
from ltm_pyro.evaluation.continuation import Continuations
from ltm_pyro.generation import Sampling, thoughts_from_prior, thoughts_from_prompts, write
from ltm_pyro.training.randomness import seed_torch

if TYPE_CHECKING:
    from ltm_pyro.training.blueprint import Blueprint
    from ltm_pyro.training.run import Run

WRITTEN = 256  # tokens, where a task does not say


class HarnessModel(TemplateLM):
    """Log-likelihoods of continuations by posterior inference on what stands before them, and generation.

    Args:
        run, blueprint: a run and its trained objects.
        draws: S, samples of z.
        seed: of all noise.
        known: answers by request, as this class has given them; they are not asked for again, and new ones added.
        listener: told how many answers there are, after each.
    """

    def __init__(
        self,
        run: Run,
        blueprint: Blueprint,
        draws: int = 16,
        seed: int = 0,
        known: dict[str, list[dict[str, Any]]] | None = None,
        listener: Callable[[int], None] = lambda done: None,
    ) -> None:
        super().__init__()
        self.run, self.blueprint, self.seed = run, blueprint, seed
        model, guide, fast, _ = blueprint
        self.continuations = Continuations(model, guide, fast, draws, seed)
        self.known: dict[str, list[dict[str, Any]]] = {} if known is None else known
        self.listener = listener

    @property
    def eot_token_id(self) -> int:
        return self.run.tokenizer.begin

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return [int(token) for token in self.run.tokenizer.encode(string)]

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        """All continuations of one context at once, under the same draws of z."""
        contexts: dict[tuple[int, ...], list[int]] = {}
        for place, ((text, _), context, _) in enumerate(requests):
            contexts.setdefault(tuple(context) if text else (), []).append(place)
        answers: dict[int, tuple[float, bool]] = {}
        for context, places in contexts.items():
            asked = [requests[place][2] for place in places]
            key = _key("continuations", context, *asked)
            if key not in self.known:
                told = self.continuations.score(context, asked)
                self._keep(key, [{"nats": one.nats, "greedy": one.greedy} for one in told])
            for place, one in zip(places, self.known[key], strict=True):
                answers[place] = (one["nats"], one["greedy"])
        return [answers[place] for place in range(len(requests))]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Whole texts: exact without thoughts, else the importance-weighted bound."""
        totals = []
        for request in requests:
            tokens = self.tok_encode(request.args[0])
            key = _key("whole", tokens)
            if key not in self.known:
                self._keep(key, [{"nats": self.continuations.whole(tokens)}])
            totals.append(self.known[key][0]["nats"])
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Texts behind their contexts, up to where a task lets them end; greedy unless it says otherwise."""
        texts = []
        for request in requests:
            context, settings = request.args
            key = _key("written", context, settings)
            if key not in self.known:
                self._keep(key, [{"text": self._write(context, dict(settings))}])
            texts.append(self.known[key][0]["text"])
        return texts

    def _write(self, context: str, settings: dict[str, Any]) -> str:
        import torch

        model, guide, fast, _ = self.blueprint
        seed_torch(self.seed)
        length = model.decoder.length
        tokens = min(int(settings.get("max_gen_toks", WRITTEN)), length - 1)
        device = next(model.parameters()).device
        ids = torch.tensor([self.tok_encode(context)[-(length - tokens) :]], dtype=torch.long, device=device)
        z = thoughts_from_prompts(model, guide, fast, ids) if ids.shape[1] else thoughts_from_prior(model, 1)
        draws = settings.get("do_sample", False)
        sampling = Sampling(float(settings.get("temperature", 1.0)) if draws else 0.0, top_p=settings.get("top_p", 1.0))
        written = write(model, z, ids, tokens, sampling, self.run.tokenizer.end)
        (text,) = whole_texts(self.run.tokenizer, "", written, 1)
        until = settings.get("until") or []
        for stop in [until] if isinstance(until, str) else until:
            text = text.partition(stop)[0] if stop else text
        return text

    def _keep(self, key: str, answer: list[dict[str, Any]]) -> None:
        self.known[key] = answer
        self.listener(len(self.known))


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
