"""A trained run in Python: scores, posteriors, generated text and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.device import chosen_device, device_named
from ltm_pyro.errors import InputError
from ltm_pyro.guides.moments import moment
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Attribute,
    BatchSize,
    Candidates,
    Draws,
    FastSteps,
    Given,
    Keep,
    Limit,
    Rethink,
    Seed,
    Temperature,
    TopK,
    TopP,
    Wanted,
    WantedBy,
)
from ltm_pyro.runs.config import Settings, as_dict
from ltm_pyro.runs.ending import Ending, read
from ltm_pyro.runs.export import DRAWS as EXPORTED_DRAWS
from ltm_pyro.runs.export import TREE, PriorDraws, Recorded, Sizes, record, refuse_unwritable
from ltm_pyro.runs.loading import open_run
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from xarray import DataTree

    from ltm_pyro.data import Document, Sequences, TextSequences, Tokenizer
    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.guides import AbstractGuide
    from ltm_pyro.inference import FastLoop
    from ltm_pyro.models import AbstractModel
    from ltm_pyro.training.build import RunComponents

BATCH, DRAWS = 32, 16
Text = str | tuple[str, str]  # a text, or a prompt and its answer
COUNTS = ("tokens", "bytes", "predictive_tokens")
REST = ("predictive", "prior_predictive")  # numbers of the second half of a sequence


@dataclass(frozen=True)
class Posteriors:
    """The fitted posteriors q(z | x) of N sequences.

    Attributes:
        distributions: q of each batch, batch (B,), event (L, K, D).
        texts: the index of each sequence's text, (N,).
    """

    distributions: list[Distribution]
    texts: np.ndarray

    @cached_property
    def mean(self) -> Tensor:
        """Posterior means, (N, L, K, D); estimated from a thousand draws if q has no mean in closed form."""
        return torch.cat([moment(q, "mean") for q in self.distributions])

    @cached_property
    def standard_deviation(self) -> Tensor:
        """Posterior standard deviations, (N, L, K, D); from a thousand draws if q has no variance in closed form."""
        return torch.cat([moment(q, "variance").sqrt() for q in self.distributions])

    @torch.no_grad()
    def draws(self, count: int) -> Tensor:
        """Samples of each posterior, (`count`, N, L, K, D), by torch's global generator."""
        return torch.cat([q.sample(torch.Size([count])) for q in self.distributions], dim=1)


