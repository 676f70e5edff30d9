"""`ltm generate` writes text as it comes, and the same text again."""

import sys

import pytest
import torch
from runs import ltm, train

from ltm_pyro.generation import Sampling
from ltm_pyro.runs.writing import stream, texts, write_samples
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


def test_texts_are_written_in_batches_and_again_with_the_same_seed(trained, capsys):
    def parts(*words):
        out = text(capsys, trained, "--samples", "5", "--seed", "2", *words)
        return [part.split(" ---\n", 1)[1] for part in out.split("--- ") if part]

    for prompt in ("", "the people"):
        first, again = (parts("--batch_size", "2", "--prompt", prompt) for _ in range(2))
        assert first == again
        assert len(set(first)) == 5
        assert all(part.startswith(prompt) and part.endswith("\n") for part in first)


def test_each_text_of_a_batch_has_thoughts_of_its_own(trained, capsys):
    """The likeliest tokens differ only where the thoughts do."""
    run = Run.open(trained)
    components = run.load()
    with torch.no_grad():  # thoughts that matter more than they do after a few steps
        for block in components.model.decoder.blocks:
            block.cross_attention.output.weight.mul_(200.0)
    for prompt in ("", "the people"):
        assert len(set(texts(run, components, 6, prompt, sampling=Sampling(0)))) > 1


def test_texts_are_whole_and_given_out_in_order_when_they_are_over(trained):
    run = Run.open(trained)
    end, (a, b) = run.tokenizer.eos_id, run.tokenizer.encode("ab").tolist()
    script = [[a, b, b], [b, end, end], [a, a, a], [end, a, a], [b, b, b], [b, b, b]]
    drawn = []

    class Scripted(Sampling):
        def draw(self, logits, generator=None):
            drawn.append(len(logits))
            return torch.tensor(script[len(drawn) - 1])

    written = texts(run, run.load(), 3, tokens=6, sampling=Scripted(), prompt="")
    assert next(written) == "aba"
    assert drawn == [3] * 4  # the others go on after that
    assert list(written) == ["b", "b"]
    assert len(drawn) == 4


@pytest.fixture(scope="module")
def draft(shelf, corpus, trained):
    """A smaller run, without thoughts, on the tokenizer of the trained one."""
    small = {"decoder__width": 8, "decoder__layers": 1, "decoder__heads": 1, "model": "autoregressive"}
    assert train(corpus, shelf / "draft", "--data.tokenizer", str(trained), **small) == 0
    return shelf / "draft"


def test_a_draft_changes_no_greedy_text_and_says_what_was_accepted(trained, draft, capsys):
    for words in (["--prompt", "the"], ["--samples", "3"]):
        alone = text(capsys, trained, "--temperature", "0", *words)
        assert ltm("generate", trained, "--temperature", "0", "--draft", draft, "--ahead", "2", *words) == 0
        out, err = capsys.readouterr()
        assert out == alone
        assert "tokens that the draft proposed" in err


def test_a_run_drafts_for_itself(trained, capsys):
    assert ltm("generate", trained, "--temperature", "0", "--draft", trained, "--prompt", "the") == 0
    assert "tokens that the draft proposed, " in capsys.readouterr().err


def test_a_draft_with_another_tokenizer_is_refused_with_the_remedy(trained, shelf, capsys):
    other = shelf / "other-corpus.txt"
    other.write_text("zyx wvu " * 200)
    assert train(other, shelf / "other", data__vocabulary=260) == 0
    capsys.readouterr()
    assert ltm("generate", trained, "--draft", shelf / "other") == 2
    assert f"ltm train --data.tokenizer {trained}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--ahead", "0"], ["--batch_size", "0"], ["--samples", "0"]])
def test_counts_below_one_are_refused(trained, capsys, words):
    assert ltm("generate", trained, *words) == 2
    assert f"{words[0]} 0: expected 1 or more" in capsys.readouterr().err


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
    script = [*run.tokenizer.encode("peace"), run.tokenizer.eos_id, *run.tokenizer.encode("war")]

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
    components = run.load()
    before = (trained / "samples" / "prior-1.txt").read_text()
    state = torch.get_rng_state()
    (written,) = write_samples(run, components, 1, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert (trained / "samples" / "prior-1.txt").read_text() == before == written + "\n"


@pytest.mark.parametrize("prompt", ["", "the"])
def test_writing_leaves_no_gradient(trained, prompt):
    run = Run.open(trained)
    components = run.load()
    "".join(stream(run, components, prompt))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in components.model.parameters())
