"""Mutation tests with damaged files and odd arguments: `python -m benchmarks.mutations --seed 0 --count 300`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ |= {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg", "TOKENIZERS_PARALLELISM": "false"}

from benchmarks.mutations.mutants import mutant
from benchmarks.mutations.verdict import Verdict, judge

SIZES = (
    "--data.length 16 --data.vocabulary 270 --data.validation 0.2 --decoder.width 16 --decoder.layers 2 "
    "--decoder.heads 2 --decoder.thoughts 2 --decoder.window 4 --fast.steps 2 --train.evaluate_fast_steps 2 "
    "--train.steps 4 --train.batch_size 4 --train.evaluate_every 2 --train.evaluate_sequences 4 "
    "--train.final_sequences 4 --train.draws 2 --train.save_every 2 --train.samples 1"
)


def main(words: Sequence[str] | None = None) -> int:
    """Judge mutants; returns the exit code: 1 if any was handled badly."""
    options = _parser().parse_args(words)
    with tempfile.TemporaryDirectory() as beside:
        shelf = make_shelf(Path(beside) / "shelf")
        import_all()
        verdicts = [_told(judge(mutant(options.seed, n), shelf, Path(beside) / "place"), n) for n in _numbers(options)]
    faults = [verdict for verdict in verdicts if verdict.fault]
    print(f"seed {options.seed}: {len(verdicts)} mutants, {len(faults)} handled badly")
    if options.out:
        _write(options.out, options.seed, verdicts)
    return int(bool(faults))


def make_shelf(folder: Path) -> Path:
    """Make a folder with a small corpus and a run trained on it by a separate process."""
    folder.mkdir(parents=True)
    lines = (
        " ".join(f"{word} of the people" for word in ("war", "peace", "union", "year")[n % 3 :]) for n in range(20)
    )
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps({"text": f"{n} {line}"}) for n, line in enumerate(lines)))
    command = [sys.executable, "-m", "ltm_pyro.cli.main", "train", "corpus.jsonl", "--run", "run", *SIZES.split()]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True)
    return folder


def import_all() -> None:
    """Import the modules of the commands, once for all forked processes."""
    import importlib

    for name in ("torch", "pyro", "tokenizers", "safetensors.torch", "jsonargparse", "accelerate", "datasets"):
        importlib.import_module(name)
    for name in ("train", "evaluate", "generate", "inspect", "plot", "push", "pull", "import_weights", "main"):
        importlib.import_module(f"ltm_pyro.cli.{name}")
    import torch

    torch.set_num_threads(1)


def _numbers(options: argparse.Namespace) -> Sequence[int]:
    return range(options.first, options.first + options.count) if options.only is None else [options.only]


def _told(verdict: Verdict, number: int) -> Verdict:
    if verdict.fault:
        last = (verdict.err.strip().splitlines() or [""])[-1]
        print(f"{number}: {verdict.name}: {verdict.words!r}: {verdict.fault}: {last[:200]}", flush=True)
    return verdict


def _write(path: Path, seed: int, verdicts: Sequence[Verdict]) -> None:
    described = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    record = {
        "commit": described.stdout.strip(),
        "seed": seed,
        "mutants": len(verdicts),
        "codes": dict(sorted(Counter(str(verdict.code) for verdict in verdicts).items())),
        "kinds": dict(sorted(Counter(verdict.name.split(": ")[0] for verdict in verdicts).items())),
        "slowest_seconds": round(max(verdict.seconds for verdict in verdicts), 1),
        "faults": [{"mutant": v.name, "words": v.words, "fault": v.fault} for v in verdicts if v.fault],
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--only", type=int, default=None, help="the number of one mutant")
    parser.add_argument("--out", type=Path, default=None, help="a file for the record")
    return parser


if __name__ == "__main__":
    sys.exit(main())
