"""Tiny runs, made by the command line in this process."""

import json
import random
from unittest.mock import patch

from ltm_pyro.cli.main import main
from ltm_pyro.runs.loading import say_once
from ltm_pyro.training.data_module import divided_corpus
from ltm_pyro.training.run import Run

TINY = {
    "data.length": 16,
    "data.vocabulary": 270,
    "data.validation": 0.2,
    "decoder.width": 16,
    "decoder.layers": 2,
    "decoder.heads": 2,
    "decoder.thoughts": 2,
    "decoder.window": 4,
    "fast.steps": 2,
    "fast.learning_rate": 0.1,
    "fast.optimizer.eps": 1e-8,
    "train.evaluate_fast_steps": 2,
    "slow.learning_rate": 0.02,
    "slow.warmup": 1,
    "train.steps": 6,
    "train.batch_size": 4,
    "train.evaluate_every": 3,
    "train.evaluate_sequences": 4,
    "train.final_sequences": 4,
    "train.draws": 2,
    "train.save_every": 2,
    "train.samples": 1,
}
WORDS = ["the", "of", "and", "thought", "model", "people", "war", "peace", "union", "congress", "economy", "year"]


def arguments(settings):
    """Settings as the words of a command line."""
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def ltm(*words):
    """Run `ltm` with these words, as the first command of its process; returns the exit code.

    The longer fit that a table is checked by has twice its steps, without the least number that a user's has.
    """
    say_once.cache_clear()
    with patch("ltm_pyro.evaluation.fit_check.LEAST_LONGER", 0):
        return main([str(word) for word in words])


def train(corpus, folder, *words, **settings):
    """`ltm train` at a tiny size; settings are named with `__` for a dot. Returns the exit code."""
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    return ltm("train", corpus, "--run", folder, *arguments({**TINY, **changed}), *words)


def write_corpus(path, documents=12, words=40, seed=0):
    """A small corpus of .jsonl, a document a line, some shorter and some longer than a tiny run's sequences."""
    choose = random.Random(seed)
    texts = [" ".join(choose.choices(WORDS, k=choose.randint(3, words))) for _ in range(documents)]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    return path


def sides(config):
    """The texts of a run's corpus to learn from, and those held out."""
    divided = divided_corpus(config)
    found = list(divided.division.sides(divided.corpus))
    return tuple([document.text for document, held_out in found if held_out is side] for side in (False, True))


def checkpoint(folder, which="latest"):
    """All that a run's checkpoint holds."""
    run = Run.open(folder)
    return run.checkpoints.load(run.find(which))


def metrics(folder):
    """A run's metrics, without what a clock says."""
    records = Run.open(folder).metrics.read()
    timed = {"tokens_per_second", "data_share"}
    return [{name: value for name, value in record.items() if name not in timed} for record in records]


def newest(folder, pattern):
    """The file of this pattern that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def comparison(folder, name):
    """The one folder of a comparison: its name begins so, and further says with which settings it was made."""
    (found,) = (folder / "comparisons").glob(f"{name}*")
    return found


PRETRAINED = {name: value for name, value in TINY.items() if not name.startswith(("decoder.", "data.voc", "fast.opt"))}


def train_pretrained(corpus, folder, base, *words, recipe="pretrained", **settings):
    """`ltm train` on a tiny pretrained decoder; settings as those of `train`. Returns the exit code."""
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    named = ["--recipe", recipe, "--decoder.name", base, "--run", folder]
    return ltm("train", corpus, *named, *arguments({**PRETRAINED, **changed}), *words)
