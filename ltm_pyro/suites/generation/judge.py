"""Another language model, which says how likely a text is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.suites.generation.sample import Sample


class Judge:
    """A causal language model of transformers: its generative perplexity says how likely it finds what was written.

    It rewards repetition, which a judge finds likely: read it beside the entropy.

    Args:
        spec: a name on the hub, or a local folder.
        device: where it works.

    Raises:
        InputError: if it cannot be loaded, or transformers is not installed.
    """

    def __init__(self, spec: str, device: torch.device | str = "cpu") -> None:
        self.tokenizer, self.model = load_pair(spec, "AutoModelForCausalLM", "a judge")
        self.model = self.model.to(device).eval()
        self.device = device
        known = getattr(self.model.config, "max_position_embeddings", None)
        self.most = known or 1024

    def nats(
        self, samples: Sequence[Sample], batch_size: int = 8, listen: Callable[[int], None] | None = None
    ) -> tuple[list[float], list[int]]:
        """Negative log-likelihood of each text behind its prompt, in nats, and the judge's tokens that it is of.

        What a judge is too short for is left out at the end of a text, and at the beginning of a prompt. Without a
        prompt and without a token that begins a text, the first token is not scored. `listen` is told how many texts
        are done.
        """
        ids = [self._encode(sample) for sample in samples]
        nats, counts = [0.0] * len(ids), [0] * len(ids)
        order = sorted(range(len(ids)), key=lambda place: len(ids[place][0]))
        for begun in range(0, len(order), batch_size):
            places = order[begun : begun + batch_size]
            scored = self._score([ids[place] for place in places])
            for place, (nat, count) in zip(places, scored, strict=True):
                nats[place], counts[place] = nat, count
            if listen is not None:
                listen(begun + len(places))
        return nats, counts

    def _encode(self, sample: Sample) -> tuple[list[int], int]:
        """Token ids, and how many of them are not scored."""
        text = self.tokenizer.encode(sample.text, add_special_tokens=False)
        prompt = self.tokenizer.encode(sample.prompt, add_special_tokens=False) if sample.prompt else []
        begin = self.tokenizer.bos_token_id
        told = ([] if begin is None else [begin]) + prompt
        text = text[: max(1, self.most - min(len(told), self.most // 2))]
        told = told[-max(0, self.most - len(text)) :] if len(told) + len(text) > self.most else told
        return told + text, max(1, len(told))

    @torch.no_grad()
    def _score(self, ids: Sequence[tuple[list[int], int]]) -> list[tuple[float, int]]:
        longest = max(len(tokens) for tokens, _ in ids)
        x = torch.zeros(len(ids), longest, dtype=torch.long)
        mask, scored = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
        for row, (tokens, told) in enumerate(ids):
            x[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            mask[row, : len(tokens)] = 1
            scored[row, told : len(tokens)] = True
        x, mask, scored = x.to(self.device), mask.to(self.device), scored.to(self.device)
        logits = self.model(input_ids=x, attention_mask=mask).logits
        found = []
        for row, target, own in zip(logits, x, scored, strict=True):  # one text's chances at a time: large vocabularies
            each: Tensor = cross_entropy(row[:-1].float(), target[1:], reduction="none")
            found.append((each.double()[own[1:]].sum().item(), int(own.sum())))
        return found


def load_pair(spec: str, kind: str, what: str) -> tuple[Any, Any]:
    """A tokenizer and a model of transformers.

    Raises:
        InputError: if they cannot be loaded, or transformers is not installed.
    """
    transformers = import_extra("transformers", "judge", what)
    try:
        with _without_bars(transformers.utils.logging):
            tokenizer = transformers.AutoTokenizer.from_pretrained(spec)
            return tokenizer, getattr(transformers, kind).from_pretrained(spec)
    except Exception as error:  # the library raises many unrelated types here
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{spec} cannot be loaded as {what}: {type(error).__name__}: {reason}. Give a folder that transformers has "
            "saved, or a name on the hub and a network"
        ) from error


@contextlib.contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """Lets transformers load without its own bars, and leaves their setting as it was."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
