"""A run that learns labels by --reward and --data.label, text with a wanted label, and what is refused."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from runs import WORDS, checkpoint, ltm, train

import ltm_pyro
from ltm_pyro import LatentThoughtModel
from ltm_pyro.errors import InputError
from ltm_pyro.generation.rewarded import langevin_thoughts
from ltm_pyro.runs.config import complete, merged
from ltm_pyro.runs.wanted import thoughts_for, values_of
from ltm_pyro.training.build import build, refuse_label_alone
from ltm_pyro.training.run import Run, run_parser
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer

pytestmark = pytest.mark.usefixtures("here")
LABELS = {"data__mode": "documents", "data__label": "verdict", "train__samples": 0}
MOODS = {"right": WORDS[:6], "wrong": WORDS[6:]}


@pytest.fixture(scope="session")
def judged(shelf):
    """A corpus whose words depend on a verdict, which some rows lack, with a score beside it."""
    choose, rows = random.Random(0), []
    for number in range(40):
        verdict = "right" if number % 2 else "wrong"
        text = " ".join(choose.choices(MOODS[verdict], k=choose.randint(3, 12)))
        score = 3 * (number % 2) + choose.random()
        rows.append({"text": text, "verdict": None if number % 5 == 0 else verdict, "score": f"{score:.2f}"})
    path = shelf / "judged.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def verdicts(shelf, judged):
    assert train(judged, shelf / "verdicts", "--reward", "CategoricalReward", "--reward.hidden", "8", **LABELS) == 0
    return shelf / "verdicts"


@pytest.fixture(scope="session")
def scores(shelf, judged):
    settings = {**LABELS, "data__label": "score"}
    assert train(judged, shelf / "scores", "--reward", "GaussianReward", **settings) == 0
    return shelf / "scores"


def test_the_head_learns_and_is_kept(verdicts):
    run = Run.open(verdicts)
    assert values_of(run) == ["right", "wrong"]
    weights = checkpoint(verdicts).weights
    assert weights["model.reward.out.weight"].abs().max() > 0  # it begins at zero
    assert torch.equal(run.load("latest").model.reward.out.weight, weights["model.reward.out.weight"])
    assert run.config.reward.class_path == "ltm_pyro.CategoricalReward"


def test_numbers_are_standardised_by_the_training_labels(scores):
    reward = Run.open(scores).load("latest").model.reward
    assert 1 < reward.center < 3
    assert 1 < reward.scale < 2


def test_a_resumed_run_goes_on_as_an_uninterrupted_one(verdicts, judged):
    shutil.copytree(verdicts, "run")
    shutil.rmtree("run/checkpoints/step-00000006")
    assert ltm("train", "--resume", "run", "--corpus_at", judged) == 0
    ours, theirs = checkpoint("run").weights, checkpoint(verdicts).weights
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


def test_text_is_written_for_a_label_with_a_prompt_and_without(verdicts, capsys, monkeypatch):
    monkeypatch.setattr(langevin_thoughts, "__defaults__", (2, 0.1))
    loaded = ltm_pyro.load(verdicts)
    for by in ("fit", "best", "weights", "langevin"):
        for prompt in ("", "the people"):
            (text,) = loaded.write(prompt, reward="right", by=by, tokens=3)
            assert text.startswith(prompt)
    assert ltm("generate", verdicts, "--reward", "right", "--by", "best", "--samples", "2", "--tokens", "3") == 0
    assert capsys.readouterr().out.count("---\n") == 2


def test_thoughts_follow_the_label_and_the_seed(verdicts):
    loaded = ltm_pyro.load(verdicts)
    with torch.no_grad():
        loaded.model.reward.out.weight.normal_(std=2.0)
    z = {}
    for value in ("right", "wrong"):
        source = thoughts_for(loaded.run, loaded.components, value, "best", 64)
        torch.manual_seed(0)
        z[value] = source(loaded.components, torch.zeros(0, dtype=torch.long), 50)
        p = loaded.model.reward(z[value]).probs[:, values_of(loaded.run).index(value)]
        assert p.mean() > 0.7
    assert not torch.equal(z["right"], z["wrong"])
    texts = [loaded.write(reward="right", by="best", candidates=4, samples=2, tokens=4, seed=seed) for seed in (1, 1)]
    assert texts[0] == texts[1]
    assert thoughts_for(loaded.run, loaded.components, None, "fit", None) is None


def test_what_the_run_has_not_learned_is_refused_by_name(verdicts, scores, capsys):
    loaded, numbers = ltm_pyro.load(verdicts), ltm_pyro.load(scores)
    plain = LatentThoughtModel(loaded.model.prior, loaded.model.decoder)

    def refusal(run, model, value, by="fit", candidates=None):
        with pytest.raises(InputError) as error:
            thoughts_for(run.run, run.components._replace(model=model), value, by, candidates)
        return str(error.value)

    assert refusal(loaded, loaded.model, "rigth") == (
        f"--reward rigth: this value was never learned: did you mean 'right'? {verdicts} knows right, wrong"
    )
    assert "has learned no labels: train a run with them" in refusal(loaded, plain, "right")
    assert "the labels of this run are numbers: give one" in refusal(numbers, numbers.model, "high")
    assert "has no candidates" in refusal(loaded, loaded.model, "right", candidates=3)
    assert "give the wanted label too" in refusal(loaded, loaded.model, None, "best")
    assert "give the wanted label too" in refusal(loaded, loaded.model, None, candidates=3)
    assert ltm("generate", verdicts, "--reward", "rigth") == 2
    assert "did you mean 'right'?" in capsys.readouterr().err
    for option in ("--trace", "--rethink=1"):
        assert ltm("generate", verdicts, "--reward", "right", option) == 2
        assert "--reward right: rethinking fits z to prompt and answer alone" in capsys.readouterr().err
    with pytest.raises(InputError, match="without a label"):
        loaded.write("w", reward="right", rethink=1)


def test_what_cannot_be_trained_is_refused(judged, capsys):
    def check(settings):
        config = complete(merged({"data.mode": "documents"}, settings))
        refuse_label_alone(config)
        build(run_parser(config), config, StandInTokenizer())

    def refusal(**settings):
        with pytest.raises(InputError) as error:
            check(settings)
        return str(error.value)

    head, label = {"reward": {"class_path": "CategoricalReward"}}, {"data.label": "verdict"}
    assert "none are read. Name the field of the labels by --data.label" in refusal(**head)
    assert "nothing learns these labels. Give --reward CategoricalReward" in refusal(**label)
    assert "which --model autoregressive has none of" in refusal(**head, **label, model="autoregressive")
    assert "there is no such reward. Did you mean CategoricalReward?" in refusal(reward="CategoricalRewards", **label)
    misspelt = {"reward": {"class_path": "CategoricalReward", "init_args": {"clases": 3}}}
    assert "takes no argument 'clases'. Did you mean --reward.classes?" in refusal(**misspelt, **label)
    assert train(judged, "run", "--reward", "CategoricalReward", "--reward.classes", "3", **LABELS) == 2
    assert "2 values (right, wrong), the reward head 3: give --reward.classes 2" in capsys.readouterr().err
    assert not Path("run").exists()


def test_the_suite_shows_the_gain_and_its_control(verdicts, capsys):
    shutil.copytree(verdicts, "run")
    words = ["--draws", "2", "--fast_steps", "2", "--epochs", "2"]
    assert ltm("evaluate", "run", "--suite", "labels", *words) == 0
    out = capsys.readouterr().out
    assert "| the same, training labels shuffled" in out
    assert "The control, shuffled labels: " in out
    (result,) = Path("run/evaluation").glob("labels*")
    assert (result / "table.md").read_text() in out
    assert len((result / "records.csv").read_text().splitlines()) == 5
