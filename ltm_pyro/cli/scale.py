"""`ltm scale`: a grid of sizes and fast steps, each trained and scored, drawn against T_fast, compute and tokens."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ltm_pyro.cli.run_arguments import settings_of
from ltm_pyro.errors import InputError
from ltm_pyro.studies.scale.grid import AS_TRAINED, HELP, INFERENCE, TRAINED, read_grid
from ltm_pyro.studies.scale.records import Compute
from ltm_pyro.studies.scale.study import ScaleStudy, defaults

if TYPE_CHECKING:
    from argparse import Namespace as Options


FLOPS: dict[str, Compute] = {"spent": "flops_per_token", "paper": "paper_flops_per_token"}
USAGE = (
    "ltm scale [CORPUS] [--grid FILE] [--DIMENSION VALUE ...] [--seeds SEED ...] [--out FOLDER] [--processes N] "
    "[--resume] [ARGUMENT OF ltm train ...]"
)
EXAMPLE = """for example:
  ltm scale --fast_steps 2 4 8 --thoughts 1 4 --seeds 0 1 --out comparisons/scale --train.steps 200
  ltm scale stories.jsonl --grid grid.yaml --processes 2 --out comparisons/scale --data.mode documents
With --resume the same command goes on where it was stopped, and with further values or seeds it adds to what is there.
Started so a second time beside the first, it shares the work."""


INSTEAD = {
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
    "--run": "the study's folder is --out",
    "--model": "leave it out: T_fast and thoughts are those of a Latent Thought Model",
}


def main(words: Sequence[str]) -> int:
    """Carry a study out; returns the exit code: 0 if every run is done."""
    options, arguments = _read(words)
    grid = read_grid(options.grid, {name: getattr(options, name) for name in HELP})
    _refuse(arguments, grid)
    steps = settings_of(arguments)["train"]["steps"]
    study = ScaleStudy(
        grid,
        settings_of(arguments, defaults(steps)),
        seeds=options.seeds,
        out=options.out,
        processes=options.processes,
        limit=options.limit,
        seed=options.seed,
        compute=FLOPS[options.flops],
        resume=options.resume,
        command=["ltm", "scale", *words],
    )
    study.conduct()
    return 0 if study.is_done else 1


def _refuse(arguments: Sequence[str], grid: Mapping[str, Sequence[Any]]) -> None:
    """Refuse arguments of `ltm train` for which a study has its own."""
    instead = {f"--{TRAINED[name][0]}": f"it is a dimension of this grid, {name}" for name in grid if name in TRAINED}
    for name, remedy in {**INSTEAD, **instead}.items():
        given = [word for word in arguments if word == name or word.startswith(f"{name}=")]
        if given:
            raise InputError(f"{given[0]} is not for a study of scale: {remedy}")


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. `ltm scale --help` lists all arguments")


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the words that are for `ltm train`."""
    parser = _Parser(
        prog="ltm scale",
        usage=USAGE,
        allow_abbrev=False,
        formatter_class=RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=EXAMPLE,
    )
    parser.add_argument("--grid", metavar="FILE", help="YAML: dimensions as below, each with a value or a list of them")
    for name, told in HELP.items():
        kind: Callable[[str], Any] = _steps if name == INFERENCE else int
        parser.add_argument(f"--{name}", nargs="+", type=kind, metavar="N", help=told)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="a run of each model for each; 0 if left out")
    parser.add_argument("--out", metavar="FOLDER", help="the study's folder; comparisons/scale-CORPUS if left out")
    parser.add_argument("--resume", action="store_true", help="go on with the study in --out; what is done stays")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, of one thread each")
    parser.add_argument("--limit", type=int, help="the most texts to score; --train.final_sequences if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the noise of all scoring, and of the bootstrap")
    parser.add_argument("--flops", choices=list(FLOPS), default="spent", help="what the laws count")
    return parser.parse_known_args(list(words))


def _steps(text: str) -> int | str:
    return text if text == AS_TRAINED else int(text)
