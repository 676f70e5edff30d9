"""Thoughts on a frozen language model, against a constant prompt: the experiment of docs/pretrained.md.

`python -m benchmarks.pretrained.experiment WORK` trains and scores every arm, one after another, each in a folder of
its own; arms that are done are left alone, an interrupted one goes on. `--table` prints what there is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.pretrained.corpora import CORPORA, write_corpora
from benchmarks.pretrained.wheels import minilm, smollm2
from ltm_pyro.data import text_sequences
from ltm_pyro.tables import aligned

RESULTS = Path(__file__).parent / "results" / "experiment"
FROZEN, ZERO, HALF = "twin: the frozen model", "twin: z = 0, the same adapters", ", second half"
CONSTANT = "constant prompt"
DTYPES = ("bfloat16", "float32")
LENGTH = 64


class Sizes(NamedTuple):
    """Sizes of training and of the tables, equal in all arms."""

    steps: int = 100
    batch: int = 4
    fast_steps: int = 4
    test: int = 64
    draws: int = 8
    table_steps: int = 8
    checked: int = 4


class Arm(NamedTuple):
    """One model, as the words of `ltm train` after the recipe's."""

    name: str
    recipe: str
    words: tuple[str, ...]


def arms() -> tuple[Arm, ...]:
    """All arms but the frozen model, which is a row of every table."""
    encoder = ("--guide.encoder.name", str(minilm()))
    semi = ("--guide", "SemiAmortisedGuide", "--guide.encoder", "PretrainedEncoder", *encoder)
    return (
        Arm(CONSTANT, "pretrained", ("--model", "autoregressive", "--decoder.constant", "4", "--fast.steps", "0")),
        Arm("fast SVI", "pretrained", ()),
        Arm("LlaMaVAE form", "llama-vae", encoder),
        Arm("semi-amortised", "pretrained", semi),
        Arm("Optimus form", "optimus", encoder),
    )


class Trial(NamedTuple):
    """An arm on one corpus, with one window, seed and type of the frozen weights."""

    arm: Arm
    corpus: str
    window: int | None
    seed: int
    dtype: str = DTYPES[0]

    @property
    def name(self) -> str:
        of_type = "" if self.dtype == DTYPES[0] else f"-{self.dtype}"
        return f"{self.corpus}-{self.window or 'full'}-{self.arm.name}-{self.seed}{of_type}".replace(" ", "-")


