"""Judge: a causal language model for the generative perplexity of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ltm_pyro.errors import InputError
from ltm_pyro.optional import import_extra
from ltm_pyro.pretrained.loading import without_bars
from ltm_pyro.suites.generation.sample import Sample


class Judge:
    """Causal language model of transformers that scores texts, for their generative perplexity.

    Generative perplexity rewards repetition, which a judge finds likely: read it together with the entropy.

    Args:
        spec: a name on the hub, or a local folder.
        device: device of the model.

    Raises:
        InputError: if the model cannot be loaded, or transformers is not installed.
    """

    def __init__(self, spec: str, device: torch.device | str = "cpu") -> None:
        self.tokenizer, self.model = load_pair(spec, "AutoModelForCausalLM", "a judge")
        self.model = self.model.to(device).eval()
        self.device = device
        self.most = getattr(self.model.config, "max_position_embeddings", None) or 1024

    def nats(
        self, samples: Sequence[Sample], batch_size: int = 8, listen: Callable[[int], None] | None = None
    ) -> tuple[list[float], list[int]]:
        """Negative log-likelihood of each text after its prompt, in nats, and its number of scored tokens.

        To fit the judge's context, texts lose tokens at the end, and prompts at the start. Without a prompt and without
        a BOS token, the first token is not scored. `listen` is called with the number of finished texts.
        """
        ids = [self._encode(sample) for sample in samples]
        nats, counts = [0.0] * len(ids), [0] * len(ids)
        order = sorted(range(len(ids)), key=lambda place: len(ids[place][0]))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            scored = self._score([ids[place] for place in places])
            for place, (nat, count) in zip(places, scored, strict=True):
                nats[place], counts[place] = nat, count
            if listen is not None:
                listen(start + len(places))
        return nats, counts

    def _encode(self, sample: Sample) -> tuple[list[int], int]:
        """Token ids, and the number of leading tokens that are not scored."""
        text = self.tokenizer.encode(sample.text, add_special_tokens=False)
        prompt = self.tokenizer.encode(sample.prompt, add_special_tokens=False) if sample.prompt else []
        bos = self.tokenizer.bos_token_id
        context = ([] if bos is None else [bos]) + prompt
        text = text[: max(1, self.most - min(len(context), self.most // 2))]
        context = context[-max(0, self.most - len(text)) :] if len(context) + len(text) > self.most else context
        return context + text, max(1, len(context))

    @torch.no_grad()
    def _score(self, ids: Sequence[tuple[list[int], int]]) -> list[tuple[float, int]]:
        longest = max(len(tokens) for tokens, _ in ids)
        x = torch.zeros(len(ids), longest, dtype=torch.long)
        mask, scored = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
        for row, (tokens, skipped) in enumerate(ids):
            x[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            mask[row, : len(tokens)] = 1
            scored[row, skipped : len(tokens)] = True
        x, mask, scored = x.to(self.device), mask.to(self.device), scored.to(self.device)
        logits = self.model(input_ids=x, attention_mask=mask).logits
        totals = []
        for row, target, row_mask in zip(logits, x, scored, strict=True):  # row by row: vocabularies are large
            nats: Tensor = cross_entropy(row[:-1].float(), target[1:], reduction="none")
            totals.append((nats.double()[row_mask[1:]].sum().item(), int(row_mask.sum())))
        return totals


def load_pair(spec: str, kind: str, what: str) -> tuple[Any, Any]:
    """Tokenizer and model of transformers.

    Args:
        spec: a name on the hub, or a local folder.
        kind: class of transformers that loads the model.
        what: role of the model in error messages.

    Raises:
        InputError: if they cannot be loaded, or transformers is not installed.
    """
    transformers = import_extra("transformers", "judge", what)
    try:
        with without_bars(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(spec)
            return tokenizer, getattr(transformers, kind).from_pretrained(spec)
    except Exception as error:  # the library raises many unrelated types here
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{spec} cannot be loaded as {what}: {type(error).__name__}: {reason}. Give a folder saved by "
            "transformers, or a name on the hub (needs a network connection)"
        ) from error
