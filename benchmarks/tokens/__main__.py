"""Tokens per second at the bound of a plain loop, with fewer and cheaper fast steps.

On one trained model, every option fits q to held-out texts with several numbers of steps. The bound is the ELBO with
fresh noise; the time is that of a batch, measured in turn with all others. For each option the cheapest number of steps
counts whose bound exceeds the plain loop's by a standard error over texts. Without --run, a model is trained first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.measures import Measure, quotients
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import add_sizes, sizes_from
from benchmarks.tokens.candidates import OPTIONS, Candidate
from benchmarks.tokens.trained import Trained, made_up, temporary, train, trained
from ltm_pyro import ELBO, DualRateSVI, FastLoop, LatentThoughtModel, MeanFieldGuide, SlowStep
from ltm_pyro.plots.style import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLAIN, PLAIN_SLOW, OUR_SLOW = "(a) plain", "(a) slow step", "our slow step"
ROUNDING = 1e-4  # nats per token; the library's Adam and the plain one agree to about that
SEED = 1_000  # seed of the noise of the bounds, the same for all
Bound = dict[str, Tensor]  # nats per token of every text, by name


def plain_loop(model: LatentThoughtModel, steps: int, rate: float) -> PlainLoop:
    """Reference loop with the released code's Adam; its slow step changes the weights negligibly."""
    return PlainLoop(PlainDecoder(model.decoder), steps, rate, slow_rate=1e-12)


def bounds(found: Trained, plain: PlainLoop, candidates: Sequence[Candidate], draws: int) -> Bound:
    """ELBO with fresh noise of every held-out text, nats per token, shape (N,), by name."""
    values: dict[str, list[Tensor]] = {}
    for number, x in enumerate(found.batches):
        torch.manual_seed(number)
        values.setdefault(PLAIN, []).append(_of_plain(found.model, plain, x, draws))
        for candidate in candidates:
            torch.manual_seed(number)
            fit, guide = candidate.fitting(found, x)
            fit()
            values.setdefault(candidate.name, []).append(_bound(found.model, guide, x, draws))
    return {name: torch.cat(parts) for name, parts in values.items()}


def _of_plain(model: LatentThoughtModel, plain: PlainLoop, x: Tensor, draws: int) -> Tensor:
    guide = MeanFieldGuide(model.prior.z_shape)
    guide.start(x, prior=model.prior())
    posterior = plain.fit(x)
    with torch.no_grad():
        for row, fitted in zip(guide.local_parameters(), posterior, strict=True):
            row.copy_(fitted)
    return _bound(model, guide, x, draws)


@torch.no_grad()
def _bound(model: LatentThoughtModel, guide: Any, x: Tensor, draws: int) -> Tensor:
    torch.manual_seed(SEED)
    return ELBO(draws, at_once=4).terms(model, guide, x).elbo / x.shape[1]


def times(found: Trained, plain: PlainLoop, candidates: Sequence[Candidate], rounds: int) -> Seconds:
    """Seconds of fitting a batch by each candidate, and of both slow steps."""
    x, model = found.batches[0], deepcopy(found.model)
    svi = DualRateSVI(model, MeanFieldGuide(model.prior.z_shape), FastLoop(ELBO(), 1), SlowStep(ELBO(), 1e-12))
    svi.fit(x)
    fitted = tuple(row.detach() for row in plain.fit(x))
    runs: dict[str, Callable[[], Any]] = {PLAIN: lambda: plain.fit(x), PLAIN_SLOW: lambda: plain.learn(x, *fitted)}
    runs[OUR_SLOW] = lambda: svi.slow.step(svi.model, svi.guide, x)  # type: ignore[union-attr]
    for candidate in candidates:
        runs[candidate.name], _ = candidate.fitting(found, x)
    return alternate(runs, rounds)


def cheapest(candidates: Sequence[Candidate], bound: Bound, seconds: Seconds) -> dict[str, Candidate]:
    """Fastest candidate of every option that reaches the plain loop's bound."""
    fastest: dict[str, Candidate] = {}
    for candidate in candidates:
        name = candidate.option.name
        if not candidate.steps or not _reaches(bound[candidate.name] - bound[PLAIN]):
            continue
        if name not in fastest or median(seconds[candidate.name]) < median(seconds[fastest[name].name]):
            fastest[name] = candidate
    return fastest


def _reaches(difference: Tensor) -> bool:
    """True if the difference to the plain loop's bound exceeds its standard error, up to rounding."""
    error = difference.std().item() / len(difference) ** 0.5 if len(difference) > 1 else 0.0
    return difference.mean().item() - error > -ROUNDING


def measures(winners: dict[str, Candidate], seconds: Seconds) -> list[Measure]:
    """Speedups over (a), in training and in inference alone; the best option in training has the target."""
    speedups = []
    for candidate in winners.values():
        ours = [fit + slow for fit, slow in zip(seconds[candidate.name], seconds[OUR_SLOW], strict=True)]
        theirs = [fit + slow for fit, slow in zip(seconds[PLAIN], seconds[PLAIN_SLOW], strict=True)]
        speedups.append(Measure(f"training: {candidate.name}", quotients(theirs, ours)))
        speedups.append(Measure(f"inference: {candidate.name}", quotients(seconds[PLAIN], seconds[candidate.name])))
    training = [measure for measure in speedups if measure.name.startswith("training")]
    best = max(training, key=lambda measure: measure.median, default=None)
    head = [Measure("training, the best option", best.rounds if best else (0.0,), 5.0)]
    return head + sorted(speedups, key=lambda measure: -measure.median)


