"""Comparison of guides on a trained run: builds the candidates and trains their global parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import refuse_outside, whole
from ltm_pyro.runs.config import as_dict, complete, merged
from ltm_pyro.runs.loading import load
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import held_out_text
from ltm_pyro.studies.defaults import default_guides
from ltm_pyro.studies.guides.candidate import Candidate
from ltm_pyro.studies.guides.comparison import GuideComparison
from ltm_pyro.studies.guides.sizes import Sizes
from ltm_pyro.studies.guides.training import train_guide
from ltm_pyro.studies.variants import Variant, as_variants
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.data import Batch
    from ltm_pyro.inference import FastLoop
    from ltm_pyro.runs.trained import TrainedRun


LOOP = ("optimizer", "learning_rate", "final_fraction", "bound", "tolerance")  # fast-loop arguments that tables choose


def compare_guides(
    run: TrainedRun,
    guides: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    *,
    limit: int = 32,
    sizes: Sizes | None = None,
    training_steps: int = 400,
    seed: int = 0,
) -> GuideComparison:
    """Fit every guide to the same held-out text on one trained decoder.

    Args:
        run: a run with thoughts.
        guides: changes to the run's settings (its guide, and others if need be) by name; or classes of guides, with
            default arguments; None takes all guides of the library that suit the run's prior.
        limit: number of held-out sequences, the first ones.
        sizes: sizes of the measurements.
        training_steps: slow steps for guides with global parameters.
        seed: seed of all noise.

    Returns:
        The comparison, with `table()` and `to_records()`.

    Raises:
        InputError: if the run has no thoughts, or a guide does not suit it.
    """
    variants = None if guides is None else as_variants("guide", guides)
    study = GuideStudy(run.run, variants, limit=limit, training_steps=training_steps, seed=seed)
    comparison = GuideComparison(study.model, study.candidates(), study.held_out(), sizes, seed)
    comparison.carry_out()
    return comparison


class GuideStudy:
    """Trained run with the guides to compare on it.

    Args:
        run: a run with thoughts.
        variants: changes to the run's settings for each guide; None takes all guides of the library that suit its
            prior.
        limit: number of held-out sequences, the first ones.
        training_steps: slow steps for guides with global parameters.
        checkpoint: `best`, `latest` or a step.
        seed: seed of all noise.
        place: path of the run's corpus, if it has been moved.

    Raises:
        InputError: if the run has no thoughts, or a guide does not suit it.
    """

    def __init__(
        self,
        run: Run,
        variants: Sequence[Variant] | None = None,
        *,
        limit: int = 32,
        training_steps: int = 400,
        checkpoint: str = "best",
        seed: int = 0,
        place: str | None = None,
    ) -> None:
        refuse_outside(
            {"limit": limit, "training_steps": training_steps},
            {"limit": whole(2), "training_steps": whole(1)},
        )
        if run.config.model != "latent-thought":
            raise InputError(f"{run.folder} has no thoughts, and so no posterior to compare. Give another run")
        self.run, self.limit, self.training_steps, self.seed = run, limit, training_steps, seed
        self.components, self.device = load(run, checkpoint)
        self.model = self.components.model
        assert self.model.prior is not None
        if variants is None:
            variants = as_variants("guide", default_guides(self.model.prior.discrete))
        self.loops: dict[str, FastLoop] = {}  # fast loops of training by the guide's name
        self.built = [(variant, self._candidate(variant)) for variant in variants]
        self.text = held_out_text(run, place)

    def held_out(self) -> Batch:
        """Batch of the first held-out sequences."""
        from ltm_pyro.data import in_order

        return next(in_order(self.text.held_out, self.limit, self.limit)).to(self.device)

    def candidates(
        self, folder: ComparisonFolder | None = None, pieces: dict[str, Any] | None = None
    ) -> list[Candidate]:
        """Candidates, with global parameters trained on the run's training text or read from the folder.

        Args:
            folder: folder that keeps trained guides; None keeps none.
            pieces: results kept in the folder.
        """
        for variant, candidate in self.built:
            if not any(parameter.requires_grad for parameter in candidate.guide.parameters()):
                continue
            if folder is None or pieces is None:
                candidate.training_passes = self._trained(candidate)
            else:
                self._train(candidate, folder.path / "guides" / f"{variant.folder}.safetensors", pieces)
                folder.keep(pieces)
        return [candidate for _, candidate in self.built]

    def _candidate(self, variant: Variant) -> Candidate:
        """Candidate built from the run's settings with the variant's changes."""
        from ltm_pyro.inference import towards_a_bound
        from ltm_pyro.training.build import build
        from ltm_pyro.training.dry_run import dry_run
        from ltm_pyro.training.randomness import seed_everything
        from ltm_pyro.training.run import run_parser

        tokenizer = self.run.tokenizer
        seed_everything(self.seed)
        try:
            config = complete(merged(as_dict(self.run.config), variant.change))
            built = build(run_parser(config), config, tokenizer)
            dry_run(built, config.data.length, learns=False)
        except InputError as error:
            raise InputError(f"--guides {variant}: {error}") from error
        built = built.to(self.device)
        self.loops[variant.name] = towards_a_bound(built.fast)
        chosen = set(LOOP) & set(variant.change.get("fast", {}))
        fast = self.loops[variant.name] if chosen else built.for_tables().fast
        return Candidate(variant.name, built.guide, fast)

    def _train(self, candidate: Candidate, path: Path, pieces: dict[str, Any]) -> None:
        from safetensors.torch import load_file, save_file

        key = f"training, {candidate.name}"
        if key in pieces and path.is_file():
            candidate.guide.load_state_dict(load_file(path))
        else:
            passes = self._trained(candidate)
            path.parent.mkdir(exist_ok=True)
            save_file({name: tensor.cpu().clone() for name, tensor in candidate.guide.state_dict().items()}, path)
            pieces[key] = [{"part": "training", "guide": candidate.name, "passes": passes}]
        candidate.training_passes = pieces[key][0]["passes"]

    def _trained(self, candidate: Candidate) -> int:
        from ltm_pyro.bounds import ELBO
        from ltm_pyro.data import Batches
        from ltm_pyro.inference import SlowStep

        steps, train = self.training_steps, self.run.config.train
        slow = SlowStep(ELBO(), 1e-3, steps, warmup=steps // 20)
        batches = (batch.to(self.device) for batch in Batches(self.text.training, train.batch_size, train.seed))
        progress = Progress(steps)
        try:
            return train_guide(
                self.model,
                candidate.guide,
                self.loops[candidate.name],
                slow,
                batches,
                steps,
                lambda done: progress.update(done, f"training {candidate.name}"),
            )
        finally:
            progress.clear()
