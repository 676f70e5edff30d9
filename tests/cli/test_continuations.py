"""Wherever a continuation is shown or read, it is decoded behind its prompt."""

from types import SimpleNamespace

import pytest
import torch
from tokenizer_zoo import byte_level, metaspace, unigram, word_piece

from ltm_pyro import ELBO, Decoder, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep
from ltm_pyro.generation import Sampling
from ltm_pyro.runs.writing import stream, texts
from ltm_pyro.serving.demo_service import DemoService
from ltm_pyro.training.build import RunComponents

PROMPT, REST = "the dog", " sees the cat"


class Scripted(Sampling):
    """Draws given tokens, one after another, for every text alike."""

    def __init__(self, ids):
        super().__init__()
        object.__setattr__(self, "ids", list(ids))

    def draw(self, logits, generator=None):
        return torch.full((len(logits),), self.ids.pop(0))


@pytest.fixture(params=[byte_level, metaspace, unigram, word_piece], ids=lambda make: make.__name__)
def written(request):
    """A run with a tokenizer of this kind, an untrained model, and what is to be written behind the prompt."""
    tokenizer = request.param()
    decoder = Decoder(vocabulary=tokenizer.vocabulary, width=8, layers=1, heads=2, thoughts=1, length=64)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
    components = RunComponents(model, guide, FastLoop(ELBO(), steps=1), SlowStep(ELBO()))
    ids = tokenizer.encode(PROMPT + REST)[len(tokenizer.encode(PROMPT)) :].tolist()
    config = SimpleNamespace(data=SimpleNamespace(prompt="", separator="\n"))
    return SimpleNamespace(tokenizer=tokenizer, config=config), components, [*ids, tokenizer.eos_id]


def test_as_it_is_written_and_as_whole_samples(written):
    run, components, ids = written
    assert "".join(stream(run, components, PROMPT, sampling=Scripted(ids))) == PROMPT + REST
    assert list(texts(run, components, 2, PROMPT, sampling=Scripted(ids))) == [PROMPT + REST] * 2


def test_a_blank_at_the_end_of_a_prompt_stands_there_once(written):
    run, components, ids = written
    keeps = run.tokenizer.decode(run.tokenizer.encode(PROMPT + " ")) == PROMPT + " "
    expected = PROMPT + " " * keeps + REST
    assert "".join(stream(run, components, PROMPT + " ", sampling=Scripted(ids))) == expected
    assert list(texts(run, components, 1, PROMPT + " ", sampling=Scripted(ids))) == [expected]


def test_on_the_page_of_serve(written, monkeypatch):
    run, components, ids = written
    monkeypatch.setattr("ltm_pyro.serving.demo_service.Sampling", lambda *given: Scripted(ids))
    events = []
    wanted = {"text": PROMPT, "steps": 1, "seed": 0, "tokens": len(ids), "temperature": 1.0}
    DemoService("run", components, run.tokenizer).write(wanted, events.append)
    assert "".join(event.get("piece", "") for event in events) == REST


def test_in_problems_of_arithmetic(written):
    from ltm_pyro.suites.gsm8k.suite import Attempts

    run, components, ids = written
    prompts = [SimpleNamespace(tokens=run.tokenizer.encode(PROMPT).tolist())]
    attempts = Attempts(run, components, count=2, tokens=len(ids), seed=0, sampling=Scripted(ids))
    assert attempts.texts(prompts, (0, 0)) == [[REST] * 2]


def test_in_tasks_of_the_harness(written, monkeypatch):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance

    from ltm_pyro.suites.harness import model as harness_model
    from ltm_pyro.suites.harness import settings as harness_settings

    run, components, ids = written
    monkeypatch.setattr(harness_settings, "Sampling", lambda *given: Scripted(ids))
    request = Instance("generate_until", {}, (PROMPT, {"max_gen_toks": len(ids)}), 0)
    assert harness_model.HarnessModel(run, components, 1).generate_until([request]) == [REST]


def test_a_prompt_on_the_page_ends_as_those_of_its_run(written, monkeypatch):
    run, components, ids = written
    seen = []
    monkeypatch.setattr("ltm_pyro.serving.demo_service.Sampling", lambda *given: Scripted(ids))
    wanted = {"text": PROMPT, "steps": 0, "seed": 0, "tokens": len(ids), "temperature": 1.0}
    service = DemoService("run", components, run.tokenizer, separator=" sees")
    monkeypatch.setattr(service, "_z", lambda ids, *more: seen.append(ids) or torch.zeros(1, 1, 1, 8))
    service.write(wanted, [].append)
    assert seen == [run.tokenizer.encode(PROMPT + " sees").tolist()]
