"""A trained run, and the guides that are tried on it."""

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


LOOP = ("optimizer", "learning_rate", "final_fraction", "bound", "tolerance")  # of the fast loop, that tables choose


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
        run: with thoughts.
        guides: by name, what each changes in the run's settings, its guide first of all; or classes of guides, with
            their arguments at their defaults; all of ours that suit the run's prior if None.
        limit: held-out sequences, the first.
        sizes: how much is measured.
        training_steps: slow steps for guides with parameters of their own.
        seed: of all noise.

    Returns:
        What was compared: `table()`, `to_records()`.

    Raises:
        InputError: for a run without thoughts, or guides that do not suit it.
    """
    variants = None if guides is None else as_variants("guide", guides)
    study = GuideStudy(run.run, variants, limit=limit, training_steps=training_steps, seed=seed)
    comparison = GuideComparison(study.model, study.candidates(), study.held_out(), sizes, seed)
    comparison.carry_out()
    return comparison


class GuideStudy:
    """A trained run, and the guides that are tried on it.

    Args:
        run: with thoughts.
        variants: what each guide changes in the run's settings; all of ours that suit its prior if None.
        limit: held-out sequences, the first.
        training_steps: slow steps for guides with parameters of their own.
        checkpoint: `best`, `latest` or a step.
        seed: of all noise.
        place: where the run's corpus lies now, if it has been moved.

    Raises:
        InputError: for a run without thoughts, or guides that do not suit it.
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
            raise InputError(f"{run.folder} has no thoughts, so that there is nothing to infer. Give another run")
        self.run, self.limit, self.training_steps, self.seed = run, limit, training_steps, seed
        self.components, self.device = load(run, checkpoint)
        self.model = self.components.model
        assert self.model.prior is not None
        if variants is None:
            variants = as_variants("guide", default_guides(self.model.prior.discrete))
        self.loops: dict[str, FastLoop] = {}  # by the guide's name, those of training
        self.built = [(variant, self._candidate(variant)) for variant in variants]
        self.text = held_out_text(run, place)

    def held_out(self) -> Batch:
        """The first held-out sequences."""
        from ltm_pyro.data import in_order

        return next(in_order(self.text.held_out, self.limit, self.limit)).to(self.device)

    def candidates(
        self, folder: ComparisonFolder | None = None, pieces: dict[str, Any] | None = None
    ) -> list[Candidate]:
        """Every guide, with its global parameters trained on the run's training text or read from where they are.

        Args:
            folder: where trained guides are kept; nowhere if None.
            pieces: what is kept there.
        """
        for variant, one in self.built:
            if not any(parameter.requires_grad for parameter in one.guide.parameters()):
                continue
            if folder is None or pieces is None:
                one.training_passes = self._trained(one)
            else:
                self._train(one, folder.path / "guides" / f"{variant.folder}.safetensors", pieces)
                folder.keep(pieces)
        return [one for _, one in self.built]

    def _candidate(self, variant: Variant) -> Candidate:
        """The run's own objects with another guide, and what that guide alone needs."""
        from ltm_pyro.inference import towards_a_bound
        from ltm_pyro.training.build import build
        from ltm_pyro.training.dry_run import dry_run
        from ltm_pyro.training.randomness import seed_everything
        from ltm_pyro.training.run import run_parser

        tokenizer = self.run.tokenizer
        seed_everything(self.seed)
        try:
            config = complete(merged(as_dict(self.run.config), variant.change))
            built = build(run_parser(config), config, tokenizer.vocabulary, tokenizer.bos_id)
            dry_run(built, config.data.length, learns=False)
        except InputError as error:
            raise InputError(f"--guides {variant}: {error}") from error
        built = built.to(self.device)
        self.loops[variant.name] = towards_a_bound(built.fast)
        own = set(LOOP) & set(variant.change.get("fast", {}))
        fast = self.loops[variant.name] if own else built.for_tables().fast
        return Candidate(variant.name, built.guide, fast)

    def _train(self, one: Candidate, path: Path, pieces: dict[str, Any]) -> None:
        from safetensors.torch import load_file, save_file

        key = f"training, {one.name}"
        if key in pieces and path.is_file():
            one.guide.load_state_dict(load_file(path))
        else:
            passes = self._trained(one)
            path.parent.mkdir(exist_ok=True)
            save_file({name: tensor.cpu().clone() for name, tensor in one.guide.state_dict().items()}, path)
            pieces[key] = [{"part": "training", "guide": one.name, "passes": passes}]
        one.training_passes = pieces[key][0]["passes"]

    def _trained(self, one: Candidate) -> int:
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
                one.guide,
                self.loops[one.name],
                slow,
                batches,
                steps,
                lambda done: progress.update(done, f"training {one.name}"),
            )
        finally:
            progress.clear()