def train(trial: Trial, work: Path, sizes: Sizes) -> float:
    """Train a trial's run, or go on with it; returns the tokens a second of its last training."""
    folder = work / "runs" / trial.name
    ltm = [sys.executable, "-m", "ltm_pyro.cli.main", "train"]
    if (folder / "config.yaml").exists():
        words = ["--resume", str(folder)]
    else:
        settings: dict[str, Any] = {
            "decoder.name": smollm2(),
            "decoder.dtype": trial.dtype,
            "data.length": LENGTH,
            "data.validation": 0.02,
            "data.seed": 0,
            "train.seed": trial.seed,
            "train.steps": sizes.steps,
            "train.batch_size": sizes.batch,
            "train.evaluate_every": sizes.steps,
            "train.evaluate_sequences": 4,
            "train.final_sequences": 4,
            "train.draws": 2,
            "train.evaluate_fast_steps": 4,
            "train.samples": 0,
            "train.save_every": 10,
        }
        if trial.arm.recipe == "pretrained" and "--fast.steps" not in trial.arm.words:
            settings["fast.steps"] = sizes.fast_steps
        if trial.window is not None:
            settings["decoder.window"] = trial.window
        words = [str(work / f"{trial.corpus}-train.jsonl"), "--recipe", trial.arm.recipe, "--run", str(folder)]
        words += [*trial.arm.words, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
    log = work / "logs" / f"{trial.name}.txt"
    log.parent.mkdir(exist_ok=True)
    with open(log, "a", encoding="utf-8") as file:
        subprocess.run([*ltm, *words], check=True, stdout=file, stderr=file)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return float(np.median([record["tokens_per_second"] for record in records if "tokens_per_second" in record]))


def score(trial: Trial, work: Path, sizes: Sizes) -> dict[str, Any]:
    """Costs of every test sequence under a trial's run and its twins, in nats, with the sizes of the sequences."""
    import ltm_pyro
    from ltm_pyro.runs.scoring import score_run

    lines = (work / f"{trial.corpus}-test.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[: sizes.test]]
    run = ltm_pyro.load(work / "runs" / trial.name)
    begun = time.perf_counter()
    evaluation = score_run(
        run.run,
        run.components.with_fast_steps(sizes.table_steps),
        run.device,
        text_sequences("documents", texts, run.tokenizer, LENGTH).sequences,
        draws=sizes.draws,
        batch_size=16,
        check_fit=sizes.checked,
    )
    any_score = next(iter(evaluation.scores.values()))
    return {
        "nats": {name: score.nats.tolist() for name, score in evaluation.scores.items()},
        "tokens": any_score.tokens.tolist(),
        "bytes": any_score.bytes.tolist(),
        "half": {
            "tokens": evaluation.scores["predictive"].tokens.tolist(),
            "bytes": evaluation.scores["predictive"].bytes.tolist(),
        },
        "kl": evaluation.kl_per_token,
        "fit": "" if evaluation.fit is None else evaluation.fit.note,
        "seconds": time.perf_counter() - begun,
        "parameters": sum(weight.numel() for weight in run.components.global_parameters()),
    }


def carry_out(trials: Sequence[Trial], work: Path, sizes: Sizes) -> None:
    """Train and score every trial that has no record yet, and write its record."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        path = RESULTS / f"{trial.name}.json"
        if path.exists():
            continue
        begun = time.perf_counter()
        speed = train(trial, work, sizes)
        trained = time.perf_counter() - begun
        record = {
            **score(trial, work, sizes),
            "trial": {**trial._asdict(), "arm": {**trial.arm._asdict(), "words": _without_folders(trial.arm.words)}},
            "sizes": sizes._asdict(),
            "tokens_per_second": speed,
            "train_seconds": trained,
            "commit": commit,
        }
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")
        print(f"{trial.name}: {time.perf_counter() - begun:.0f} s", flush=True)


def _without_folders(words: Sequence[str]) -> list[str]:
    """Words of a command line in which a path is its last two parts."""
    return ["/".join(Path(word).parts[-2:]) if Path(word).is_absolute() else word for word in words]


def records() -> Iterator[Mapping[str, Any]]:
    """All records that there are."""
    for path in sorted(RESULTS.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out the trials that are asked for, or print the table of those that are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", help="the folder of the corpora and the runs")
    parser.add_argument("--table", action="store_true", help="print the table of what is done")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--windows", nargs="+", default=["full", "16"], choices=["full", "16"])
    parser.add_argument("--arms", nargs="+", help="parts of their names; all if left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dtype", default=DTYPES[0], choices=DTYPES, help="of the frozen weights")
    parser.add_argument("--summaries", type=Path, help="the JSON file of summaries, title to text")
    options = parser.parse_args(arguments)
    if options.table or options.work is None:
        from benchmarks.pretrained.report import table

        print("\n".join(aligned(table(list(records())))))
        return
    write_corpora(options.work, options.summaries, options.corpora)
    windows = [None if window == "full" else int(window) for window in options.windows]
    chosen = [arm for arm in arms() if options.arms is None or any(part in arm.name for part in options.arms)]
    trials = [
        Trial(arm, corpus, window, seed, options.dtype)
        for seed in options.seeds
        for corpus in options.corpora
        for window in windows
        for arm in chosen
    ]
    carry_out(trials, options.work, Sizes())


if __name__ == "__main__":
    main()