class TrainedRun:
    """A run with the weights of a checkpoint.

    Texts are cut as the run cut its corpus, except that no sequence holds more than one text; a text that is longer
    than a sequence becomes several sequences, each with its own thoughts.

    Args:
        run: the run.
        components: its objects with trained weights, and the fast loop of the tables.
        device: the device of the objects.
        checkpoint: the name of the checkpoint that the weights are of, as `Run.find` takes it.

    Attributes:
        model: p(x, z).
        guide: q(z given x), a row of local parameters a sequence.
        fast: fits q as tables do: `fast.fit(model, guide, **batch.inputs)`.
    """

    def __init__(self, run: Run, components: RunComponents, device: torch.device, checkpoint: str = "best") -> None:
        self.run, self.components, self.device, self.checkpoint = run, components, device, checkpoint
        self.model: AbstractModel = components.model
        self.guide: AbstractGuide = components.guide
        self.fast: FastLoop = components.fast

    @classmethod
    def of_folder(
        cls,
        folder: Path | str,
        checkpoint: str = "best",
        *,
        device: torch.device | str | None = None,
        trust_code: bool = False,
    ) -> TrainedRun:
        """Open the run of a folder; arguments and errors are those of `ltm_pyro.load`."""
        run, target = open_run(folder, trust_code), chosen_device() if device is None else device_named(device)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # modules draw weights before loading
            step = str(step_of(run.find(checkpoint)))  # the best checkpoint may change while the run is trained further
            return cls(run, run.load(step).to(target), target, step)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: Path | str,
        *,
        revision: str | None = None,
        checkpoint: str = "best",
        device: torch.device | str | None = None,
        trust_code: bool = False,
        folder: Path | str | None = None,
    ) -> TrainedRun:
        """Open a run of the Hugging Face hub by its name, or of a folder. A run is data, and executes no code.

        A run of the hub is fetched once for each commit, into `$LTM_CACHE` (by default `~/.cache/ltm_pyro`), and
        checked as by `ltm pull`: only the files of a run, the weights against their sums, no pickle.

        Args:
            name_or_folder: `USER/NAME` (or `hf:USER/NAME`), or a run's folder. A folder of that name is preferred.
            revision: a branch, a tag or a commit of the hub; the newest if None. A full commit that was fetched before
                needs no network.
            checkpoint, device, trust_code: as for `ltm_pyro.load`.
            folder: a new folder for the run instead of the cache.

        Raises:
            InputError: if there is no such run or revision, if it is damaged, or names classes that need consent.
        """
        from ltm_pyro.runs.from_hub import found_run

        place = found_run(name_or_folder, revision, None if folder is None else Path(folder))
        return cls.of_folder(place, checkpoint, device=device, trust_code=trust_code)

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = False,
        revision: str | None = None,
        license: str | None = None,
        resumable: bool = False,
    ) -> str:
        """Upload the run with these weights to the Hugging Face hub, with a model card, as `ltm push` does.

        Args:
            name: `USER/NAME` (or `hf:USER/NAME`), created if missing.
            private: make a new repository private.
            revision: the branch to write to, made if missing; the main one if None.
            license: license of the weights, for the card, as the hub names it.
            resumable: include the optimizer's state, so that others can continue the training.

        Returns:
            The address of the commit.

        Raises:
            InputError: if the hub refuses the upload or cannot be reached.
        """
        from ltm_pyro.data.hub import PREFIX
        from ltm_pyro.runs.push import push

        return push(
            self.folder,
            name if name.startswith(PREFIX) else f"{PREFIX}{name}",
            checkpoint=self.checkpoint,
            private=private,
            revision=revision,
            license=license,
            resumable=resumable,
            trust_code=bool(self.run.foreign),  # the consent with which it was opened
        )

    def __repr__(self) -> str:
        prior = "no latents" if self.model.prior is None else type(self.model.prior).__name__
        return f"TrainedRun({str(self.folder)!r}: {prior}, {type(self.guide).__name__}, {self.device})"

    def __fspath__(self) -> str:
        """The run's folder, so that the object can be given wherever a folder of a run is expected."""
        return str(self.folder)

    @property
    def folder(self) -> Path:
        return self.run.folder

    @cached_property
    def settings(self) -> Settings:
        """Every argument of the run, nested."""
        return as_dict(self.run.config)

    @property
    def ending(self) -> Ending | None:
        """The end of training and its reason, as in `training.json`; None if the run is being trained."""
        return read(self.run)

    @property
    def tokenizer(self) -> Tokenizer:
        return self.run.tokenizer

    @in_range
    def evaluate(
        self,
        texts: Sequence[Text] | None = None,
        *,
        draws: Draws = DRAWS,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> Evaluation:
        """The numbers of `ltm evaluate`.

        Args:
            texts: none of them empty; the run's held-out text if None. A run of prompts and answers takes pairs too:
                the predictive numbers are then of the answers.
            draws: S, samples of z.
            limit: the most sequences.
            batch_size: sequences in a batch.
            seed: of all random numbers; the global random state is left unchanged.
            fast_steps: fast steps that fit q; as many as usually suffice if None.

        Raises:
            InputError: for texts that give no sequence, or if a score is not finite.
        """
        return self._evaluated(self._cut(texts), draws, limit, batch_size, seed, fast_steps)

    @in_range
    def table(
        self,
        texts: Sequence[Text] | None = None,
        *,
        draws: Draws = DRAWS,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> str:
        """The table of `evaluate` as Markdown, readable in a terminal; the arguments are the same."""
        from ltm_pyro.evaluation import markdown

        return markdown(self._evaluated(self._cut(texts), draws, limit, batch_size, seed, fast_steps))

    @in_range
    def score(
        self,
        texts: Sequence[Text] | None = None,
        *,
        draws: Draws = DRAWS,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> list[dict[str, Any]]:
        """Cost of each text, as flat records for `pandas.DataFrame(run.score(texts))`.

        The arguments are those of `evaluate`.

        Returns:
            For each text its index as `text` (of held-out text: for each sequence its name), its `tokens` and UTF-8
            `bytes`, and in nats, lower is better, the sum over its sequences of every number of `evaluate`: `elbo`,
            `importance_weighted`, `predictive` and so on. `predictive_tokens` counts the tokens of the second halves,
            to which the predictive numbers refer.
        """
        cut = self._cut(texts)
        evaluation = self._evaluated(cut, draws, limit, batch_size, seed, fast_steps)
        columns: dict[str, np.ndarray] = {}
        for name, score in evaluation.scores.items():
            of_all = (
                {"predictive_tokens": score.tokens} if name in REST else {"tokens": score.tokens, "bytes": score.bytes}
            )
            columns |= {**of_all, name: score.nats}
        places = cut.texts[: len(columns["tokens"])]
        sums = {name: np.bincount(places, values) for name, values in columns.items()}
        counts = [name for name in COUNTS if name in sums]
        return [
            {
                "text": cut.sequences.name(number) if texts is None else number,
                **{name: round(sums[name][number]) for name in counts},
                **{name: float(values[number]) for name, values in sums.items() if name not in counts},
            }
            for number in range(len(sums["tokens"]))
        ]

    @in_range
    def posterior(
        self,
        texts: Sequence[Text] | None = None,
        *,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> Posteriors:
        """Posteriors q(z | x) of texts, fitted as for the tables.

        The arguments are those of `evaluate`.

        Raises:
            InputError: if the model has no latents.
        """
        from ltm_pyro.data import in_order
        from ltm_pyro.evaluation.evaluation_mode import evaluation_mode

        if self.model.prior is None:
            raise InputError(f"{self.folder} is a model without latents, which has no posteriors. Give another run")
        cut, fast = self._cut(texts), self.components.with_fast_steps(fast_steps).fast
        distributions = []
        with evaluation_mode(self.model, self.guide, seed):
            for batch in in_order(cut.sequences, batch_size, limit):
                fast.fit(self.model, self.guide, **batch.to(self.device).inputs)
                distributions.append(self.guide.posterior())
        return Posteriors(distributions, cut.texts[: sum(q.batch_shape[0] for q in distributions)])

    @in_range
    def to_datatree(
        self,
        texts: Sequence[Text] | None = None,
        *,
        draws: Draws = EXPORTED_DRAWS,
        prior_draws: PriorDraws = 0,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> DataTree:
        """Draws of q(z) with their densities, and the numbers of each text, as an xarray DataTree for ArviZ.

        Groups and variables are those of `ltm_pyro.export.data_tree`. The arguments are those of `evaluate`.

        Args:
            prior_draws: draws of p(z) in the group `prior`, the same for every text.

        Raises:
            InputError: as `evaluate`; for draws that exceed half of the machine's memory, or without xarray.
        """
        from ltm_pyro.optional import require_extra

        require_extra("xarray", "export", "an export to xarray")
        return self._recorded(texts, Sizes(draws, prior_draws, limit, batch_size, seed, fast_steps)).tree()

    @in_range
    def export(
        self,
        out: Path | str,
        texts: Sequence[Text] | None = None,
        *,
        draws: Draws = EXPORTED_DRAWS,
        prior_draws: PriorDraws = 0,
        limit: Limit = None,
        batch_size: BatchSize = BATCH,
        seed: Seed = 0,
        fast_steps: FastSteps = None,
    ) -> Path:
        """Write the DataTree of `to_datatree` to a new .nc, or a row a text with the moments of z to a new .parquet.

        The other arguments are those of `to_datatree`.

        Args:
            out: the new file.

        Raises:
            InputError: as `to_datatree`; if the file exists or cannot be written.
        """
        path = Path(out)
        refuse_unwritable(path)
        sizes = Sizes(draws, prior_draws, limit, batch_size, seed, fast_steps)
        return self._recorded(texts, sizes, keeps_draws=path.suffix == TREE).write(path).path

    @in_range
    def write(
        self,
        prompt: str = "",
        *,
        given: Given = None,
        attribute: Attribute = None,
        reward: Wanted = None,
        by: WantedBy = "fit",
        candidates: Candidates = None,
        samples: Annotated[int, whole(1)] = 1,
        tokens: Annotated[int | None, whole(1)] = None,
        temperature: Temperature = 1.0,
        top_k: TopK = 0,
        top_p: TopP = 1.0,
        seed: Seed = 0,
        rethink: Rethink = 0,
        keep: Keep = None,
    ) -> list[str]:
        """Generated texts, each beginning with the prompt.

        Args:
            prompt: the text to continue: q is fitted on it, then z is held; if empty, z is drawn from the prior.
            given: a value of the field that a control of the run was fitted to: z is then of p(z | value).
            attribute: this field, if the run has controls of several.
            reward: a value of the labels that the run has learned: z is then inferred given this label too.
            by: how: `fit`, q fitted to prompt and label; `best` of candidates of z by the reward head, or one of them
                drawn by its `weights`; `langevin`, Metropolis-adjusted chains.
            candidates: number of candidates of z for each text, by `best` or `weights`; 32 if None.
            samples: number of texts, each with its own thoughts.
            tokens: the most to write; as many as the sequence length allows if None.
            temperature, top_k, top_p: as for `ltm_pyro.generation.Sampling`.
            seed: of thoughts and tokens; the global random state is left unchanged.
            rethink: R, rounds of rethinking; `rethink` returns all of them.
            keep: the answer that rethinking keeps, `last`, `elbo` or `predictive`; the last if None.

        Raises:
            InputError: if the prompt is too long, the run has no control or labels that know the value, or it has no
                thoughts to rethink.
        """
        from ltm_pyro.generation import Sampling
        from ltm_pyro.runs.given import components_given
        from ltm_pyro.runs.rethinking import refuse_label, refuse_unused
        from ltm_pyro.runs.wanted import thoughts_for
        from ltm_pyro.runs.writing import write_samples

        refuse_unused(rethink, keep)
        if rethink:
            refuse_label(reward)
            sizes: dict[str, Any] = {"samples": samples, "tokens": tokens, "temperature": temperature}
            sizes |= {"top_k": top_k, "top_p": top_p, "seed": seed, "given": given, "attribute": attribute}
            return [record["text"] for record in self.rethink(prompt, rounds=rethink, keep=keep, scores=(), **sizes)]
        sampling = Sampling(temperature, top_k, top_p)
        components = components_given(self.run, self.components, self.checkpoint, given, attribute)
        thoughts = thoughts_for(self.run, components, reward, by, candidates)
        return write_samples(self.run, components, samples, seed, prompt, tokens, sampling, thoughts)

    @in_range
    def rethink(
        self,
        prompt: str = "",
        *,
        rounds: Annotated[int, whole(0)],
        keep: Keep = None,
        scores: Sequence[str] | None = None,
        given: Given = None,
        attribute: Attribute = None,
        samples: Annotated[int, whole(1)] = 1,
        tokens: Annotated[int | None, whole(1)] = None,
        temperature: Temperature = 1.0,
        top_k: TopK = 0,
        top_p: TopP = 1.0,
        seed: Seed = 0,
    ) -> list[dict[str, Any]]:
        """Texts with the traces of their rounds of rethinking, as plain values for JSON.

        Args:
            rounds: R, rounds after the first answer.
            keep: the answer that is kept, `last`, `elbo` or `predictive`; the last if None.
            scores: scores of all rounds beside the rule's: `elbo`, `predictive` or both; both if None, but no ELBO for
                a guide without a density.
            prompt, given, attribute, samples, tokens, temperature, top_k, top_p, seed: as for `write`.

        Returns:
            Records as `ltm_pyro.runs.rethinking.rethought` describes them.

        Raises:
            InputError: as `write`; for a run without thoughts.
        """
        from ltm_pyro.generation import Sampling
        from ltm_pyro.runs.given import components_given
        from ltm_pyro.runs.rethinking import known_scores, rethought

        sampling = Sampling(temperature, top_k, top_p)
        components = components_given(self.run, self.components, self.checkpoint, given, attribute)
        wanted = known_scores(components) if scores is None else scores
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            choice = (rounds, prompt, keep or "last", tokens, sampling, wanted)
            return list(rethought(self.run, components, samples, *choice))

    def learning_figure(self) -> Figure:
        """The run's learning curve against tokens: bound, log-likelihood and KL."""
        from ltm_pyro.runs.figures import learning_figure

        return learning_figure(self.run)

    def figures(
        self,
        texts: Sequence[Text] | None = None,
        *,
        draws: int = 4,
        limit: int | None = 192,
        batch_size: int = BATCH,
        seed: int = 0,
        fast_steps: int | None = None,
    ) -> dict[str, Figure]:
        """Figures of the run and of the thoughts of texts, as in `ltm train` and `ltm inspect`.

        The arguments are those of `evaluate`; `limit` is of sequences.

        Returns:
            By name: `learning`, the learning curve, if the run has a log; for a model with latents `thoughts`, the KL
            of each thought, `probe`, what can be predicted of a text from the thoughts of the first layers, and `map`,
            the posterior means on their first two principal axes.

        Raises:
            InputError: if prior or posterior is no diagonal Gaussian: only these can be inspected.
        """
        from ltm_pyro.data import in_order
        from ltm_pyro.evaluation.inspection import Details, Inspector
        from ltm_pyro.evaluation.inspection.figures import drawings
        from ltm_pyro.plots.layout import drawn

        figures = {"learning": self.learning_figure()} if self.run.metrics.read() else {}
        if self.model.prior is None:
            return figures
        sequences, components = self._cut(texts).sequences, self.components.with_fast_steps(fast_steps)
        inspector = Inspector(self.model, self.guide, components.fast, draws, seed)
        inspector.look(batch.to(self.device) for batch in in_order(sequences, batch_size, limit))
        inspection = inspector.summary()
        names = [sequences.name(place) for place in inspection.ids]
        return {**figures, **{drawing.name: drawn(drawing) for drawing in drawings(inspection, Details(), names)}}

    def _recorded(self, texts: Sequence[Text] | None, sizes: Sizes, keeps_draws: bool = True) -> Recorded:
        sequences, about = self._cut(texts).sequences, "held-out text" if texts is None else "given texts"
        step = step_of(self.run.find(self.checkpoint))
        return record(self.run, self.components, self.device, sequences, sizes, step, about, keeps_draws)

    def _evaluated(
        self, cut: TextSequences, draws: int, limit: int | None, batch_size: int, seed: int, fast_steps: int | None
    ) -> Evaluation:
        from ltm_pyro.runs.scoring import score_run

        components = self.components.with_fast_steps(fast_steps)
        return score_run(
            self.run,
            components,
            self.device,
            cut.sequences,
            draws=draws,
            limit=limit,
            batch_size=batch_size,
            seed=seed,
        )

    def _cut(self, texts: Sequence[Text] | None) -> TextSequences:
        from ltm_pyro.data import TextSequences, text_sequences
        from ltm_pyro.training.data_module import scores_prompts
        from ltm_pyro.training.held_out import RunText

        if texts is None:
            sequences: Sequences = RunText(self.run).held_out
            return TextSequences(sequences, np.arange(len(sequences)))
        if isinstance(texts, str):
            raise InputError("expected a list of texts, not one: give [text]")
        data = self.run.config.data
        documents = [self._document(number, text) for number, text in enumerate(texts)]
        return text_sequences(data.mode, documents, self.tokenizer, data.length, scores_prompts(self.run.config))

    def _document(self, number: int, text: object) -> Document:
        """A text, or a pair of a prompt and its answer, which may be empty."""
        from ltm_pyro.data import Document, answered

        data = self.run.config.data
        if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
            if not data.prompt:
                raise InputError(f"text {number} is a pair, but this run was trained without prompts: give one text")
            if not text[0].strip():
                raise InputError(f"text {number} is a pair without a prompt: give (prompt, answer)")
            return answered(*text, data.separator, str(number))
        if not isinstance(text, str) or not text:
            raise InputError(f"text {number} is {'empty' if text == '' else f'no text but a {type(text).__name__}'}")
        return Document(text, str(number))
