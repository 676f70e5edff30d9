"""A run as lm-evaluation-harness sees a language model; imported where that is installed."""

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
    """Log-likelihoods of continuations by posterior inference on what stands before them, and generation.

    Args:
        run, components: a run and its trained objects.
        draws: S, samples of z.
        seed: of all noise.
        known: answers by request, as this class has given them; they are not asked for again, and new ones added.
        listener: told after each answer how many of the requests of one kind have theirs, and how many there are.

    Attributes:
        round_trip: what the tokenizer has lost of whole texts.
        asked, cut: how many requests had a context, and how many of these contexts lost their first tokens.
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
        self._documents: list[tuple[str, int]] = []  # task and place of each request's, in the order of all requests
        self._done = self._before = 0  # of these requests; of those before the kind that is answered now

    @classmethod
    def from_run(
        cls,
        folder: Path | str,
        checkpoint: str = "best",
        fast_steps: int | None = None,
        trust_code: bool = False,
        **settings: Any,
    ) -> HarnessModel:
        """The model of a run's folder, for `lm_eval.simple_evaluate`.

        Args:
            folder: the run's.
            checkpoint: best, latest, or a step.
            fast_steps: fast steps of the fit; enough if None.
            trust_code: as in `Run.open`.
            **settings: `draws`, `seed` and the rest, as for the class.

        Raises:
            InputError: if it is no run, or has no such checkpoint.
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
        """Tokens of both together, divided where the context ends; of each alone where a token reaches across.

        A continuation that a merge takes tokens from would be scored in part, or, if nothing is left, be certain.
        """
        told, whole = super()._encode_pair(context, continuation)
        if self.tok_encode(context + continuation) == told + whole:
            return told, whole
        moved = context[len(context.rstrip()) :]
        return told, self.tok_encode(moved + continuation)

    def answered(self) -> dict[str, int]:
        """How many documents of each task, from its first on, have all the answers that were asked for."""
        waiting = set(self._documents[self._done :])
        counts: dict[str, int] = {}
        through: set[str] = set()  # tasks of which a document waits
        for task, place in sorted(set(self._documents)):
            through |= {task} if (task, place) in waiting else set()
            counts[task] = counts.get(task, 0) + (task not in through)
        return counts

    def _begin(self, requests: Sequence[Any]) -> None:
        self._before = self._done = len(self._documents)
        self._documents += [(request.task_name, request.doc_id) for request in requests]

    def _tell(self, done: int, total: int) -> None:
        self._done = self._before + done
        self.listener(done, total)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Continuations behind their contexts, and whether each is the likeliest."""
        self._begin(requests)
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        """All continuations of one context at once, under the same draws of z."""
        contexts: dict[tuple[int, ...], list[int]] = {}
        for place, ((text, _), context, _) in enumerate(requests):
            contexts.setdefault(tuple(context) if text else (), []).append(place)
        answers: dict[int, tuple[float, bool]] = {}
        for context, places in contexts.items():
            asked = [requests[place][2] for place in places]
            self._count_cut(len(context), self.components.model.decoder.length - max(map(len, asked)), len(places))
            key = _key("continuations", context, *asked)
            if key not in self.known:
                told = self.continuations.score(context, asked)
                self.known[key] = [{"nats": one.nats, "greedy": one.greedy} for one in told]
            for place, one in zip(places, self.known[key], strict=True):
                answers[place] = (one["nats"], one["greedy"])
            self._tell(len(answers), len(requests))
        return [answers[place] for place in range(len(requests))]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Whole texts: exact without thoughts, else the importance-weighted bound.

        NaN for a text that its tokens do not decode to: tasks divide by its bytes or words.
        """
        self._begin(requests)
        totals = []
        for request in requests:
            tokens = self.tok_encode(request.args[0])
            kept = self.round_trip.add(request.args[0], np.array(tokens, dtype=np.int64))
            key = _key("whole", tokens)
            if key not in self.known:
                self.known[key] = [{"nats": self.continuations.whole(tokens)}]
            totals.append(self.known[key][0]["nats"] if kept else math.nan)
            self._tell(len(totals), len(requests))
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Texts behind their contexts, up to where a task lets them end; greedy unless it says otherwise.

        A request that is made again, as tasks do that take a vote, has a posterior inference and draws of its own.

        Raises:
            InputError: for a setting that is not followed, before anything is written.
        """
        wanted = [GenerationSettings.read(request.args[1]) for request in requests]
        self._begin(requests)
        texts: list[str] = []
        before: Counter[str] = Counter()
        for request, asked in zip(requests, wanted, strict=True):
            context, settings = request.args
            told = self.tok_encode(context)
            kept, tokens = self._division(len(told), asked.tokens)
            self._count_cut(len(told), kept)
            first = _key("written", context, settings)
            time, before[first] = before[first], before[first] + 1
            key = _key("written", context, settings, time) if time else first
            if key not in self.known:
                self.known[key] = [{"text": self._write(told[len(told) - kept :], tokens, asked, time)}]
            texts.append(self.known[key][0]["text"])
            self._tell(len(texts), len(requests))
        return texts

    def _division(self, context: int, most: int) -> tuple[int, int]:
        """How many of a context's tokens are read, and how many are written: no task takes more than half from it."""
        length = self.components.model.decoder.length
        tokens = min(most, length - min(context, length // 2))
        return min(context, length - tokens), tokens

    def _write(self, told: list[int], tokens: int, settings: GenerationSettings, time: int) -> str:
        import torch

        model, guide, fast, _ = self.components
        seed_torch(self.seed, time)
        device = next(model.parameters()).device
        ids = torch.tensor([told], dtype=torch.long, device=device)
        z = thoughts_from_prompts(model, guide, fast, ids) if told else thoughts_from_prior(model, 1)
        written = write(model, z, ids, tokens, settings.sampling, self.run.tokenizer.eos_id)
        (text,) = whole_texts(self.run.tokenizer, ids, written)
        return settings.cut(text)

    def _count_cut(self, tokens: int, room: int, times: int = 1) -> None:
        self.asked += times
        self.cut += times * (tokens > room)


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