def curves(candidates: Sequence[Candidate], bound: Bound, seconds: Seconds) -> list[dict[str, Any]]:
    """Records of all points: seconds per batch, the bound, and its difference to the plain loop's with an error."""
    records = []
    for name, option, steps in [(PLAIN, PLAIN, None), *((c.name, c.option.name, c.steps) for c in candidates)]:
        difference = bound[name] - bound[PLAIN]
        record = {"name": name, "option": option, "steps": steps, "seconds": median(seconds[name])}
        record |= {"bound": bound[name].mean().item(), "over_plain": difference.mean().item()}
        records.append(
            {**record, "error": difference.std().item() / len(difference) ** 0.5 if len(difference) > 1 else None}
        )
    return records


def panel(records: Sequence[dict[str, Any]]) -> Callable[[Axes], None]:
    """Panel of cost less the plain loop's against time, a line for each option, with errors paired by text.

    Points far above the start of q are outside the axis.
    """
    from matplotlib.ticker import LogLocator

    plain, start, *remaining = records
    look = looks((record["option"], record["option"]) for record in (plain, *remaining))
    best, first = max(record["over_plain"] for record in records), start["over_plain"]
    top = -first + 0.3 * (best - first) if best > first else math.inf

    def draw(axes: Axes) -> None:
        for option in look:
            points = [record for record in records if record["option"] == option]
            inside = [point for point in points if -point["over_plain"] <= top]
            name = option + ("" if inside else ", above the frame")
            seconds, costs = [point["seconds"] for point in inside], [-point["over_plain"] for point in inside]
            errors = [point["error"] or 0.0 for point in inside]
            axes.errorbar(seconds, costs, errors, label=name, elinewidth=0.7, **look[option])
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        axes.axhline(-first, color="0.6", linestyle=":", linewidth=0.8, zorder=0, label=start["option"])
        if best > first:
            axes.set_ylim(-best - 0.15 * (best - first), top)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("inference of a batch, seconds")
        axes.set_ylabel("−ELBO less that of (a),\nnats/token")

    return draw


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `tokens.json` and `tokens.png`."""
    parser = parser_for("tokens", __doc__, rounds=5)
    parser.add_argument(
        "--run", type=Path, help="folder of a trained run; if missing, a run is trained, and kept if named"
    )
    parser.add_argument("--train_steps", type=int, help="steps of that training; default 400, 4 with --quick")
    parser.add_argument("--corpus", help="corpus of that training; default: the built-in corpus")
    parser.add_argument("--sequences", type=int, help="held-out sequences for the bounds; default 48, 4 with --quick")
    parser.add_argument("--rate", type=float, default=0.3, help="learning rate of the plain loop's first fast step")
    parser.add_argument("--draws", type=int, default=8, help="samples of z for every bound")
    add_sizes(parser)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options, quick={"vocabulary": 280})
    steps = options.train_steps or (4 if options.quick else 400)
    with temporary() as folder:
        run = options.run or Path(folder) / "run"
        learns = not run.exists()
        if learns:
            train(run, sizes, steps, options.seed, options.corpus or (made_up(Path(folder)) if options.quick else None))
        model_and_texts = trained(run, sizes.batch, options.sequences or (4 if options.quick else 48))
    plain = plain_loop(model_and_texts.model, sizes.fast_steps, options.rate)
    record = compare(model_and_texts, plain, options.rounds, options.draws, options.quick)
    print("\n".join(_line(point) for point in record["curves"]))
    if record["curves"][0]["bound"] <= record["curves"][1]["bound"]:
        print("(a) does not exceed the bound at the start of q: on this model a speedup has no meaning")
    report(record["found"])
    measured = record.pop("found")
    record |= {"options": given(options), "sizes": sizes._asdict(), "train_steps": steps if learns else None}
    save(options.out, "tokens", arguments_of(arguments), measured, record)


def compare(found: Trained, plain: PlainLoop, rounds: int, draws: int, quick: bool) -> dict[str, Any]:
    """Curves, seconds and measures of all candidates."""
    candidates = [candidate for option in OPTIONS for candidate in option.candidates()[: 1 if quick else None]]
    bound = bounds(found, plain, candidates, draws)
    seconds = times(found, plain, candidates, rounds)
    winners = cheapest(candidates, bound, seconds)
    points = curves(candidates, bound, seconds)
    return {"curves": points, "seconds": seconds, "found": measures(winners, seconds)}


def _line(point: dict[str, Any]) -> str:
    error = "" if point["error"] is None else f" ± {point['error']:.4f}"
    difference = f"{point['over_plain']:+.4f}{error} to (a)"
    return f"{point['name']}: {point['seconds']:.3g} s per batch, {point['bound']:.4f} nats/token, {difference}"


if __name__ == "__main__":
    main()
