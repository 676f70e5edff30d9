"""`ltm generate` writes text as it comes, and the same text again."""

import sys

import pytest
import torch
from runs import ltm

from ltm_pyro.cli.generate import stream, write_samples
from ltm_pyro.generation import Sampling
from ltm_pyro.training.run import Run


def text(capsys, *words):
    capsys.readouterr()
    assert ltm("generate", *words) == 0
    return capsys.readouterr().out


def test_a_prompt_is_continued(trained, capsys):
    out = text(capsys, trained, "--prompt", "the people of")
    assert out.startswith("the people of")
    assert len(out) > len("the people of\n")
    assert out.endswith("\n")


def test_equal_seeds_write_equal_texts(trained, capsys):
    first, again, other = (text(capsys, trained, "--seed", seed) for seed in (1, 1, 2))
    assert first == again != other


def test_several_texts_are_numbered_and_differ(trained, capsys):
    out = text(capsys, trained, "--samples", "3")
    parts = out.split("--- ")
    assert [part[:5] for part in parts[1:]] == ["1 ---", "2 ---", "3 ---"]
    assert len({part[5:] for part in parts[1:]}) == 3


def test_it_writes_as_many_tokens_as_asked(trained, monkeypatch):
    pieces = []
    monkeypatch.setattr(sys.stdout, "write", pieces.append)
    assert ltm("generate", trained, "--tokens", "7", "--temperature", "0") == 0
    assert 1 < len(pieces) <= 1 + 7 + 2  # the prompt, a piece a token, what was held back and the line's end


def test_it_streams(trained):
    """A token is given out before the next one is drawn."""
    run = Run.open(trained)
    drawn = []

    class Counting(Sampling):
        def draw(self, logits, generator=None):
            drawn.append(1)
            return torch.full((1,), run.tokenizer.encode("a")[0])

    pieces = stream(run, run.load(), "the", tokens=5, sampling=Counting())
    assert next(pieces) == "the"
    assert drawn == []
    assert next(pieces) == "a"
    assert len(drawn) == 1
    assert "".join(pieces) == "aaaa"


def test_a_text_ends_where_its_end_is_written(trained):
    run = Run.open(trained)
    script = [*run.tokenizer.encode("peace"), run.tokenizer.end, *run.tokenizer.encode("war")]

    class Scripted(Sampling):
        def draw(self, logits, generator=None):
            return torch.tensor([script.pop(0)])

    assert "".join(stream(run, run.load(), sampling=Scripted())) == "peace"
    assert script  # the rest was not asked for


def test_a_character_is_never_given_out_in_halves(trained):
    run = Run.open(trained)
    script = list(run.tokenizer.encode("né€"))

    class Scripted(Sampling):
        def draw(self, logits, generator=None):
            return torch.tensor([script.pop(0)])

    pieces = list(stream(run, run.load(), tokens=len(script), sampling=Scripted()))
    assert "".join(pieces) == "né€"
    assert not any("\ufffd" in piece for piece in pieces)


def test_sampling_is_as_asked(trained, capsys):
    greedy = text(capsys, trained, "--prompt", "the", "--temperature", "0", "--seed", "1")
    assert text(capsys, trained, "--prompt", "the", "--top_k", "1", "--seed", "1") == greedy
    assert text(capsys, trained, "--prompt", "the", "--top_p", "1e-9", "--seed", "1") == greedy
    assert text(capsys, trained, "--prompt", "the", "--temperature", "3", "--seed", "1") != greedy


def test_a_run_without_thoughts_writes_too(reference, capsys):
    assert text(capsys, reference, "--prompt", "the people").startswith("the people")
    assert text(capsys, reference, "--seed", "1") == text(capsys, reference, "--seed", "1")


def test_an_earlier_checkpoint_writes_another_text(trained, capsys):
    assert text(capsys, trained, "--checkpoint", "4") != text(capsys, trained, "--checkpoint", "6")


def test_samples_are_kept_and_the_random_state_is_left_alone(trained):
    run = Run.open(trained)
    blueprint = run.load()
    before = (trained / "samples" / "prior-1.txt").read_text()
    state = torch.get_rng_state()
    (written,) = write_samples(run, blueprint, 1, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert (trained / "samples" / "prior-1.txt").read_text() == before == written + "\n"


@pytest.mark.parametrize("prompt", ["", "the"])
def test_writing_leaves_no_gradient(trained, prompt):
    run = Run.open(trained)
    blueprint = run.load()
    "".join(stream(run, blueprint, prompt))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in blueprint.model.parameters())
