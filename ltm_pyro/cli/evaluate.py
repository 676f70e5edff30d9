"""`ltm evaluate`: a run's honest numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.suites import SUITES, named_suite
from ltm_pyro.runs.keeping import keeping
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run
from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.scored_text import ScoredText, add_corpus_at, scored_text
from ltm_pyro.runs.scoring import save, score_run, table_text, weights_of
from ltm_pyro.training.held_out import refuse_other_held_out
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.evaluation import Evaluation


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    if suite := named_suite(words):
        return import_module(f"ltm_pyro.cli.suite_{suite.replace('-', '_')}").main(words)
    options = parse(_parser(), words)
    refuse_below(options, draws=1, batch_size=1, limit=1, fast_steps=0, seed=0)
    run = open_run(options.run, options.trust_code)
    other = open_run(options.baseline, options.trust_code) if options.baseline else None
    text = scored_text(run, options)
    others = scored_text(other, options) if other else None
    if others and text.held_out and others.held_out:
        refuse_other_held_out(text.held_out, others.held_out)
    evaluation = _evaluate(run, text, options, options.checkpoint)
    baseline = _evaluate(other, others, options, "best") if other and others else None
    name = result_name(text.name, options, _parser(), run)
    about = f"{text.about}; {weights_of(run, options.checkpoint)}"
    print(table_text(evaluation, baseline, about))
    with keeping():
        path = save(run, name, evaluation, baseline, options.as_dict(), about)
    print(f"\nSaved as {path} and {path.with_suffix('.md').name}", file=sys.stderr)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument(
        "corpus", nargs="?", help="text to score, as for `ltm train`; what the run held out if left out"
    )
    add_corpus_at(parser)
    parser.add_argument("--suite", default=None, help=f"in its place: {', '.join(SUITES)}; each has a --help")
    parser.add_argument("--baseline", metavar="RUN2", help="another run, an autoregressive one say, in the same table")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--data.field", type=str, default="", help="the field that holds the text; `text` if left out")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z per sequence")
    parser.add_argument(
        "--fast_steps", type=int | None, default=None, help="to fit q with; as many as usually suffice if left out"
    )
    parser.add_argument("--limit", type=int | None, default=None, help="the most sequences to score")
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at once")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--fixed_noise", type=bool, default=True, help="also the released code's protocol, no bound")
    add_trust_code(parser, "the runs name")
    add_device(parser)
    return parser


def _evaluate(run: Run, text: ScoredText, options: Namespace, checkpoint: str) -> Evaluation:
    blueprint, device = load(run, checkpoint)
    blueprint = blueprint.with_fast_steps(options.fast_steps)
    sizes = {"draws": options.draws, "limit": options.limit, "batch_size": options.batch_size, "seed": options.seed}
    return score_run(run, blueprint, device, text.sequences, fixed_noise=options.fixed_noise, **sizes)
