"""Texts for the measures of quality: real, generated, prompted and interpolated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.detokenising import whole_texts
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import held_out_text
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.build import RunComponents

REAL, REAL_REST = "held-out text", "held-out text behind a prompt"
UNPROMPTED, PROMPTED, INTERPOLATED = "written, no prompt", "written behind a prompt", "written, between two texts"
KINDS = (REAL, UNPROMPTED, INTERPOLATED, REAL_REST, PROMPTED)  # in the order of tables
WAYS = (0.25, 0.5, 0.75)  # interpolation weights between two texts, in turn
Found = dict[str, list[dict[str, Any]]]  # records of texts by kind


class QualityTexts:
    """Generator of a run's texts of every kind, and of real texts from its held-out text.

    Args:
        run, components: a run and its trained objects.
        sampling: sampling of tokens.
        limit: number of texts of each kind.
        tokens: largest number of tokens of a text; the run's length if None.
        prompt_tokens: number of held-out tokens in a prompt.
        steps: steps of masked diffusion; one for each token if None.
        batch_size: texts in one batch.
        corpus_at: path of the run's corpus, if it has been moved.
        seed: seed of all noise.

    Attributes:
        others: further real texts by kind, disjoint from the samples, as references.

    Raises:
        InputError: for too little held-out text, or a length that does not suit the run's texts.
    """

    def __init__(
        self,
        run: Run,
        components: RunComponents,
        sampling: Sampling,
        *,
        limit: int,
        tokens: int | None,
        prompt_tokens: int,
        steps: int | None,
        batch_size: int,
        corpus_at: str | None,
        seed: int,
    ) -> None:
        self.run, self.components, self.sampling = run, components, sampling
        self.limit, self.steps, self.batch_size, self.seed = limit, steps, batch_size, seed
        self.device = next(components.model.parameters()).device
        length = components.model.decoder.length
        self.tokens, self.prompt_tokens = tokens or length, prompt_tokens
        if not prompt_tokens < self.tokens <= length:
            raise InputError(
                f"--tokens {self.tokens}: expected more than the prompt's {prompt_tokens}, and at most the "
                f"{length} that this run's texts hold"
            )
        first, second = self._held_out(held_out_text(run, corpus_at).held_out)
        self.real, self.pairs = first, list(zip(first, second, strict=True))
        self.long = [ids for ids in first if len(ids) > prompt_tokens]
        self.others = {
            REAL: [self._text(ids) for ids in second],
            REAL_REST: [self._split(ids)[1] for ids in second if len(ids) > prompt_tokens],
        }

    def _held_out(self, sequences: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Two disjoint sets of held-out texts, as token ids."""
        import torch

        from ltm_pyro.data import in_order

        rows: list[Tensor] = []
        for batch in in_order(sequences, 32, None):
            masks = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
            rows += [x[mask][: self.tokens] for x, mask in zip(batch.x, masks, strict=True)]
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed)).tolist()
        count = min(self.limit, len(rows) // 2)
        if count < 2:
            raise InputError(f"{self.run.folder} held out {len(rows)} texts; two sets of them need 4 or more")
        if count < self.limit:
            say(f"{len(rows)} texts were held out: there are {count} of each kind, not {self.limit}")
        return [rows[place] for place in order[:count]], [rows[place] for place in order[count : 2 * count]]

    def write_all(self, found: Found, folder: ComparisonFolder) -> None:
        """Generate the missing texts of every kind, batch by batch; each batch is kept."""
        kinds = {UNPROMPTED: self._unprompted, PROMPTED: self._prompted, INTERPOLATED: self._interpolated}
        if self.components.model.prior is None:
            del kinds[INTERPOLATED]
        if not self.long:
            del kinds[PROMPTED]
        else:
            found[REAL_REST] = self._records(self._split(ids) for ids in self.long)
        found[REAL] = self._records(("", self._text(ids)) for ids in self.real)
        sizes = {kind: len(self.long if kind == PROMPTED else self.real) for kind in kinds}
        progress = Progress(sum(sizes.values()), sum(len(found.get(kind, [])) for kind in kinds))
        try:
            for kind, write in kinds.items():
                records = found.setdefault(kind, [])
                while len(records) < sizes[kind]:
                    start, stop = len(records), min(len(records) + self.batch_size, sizes[kind])
                    seed_torch(self.seed, list(kinds).index(kind), start)
                    records += self._records(write(start, stop))
                    folder.keep(found)
                    progress.update(sum(len(found.get(kind, [])) for kind in kinds), kind)
        finally:
            progress.clear()
            for kind in [kind for kind, records in found.items() if not records]:
                del found[kind]
            folder.keep(found)

    def _unprompted(self, start: int, stop: int) -> Iterator[tuple[str, str]]:
        from ltm_pyro.generation import thoughts_from_prior

        z = thoughts_from_prior(self.components.model, stop - start)
        yield from self._written(z, [""] * (stop - start), self._ids([self.real[0][:0]] * (stop - start)))

    def _prompted(self, start: int, stop: int) -> Iterator[tuple[str, str]]:
        from ltm_pyro.generation import thoughts_from_prompts

        model, guide, fast, _ = self.components
        ids = self._ids([row[: self.prompt_tokens] for row in self.long[start:stop]])
        prompts = [self._split(row)[0] for row in self.long[start:stop]]
        yield from self._written(thoughts_from_prompts(model, guide, fast, ids), prompts, ids)

    def _interpolated(self, start: int, stop: int) -> Iterator[tuple[str, str]]:
        import torch

        from ltm_pyro.generation import crossing, great_circle

        ends = [self._fitted([pair[side] for pair in self.pairs[start:stop]]) for side in (0, 1)]
        share = torch.tensor([WAYS[place % len(WAYS)] for place in range(start, stop)], device=self.device)
        path = crossing if getattr(self.components.model.prior, "discrete", False) else great_circle
        ids = self._ids([self.real[0][:0]] * (stop - start))
        yield from self._written(path(ends[0], ends[1], share), [""] * (stop - start), ids)

    def _fitted(self, rows: Sequence[Tensor]) -> Tensor:
        """Thoughts from the posterior of each text; texts of equal length are fitted together."""
        import torch

        from ltm_pyro.generation import thoughts_from_prompts

        model, guide, fast, _ = self.components
        lengths = [len(row) for row in rows]
        z: dict[int, Tensor] = {}
        for length in sorted(set(lengths)):
            places = [place for place, count in enumerate(lengths) if count == length]
            fitted = thoughts_from_prompts(model, guide, fast, self._ids([rows[place] for place in places]))
            assert fitted is not None  # models without thoughts do not interpolate
            z |= dict(zip(places, fitted, strict=True))
        return torch.stack([z[place] for place in range(len(rows))])

    def _written(self, z: Tensor | None, prompts: Sequence[str], ids: Tensor) -> Iterator[tuple[str, str]]:
        """Prompts with their generated continuations."""
        from ltm_pyro.generation import write, write_by_diffusion
        from ltm_pyro.models import MaskedDiffusionModel

        model, eos_id = self.components.model, self.run.tokenizer.eos_id
        tokens = self.tokens - ids.shape[1]
        if isinstance(model, MaskedDiffusionModel):
            generated = write_by_diffusion(model, ids, tokens, self.sampling, eos_id, self.steps)
        else:
            generated = write(model, z, ids, tokens, self.sampling, eos_id)
        yield from zip(prompts, whole_texts(self.run.tokenizer, ids, generated), strict=True)

    def _ids(self, rows: Sequence[Tensor]) -> Tensor:
        import torch

        return torch.stack(list(rows)).to(self.device)

    def _split(self, ids: Tensor) -> tuple[str, str]:
        """Prompt and continuation of a real text."""
        from ltm_pyro.data import continuation

        prompt, rest = ids.tolist()[: self.prompt_tokens], ids.tolist()[self.prompt_tokens :]
        return self.run.tokenizer.decode(prompt), continuation(self.run.tokenizer, prompt, rest)

    def _text(self, ids: Tensor) -> str:
        return self.run.tokenizer.decode(ids.tolist())

    @staticmethod
    def _records(texts: Any) -> list[dict[str, Any]]:
        return [{"prompt": prompt, "text": text} for prompt, text in texts]
