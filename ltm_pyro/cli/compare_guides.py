"""`ltm compare guides`: every guide on one trained decoder and one held-out text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.comparison_folder import ComparisonFolder
from ltm_pyro.cli.default_classes import default_guides
from ltm_pyro.cli.loading import add_trust_code, load, open_run
from ltm_pyro.cli.named_classes import NamedClass, parse_all
from ltm_pyro.cli.progress import Progress
from ltm_pyro.cli.result_folders import comparison_folder
from ltm_pyro.cli.scored_text import add_corpus_at, held_out_text
from ltm_pyro.errors import InputError
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Batch
    from ltm_pyro.evaluation.compare_guides import Candidate, GuideComparison
    from ltm_pyro.inference import FastLoop

NOT_HERE = ("--model", "--prior", "--decoder", "--data", "--train", "--thought_width", "--run", "--recipe", "--config")
LOOP = ("--fast.optimizer", "--fast.learning_rate", "--fast.final_fraction", "--fast.bound", "--fast.to")
QUICK: dict[str, Any] = {
    "passes": 16, "long_steps": 48, "draws": 16, "long_draws": 32, "curve": [0, 4, 16], "curve_sequences": 4,
    "rounds": 2,
}  # fmt: skip
EPILOG = """A guide is a class, by name or import path, with its arguments in brackets, and behind them, in the same
quotes, the arguments of ltm train that it alone needs:
  ltm compare guides RUN --guides MeanFieldGuide "LowRankGuide(rank=4)" "MeanFieldGuide --fast.learning_rate 1.0"
Each q is fitted as the tables of `ltm evaluate` fit it, by natural steps where its family has them. A guide with --fast
arguments of its own, beyond --fast.steps and --fast.patience, is fitted by the run's fast loop with these.
"""

APART = ("resume", "out", "config", "corpus_at", "guides", "trust_code")  # of no result


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code."""
    from ltm_pyro.evaluation.compare_guides import GuideComparison, Sizes

    options = parse(_parser(words), words)
    refuse_below(options, sequences=2, training_steps=1, seed=0)
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(options.sizes).items()}
    sizes = Sizes(**given)
    run = open_run(options.run, options.trust_code)
    if run.config.model != "latent-thought":
        raise InputError(f"{options.run} has no thoughts, so that there is nothing to infer. Give another run")
    subject = Subject(run, options)
    settings = {k: v for k, v in options.as_dict().items() if k not in APART}
    folder = comparison_folder(run.folder / "comparisons" / "guides", options, _parser(words), settings, run)
    pieces = folder.done() if options.resume else {}
    folder.begin(["compare", "guides", *words])
    candidates = subject.candidates(folder, pieces)
    comparison = GuideComparison(subject.model, candidates, subject.held_out(), sizes, options.seed, pieces)
    try:
        comparison.carry_out(folder.listener(comparison.pieces))
    finally:
        _finish(folder, comparison)
    return 0


def _parser(words: Sequence[str]) -> ArgumentParser:
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import ArgumentParser, DefaultHelpFormatter

    from ltm_pyro.evaluation.compare_guides import Sizes

    class Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        pass

    parser = ArgumentParser(
        prog="ltm compare guides", exit_on_error=False, description=__doc__, epilog=EPILOG, formatter_class=Help
    )
    parser.usage = "ltm compare guides RUN [--guides GUIDE ...] [--sequences N] [ARGUMENT ...]"
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--guides", nargs="+", default=None, help="all that suit the run's prior if left out")
    parser.add_argument("--sequences", type=int, default=32, help="held-out sequences")
    parser.add_argument(
        "--training_steps", type=int, default=400, help="slow steps for guides with parameters of their own"
    )
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--out", type=str | None, default=None, help="where to; RUN/comparisons/guides if left out")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted comparison, or add guides")
    parser.add_class_arguments(Sizes, "sizes", instantiate=False)
    for name, value in (QUICK if "--quick" in words else {}).items():
        parser.set_defaults({f"sizes.{name}": value})
    add_trust_code(parser)
    return parser


class Subject:
    """A trained run, and the guides that are tried on it.

    Args:
        run: with thoughts.
        options: of the command.
    """

    def __init__(self, run: Run, options: Namespace) -> None:
        self.run, self.options = run, options
        self.blueprint, self.device = load(run, options.checkpoint)
        self.model = self.blueprint.model
        assert self.model.prior is not None
        named = parse_all("guide", options.guides or default_guides(self.model.prior.discrete))
        self.loops: dict[str, FastLoop] = {}  # by the guide's name, those of training
        self.built = {name: self._candidate(name) for name in named}
        self.text = held_out_text(run, options)

    def held_out(self) -> Batch:
        """The first held-out sequences."""
        from ltm_pyro.data import in_order

        count = self.options.sequences
        return next(in_order(self.text.held_out, count, count)).to(self.device)

    def candidates(self, folder: ComparisonFolder, pieces: dict[str, Any]) -> list[Candidate]:
        """Every guide, with its global parameters trained on the run's training text or read from where they are."""
        for name, one in self.built.items():
            if any(parameter.requires_grad for parameter in one.guide.parameters()):
                self._train(one, folder.path / "guides" / f"{name.folder}.safetensors", pieces)
                folder.keep(pieces)
        return list(self.built.values())

    def _config(self, name: NamedClass) -> Namespace:
        """The run's own configuration with another guide, and what that guide alone needs."""
        from ltm_pyro.cli.train import configured

        trust = ["--trust_code"] if self.options.trust_code else []
        for word in name.further:
            if word.startswith(NOT_HERE):
                raise InputError(f"--guides {name}: {word.split('=')[0]} is the run's, and the same for all guides")
        try:
            return configured(["--config", str(self.run.folder / "config.yaml"), *name.words, *trust])[0]
        except InputError as error:
            raise InputError(f"--guides {name}: {error}") from error

    def _candidate(self, name: NamedClass) -> Candidate:
        from ltm_pyro.evaluation.compare_guides import Candidate
        from ltm_pyro.inference import towards_a_bound
        from ltm_pyro.training.blueprint import assemble
        from ltm_pyro.training.randomness import seed_everything
        from ltm_pyro.training.rehearsal import rehearse
        from ltm_pyro.training.run import run_parser

        config, tokenizer = self._config(name), self.run.tokenizer
        seed_everything(self.options.seed)
        try:
            built = assemble(run_parser(), config, tokenizer.vocabulary, tokenizer.begin)
            rehearse(built, config.data.length, learns=False)
        except InputError as error:
            raise InputError(f"--guides {name}: {error}") from error
        built = built.to(self.device)
        self.loops[str(name)] = towards_a_bound(built.fast)
        own = any(word.startswith(LOOP) for word in name.further)
        fast = self.loops[str(name)] if own else built.for_tables().fast
        return Candidate(str(name), built.guide, fast)

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
        from ltm_pyro import ELBO, SlowStep
        from ltm_pyro.data import Batches
        from ltm_pyro.evaluation.compare_guides import train_guide

        steps, train = self.options.training_steps, self.run.config.train
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


def _finish(folder: ComparisonFolder, comparison: GuideComparison) -> None:
    """Write and show what there is, be it all or what an interrupt has left."""
    from ltm_pyro.cli.figures_of_guides import draw

    if comparison.pieces:
        folder.keep(comparison.pieces)
        records = comparison.to_records()
        folder.finish(comparison.table(), records, lambda: draw(records, folder.path))
