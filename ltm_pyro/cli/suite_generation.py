"""`ltm evaluate RUN --suite generation`: what the text that a run writes is like, beside real text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.comparison_folder import ComparisonFolder
from ltm_pyro.cli.loading import load
from ltm_pyro.cli.progress import Progress
from ltm_pyro.cli.session import say
from ltm_pyro.cli.text_of_tokens import whole_texts
from ltm_pyro.errors import InputError
from ltm_pyro.training.randomness import seed_torch
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace
    from torch import Tensor

    from ltm_pyro.evaluation.text_quality import Interval, Sample
    from ltm_pyro.generation import Sampling
    from ltm_pyro.training.blueprint import Blueprint

FOLDER = "evaluation/generation"
REAL, REAL_REST = "held-out text", "held-out text behind a prompt"
UNPROMPTED, PROMPTED, INTERPOLATED = "written, no prompt", "written behind a prompt", "written, between two texts"
WAYS = (0.25, 0.5, 0.75)  # shares of the way between two texts, in turn
Found = dict[str, list[dict[str, Any]]]  # by kind, a record for each text


def main(words: Sequence[str]) -> int:
    """Write and measure; returns the exit code."""
    from ltm_pyro.evaluation.text_quality import Embedder, Judge
    from ltm_pyro.generation import Sampling

    options = parse(_parser(), words)
    refuse_below(options, limit=2, tokens=1, prompt_tokens=1, batch_size=1, steps=1, fast_steps=0, seed=0)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = Run.open(options.run)
    if options.steps is not None and run.config.model != "masked-diffusion":
        raise InputError(f"--steps {options.steps}: only masked diffusion writes in steps; leave it out")
    # before anything is written, so that a name that leads nowhere costs no time
    judge = None if options.judge is None else Judge(options.judge)
    embedder = None if options.embedder is None else Embedder(options.embedder)
    settings = {k: v for k, v in options.as_dict().items() if k not in ("resume", "suite", "judge", "embedder")}
    folder = ComparisonFolder(run.folder / FOLDER, settings)
    found: Found = folder.done() if options.resume else {}
    folder.begin(["evaluate", *words])
    writer = _Writer(run, options, sampling)
    try:
        writer.write_all(found, folder)
    except KeyboardInterrupt:
        say("interrupted: what was written is measured; the same command with --resume writes the rest")
        _finish(folder, found, writer.others, judge, embedder, options)
        raise
    _finish(folder, found, writer.others, judge, embedder, options)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate RUN --suite generation", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="generation", help="this one")
    parser.add_argument(
        "--judge", type=str | None, default=None, help="a causal model of transformers, a folder or a hub's name"
    )
    parser.add_argument(
        "--embedder", type=str | None, default=None, help="any model of transformers, for MAUVE; a folder or a name"
    )
    parser.add_argument("--limit", type=int, default=64, help="texts of each kind")
    parser.add_argument("--tokens", type=int | None, default=None, help="the most of a text; the run's length")
    parser.add_argument("--prompt_tokens", type=int, default=32, help="of held-out text before what is prompted")
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits; 0: the likeliest token")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k likeliest tokens; 0: from all")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the likeliest tokens of total mass p")
    parser.add_argument("--steps", type=int | None, default=None, help="of masked diffusion; one for each token")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="T_fast; the run's if left out")
    parser.add_argument("--batch_size", type=int, default=16, help="texts at once")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--resume", action="store_true", help="keep what an interrupted evaluation has written")
    return parser


class _Writer:
    """Writes a run's texts of every kind, and takes real ones from what it held out.

    Attributes:
        others: real texts that are no sample here, to compare with.
    """

    def __init__(self, run: Run, options: Namespace, sampling: Sampling) -> None:
        from ltm_pyro.training.material import prepare

        self.run, self.options, self.sampling = run, options, sampling
        blueprint, self.device = load(run, options.checkpoint)
        self.blueprint: Blueprint = blueprint.with_fast_steps(options.fast_steps)
        length = blueprint.model.decoder.length
        self.tokens = options.tokens or length
        if not options.prompt_tokens < self.tokens <= length:
            raise InputError(
                f"--tokens {self.tokens}: expected more than the prompt's {options.prompt_tokens}, and at most the "
                f"{length} that this run's texts hold"
            )
        first, second = self._held_out(prepare(run.config, run.tokenizer).validation)
        self.real, self.pairs = first, list(zip(first, second, strict=True))
        self.others = [self._text(ids) for ids in second]
        self.long = [ids for ids in first if len(ids) > options.prompt_tokens]

    def _held_out(self, sequences: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Two sets of held-out texts that share none, as token ids."""
        import torch

        from ltm_pyro.data import in_order

        rows: list[Tensor] = []
        for batch in in_order(sequences, 32, None):
            masks = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
            rows += [x[mask][: self.tokens] for x, mask in zip(batch.x, masks, strict=True)]
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.options.seed)).tolist()
        count = min(self.options.limit, len(rows) // 2)
        if count < 2:
            raise InputError(f"{self.run.folder} held out {len(rows)} texts; two sets of them need 4 or more")
        if count < self.options.limit:
            say(f"{len(rows)} texts were held out: {count} of each kind are taken, not {self.options.limit}")
        return [rows[place] for place in order[:count]], [rows[place] for place in order[count : 2 * count]]

    def write_all(self, found: Found, folder: ComparisonFolder) -> None:
        """Write every kind that there is not yet, batch by batch; each batch is kept."""
        kinds = {UNPROMPTED: self._unprompted, PROMPTED: self._prompted, INTERPOLATED: self._interpolated}
        if self.blueprint.model.prior is None:
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
                own = found.setdefault(kind, [])
                while len(own) < sizes[kind]:
                    begun, ended = len(own), min(len(own) + self.options.batch_size, sizes[kind])
                    seed_torch(self.options.seed, list(kinds).index(kind), begun)
                    own += self._records(write(begun, ended))
                    folder.keep(found)
                    progress.update(sum(len(found.get(kind, [])) for kind in kinds), kind)
        finally:
            progress.clear()
            for kind in [kind for kind, own in found.items() if not own]:
                del found[kind]
            folder.keep(found)

    def _unprompted(self, begun: int, ended: int) -> Iterator[tuple[str, str]]:
        from ltm_pyro.generation import thoughts_from_prior

        z = thoughts_from_prior(self.blueprint.model, ended - begun)
        yield from self._written(z, [""] * (ended - begun), self._ids([self.real[0][:0]] * (ended - begun)))

    def _prompted(self, begun: int, ended: int) -> Iterator[tuple[str, str]]:
        from ltm_pyro.generation import thoughts_from_prompts

        model, guide, fast, _ = self.blueprint
        ids = self._ids([row[: self.options.prompt_tokens] for row in self.long[begun:ended]])
        prompts = [self._split(row)[0] for row in self.long[begun:ended]]
        yield from self._written(thoughts_from_prompts(model, guide, fast, ids), prompts, ids)

    def _interpolated(self, begun: int, ended: int) -> Iterator[tuple[str, str]]:
        import torch

        from ltm_pyro.generation import great_circle, thoughts_from_prompts

        model, guide, fast, _ = self.blueprint
        ends = []
        for side in (0, 1):
            fitted = [
                thoughts_from_prompts(model, guide, fast, self._ids([pair[side]])) for pair in self.pairs[begun:ended]
            ]
            ends.append(torch.cat([z for z in fitted if z is not None]))
        share = torch.tensor([WAYS[place % len(WAYS)] for place in range(begun, ended)], device=self.device)
        ids = self._ids([self.real[0][:0]] * (ended - begun))
        yield from self._written(great_circle(ends[0], ends[1], share), [""] * (ended - begun), ids)

    def _written(self, z: Tensor | None, prompts: Sequence[str], ids: Tensor) -> Iterator[tuple[str, str]]:
        """Each prompt with what was written behind it."""
        from ltm_pyro.generation import write, write_by_diffusion
        from ltm_pyro.models import MaskedDiffusionModel

        model, end = self.blueprint.model, self.run.tokenizer.end
        tokens = self.tokens - ids.shape[1]
        if isinstance(model, MaskedDiffusionModel):
            written = write_by_diffusion(model, ids, tokens, self.sampling, end, self.options.steps)
        else:
            written = write(model, z, ids, tokens, self.sampling, end)
        yield from zip(prompts, whole_texts(self.run.tokenizer, "", written, len(ids)), strict=True)

    def _ids(self, rows: Sequence[Tensor]) -> Tensor:
        import torch

        return torch.stack(list(rows)).to(self.device)

    def _split(self, ids: Tensor) -> tuple[str, str]:
        """A real text's prompt, and what stands behind it."""
        return self._text(ids[: self.options.prompt_tokens]), self._text(ids[self.options.prompt_tokens :])

    def _text(self, ids: Tensor) -> str:
        return self.run.tokenizer.decode(ids.tolist())

    @staticmethod
    def _records(texts: Any) -> list[dict[str, Any]]:
        return [{"prompt": prompt, "text": text} for prompt, text in texts]


def _finish(
    folder: ComparisonFolder, found: Found, others: Sequence[str], judge: Any, embedder: Any, options: Namespace
) -> None:
    from ltm_pyro.evaluation.text_quality import MEASURES, Sample, measure, table
    from ltm_pyro.plots import plot_text_quality, save_figure

    kinds = [kind for kind in (REAL, UNPROMPTED, INTERPOLATED, REAL_REST, PROMPTED) if found.get(kind)]
    samples: dict[str, list[Sample]] = {kind: [Sample(**record) for record in found[kind]] for kind in kinds}
    numbers: dict[str, dict[str, Interval]] = {}
    for kind in kinds:
        whole = kind not in (PROMPTED, REAL_REST)  # what stands behind a prompt is no whole text to be compared with
        numbers[kind] = measure(samples[kind], others, judge, embedder if whole else None, options.seed)
    missing = [] if judge else ["No generative perplexity: give --judge, a folder or a hub's name."]
    missing += [] if embedder else ["No MAUVE: give --embedder, a folder or a hub's name."]
    missing += [f"Judge: {options.judge}."] if judge else []
    missing += [f"MAUVE against other held-out texts, embedded by {options.embedder}."] if embedder else []
    if INTERPOLATED not in found:
        missing.append("Nothing is written between two texts: this model has no thoughts.")
    records = [
        {"kind": kind, "measure": name, "value": interval.value, "low": interval.low, "high": interval.high}
        for kind, own in numbers.items()
        for name, interval in own.items()
    ]
    for kind in kinds:
        lines = [f"--- {place} ---\n{one.prompt}|{one.text}" for place, one in enumerate(samples[kind], 1)]
        folder.write(f"{kind.replace(', ', '-').replace(' ', '-')}.txt", "\n".join(lines) + "\n")

    def draw() -> list[str]:
        shown = [
            name for name in ("perplexity", "entropy", "repetition", "self_bleu", "mauve") if name in _names(records)
        ]
        panels: list[Any] = [partial(plot_text_quality, records, measure=name, label=MEASURES[name]) for name in shown]
        return [path.name for path in save_figure(folder.path / "text-quality", panels, width=2.2)]

    folder.finish(table(numbers, {kind: len(samples[kind]) for kind in kinds}, missing), records, draw)


def _names(records: Sequence[dict[str, Any]]) -> set[str]:
    return {record["measure"] for record in records}
