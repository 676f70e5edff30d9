"""Adapter of a run to the language-model interface of lm-evaluation-harness, which must be installed."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lm_eval.api.model import TemplateLM

from ltm_pyro.data.round_trip import RoundTrip
from ltm_pyro.generation import thoughts_from_prior, thoughts_from_prompts, write
from ltm_pyro.runs.detokenising import whole_texts
from ltm_pyro.runs.loading import load
from ltm_pyro.suites.harness.continuation import Continuations
from ltm_pyro.suites.harness.settings import GenerationSettings
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from ltm_pyro.training.build import RunComponents


class HarnessModel(TemplateLM):
    """Language model of lm-evaluation-harness: log-likelihoods and generation by posterior inference on the context.

    Args:
        run, components: a run and its trained objects.
        draws: S, samples of z.
        seed: seed of all noise.
        known: cache of answers by request; new answers are added.
        listener: called after each answer with the numbers of answered requests and of all requests of this kind.

    Attributes:
        round_trip: check of the tokenizer's losses on whole texts.
        asked, cut: numbers of requests with a context, and of contexts that lost their first tokens.
    """

    def __init__(
        self,
        run: Run,
        components: RunComponents,
        draws: int = 16,
        seed: int = 0,
        known: dict[str, list[dict[str, Any]]] | None = None,
        listener: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        super().__init__()
        self.run, self.components, self.seed = run, components, seed
        model, guide, fast, _ = components
        self.continuations = Continuations(model, guide, fast, draws, seed)
        self.known: dict[str, list[dict[str, Any]]] = {} if known is None else known
        self.listener = listener
        self.round_trip = RoundTrip(run.tokenizer)
        self.asked = self.cut = 0
        self._documents: list[
            tuple[str, int]
        ] = []  # task and index of each request's document, in the order of requests
        self._done = self._before = 0  # answered requests; requests of the kinds before the present one

    @classmethod
    def from_run(
        cls,
        folder: Path | str,
        checkpoint: str = "best",
        fast_steps: int | None = None,
        trust_code: bool = False,
        **settings: Any,
    ) -> HarnessModel:
        """Load the model of a run's folder, for `lm_eval.simple_evaluate`.

        Args:
            folder: folder of the run.
            checkpoint: best, latest, or a step.
            fast_steps: fast steps of the fit; the default of tables if None.
            trust_code: as in `Run.open`.
            **settings: `draws`, `seed` and other arguments of the class.

        Raises:
            InputError: if the folder is no run, or has no such checkpoint.
        """
        run = Run.open(folder, trust_code)
        components, _ = load(run, checkpoint)
        return cls(run, components.with_fast_steps(fast_steps), **settings)

    @property
    def eot_token_id(self) -> int:
        return self.run.tokenizer.bos_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return [int(token) for token in self.run.tokenizer.encode(string)]

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of context and continuation, encoded separately if a token spans their boundary.

        Otherwise such a token would be cut off the continuation, which would be scored in part, or have probability 1
        if nothing of it is left.
        """
        prefix, suffix = super()._encode_pair(context, continuation)
        if self.tok_encode(context + continuation) == prefix + suffix:
            return prefix, suffix
        spaces = context[len(context.rstrip()) :]
        return prefix, self.tok_encode(spaces + continuation)

    def answered(self) -> dict[str, int]:
        """Number of leading documents of each task that have all their answers."""
        waiting = set(self._documents[self._done :])
        counts: dict[str, int] = {}
        incomplete: set[str] = set()  # tasks with a waiting document
        for task, place in sorted(set(self._documents)):
            incomplete |= {task} if (task, place) in waiting else set()
            counts[task] = counts.get(task, 0) + (task not in incomplete)
        return counts

    def _begin(self, requests: Sequence[Any]) -> None:
        self._before = self._done = len(self._documents)
        self._documents += [(request.task_name, request.doc_id) for request in requests]

    def _tell(self, done: int, total: int) -> None:
        self._done = self._before + done
        self.listener(done, total)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihoods of continuations given their contexts, each with True if it is the greedy continuation."""
        self._begin(requests)
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        """Score all continuations of a context together, under the same draws of z."""
        contexts: dict[tuple[int, ...], list[int]] = {}
        for place, ((text, _), context, _) in enumerate(requests):
            contexts.setdefault(tuple(context) if text else (), []).append(place)
        answers: dict[int, tuple[float, bool]] = {}
        for context, places in contexts.items():
            endings = [requests[place][2] for place in places]
            self._count_cut(len(context), self.components.model.decoder.length - max(map(len, endings)), len(places))
            key = _key("continuations", context, *endings)
            if key not in self.known:
                scores = self.continuations.score(context, endings)
                self.known[key] = [{"nats": score.nats, "greedy": score.greedy} for score in scores]
            for place, answer in zip(places, self.known[key], strict=True):
                answers[place] = (answer["nats"], answer["greedy"])
            self._tell(len(answers), len(requests))
        return [answers[place] for place in range(len(requests))]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihoods of whole texts: exact without thoughts, else the importance-weighted bound.

        NaN for a text that its tokens do not reproduce, since tasks divide by the text's bytes or words.
        """
        self._begin(requests)
        totals = []
        for request in requests:
            tokens = self.tok_encode(request.args[0])
            is_lossless = self.round_trip.add(request.args[0], np.array(tokens, dtype=np.int64))
            key = _key("whole", tokens)
            if key not in self.known:
                self.known[key] = [{"nats": self.continuations.whole(tokens)}]
            totals.append(self.known[key][0]["nats"] if is_lossless else math.nan)
            self._tell(len(totals), len(requests))
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Generate texts after their contexts, up to the task's stop strings; greedy unless the task samples.

        A repeated request, as in tasks with a majority vote, has a separate posterior inference and separate draws.

        Raises:
            InputError: for a setting that is not supported, before any text is generated.
        """
        all_settings = [GenerationSettings.read(request.args[1]) for request in requests]
        self._begin(requests)
        texts: list[str] = []
        before: Counter[str] = Counter()
        for request, settings in zip(requests, all_settings, strict=True):
            context, arguments = request.args
            prompt = self.tok_encode(context)
            length, tokens = self._division(len(prompt), settings.tokens)
            self._count_cut(len(prompt), length)
            first = _key("written", context, arguments)
            time, before[first] = before[first], before[first] + 1
            key = _key("written", context, arguments, time) if time else first
            if key not in self.known:
                prompt = prompt[len(prompt) - length :]
                self.known[key] = [{"text": self._write(prompt, tokens, settings, time)}]
            texts.append(self.known[key][0]["text"])
            self._tell(len(texts), len(requests))
        return texts

    def _division(self, context: int, limit: int) -> tuple[int, int]:
        """Numbers of context tokens and of generated tokens; a long context keeps at least half of the length."""
        length = self.components.model.decoder.length
        tokens = min(limit, length - min(context, length // 2))
        return min(context, length - tokens), tokens

    def _write(self, prompt: list[int], tokens: int, settings: GenerationSettings, time: int) -> str:
        import torch

        model, guide, fast, _ = self.components
        seed_torch(self.seed, time)
        device = next(model.parameters()).device
        ids = torch.tensor([prompt], dtype=torch.long, device=device)
        z = thoughts_from_prompts(model, guide, fast, ids) if prompt else thoughts_from_prior(model, 1)
        generated = write(model, z, ids, tokens, settings.sampling, self.run.tokenizer.eos_id)
        (text,) = whole_texts(self.run.tokenizer, ids, generated)
        return settings.cut(text)

    def _count_cut(self, tokens: int, room: int, times: int = 1) -> None:
        self.asked += times
        self.cut += times * (tokens > room)


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
