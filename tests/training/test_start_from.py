"""`--train.start_from RUN`: what is taken, what starts anew, and what is refused before any text is read."""

import re
import shutil

import pytest
import torch
from runs import checkpoint, ltm, train, write_corpus

from ltm_pyro.training.run import Run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start-from")
    corpus = write_corpus(folder / "corpus.jsonl", documents=20)
    assert train(corpus, folder / "ar", "--model", "autoregressive", train__seed=3) == 0
    return folder


def later(shelf, folder, *words, **settings):
    return train(shelf / "corpus.jsonl", folder, "--train.start_from", shelf / "ar", *words, **settings)


def test_a_decoder_gets_its_thoughts_later(shelf, tmp_path, capsys):
    assert later(shelf, tmp_path / "run", slow__learning_rate=1e-30) == 0
    told = capsys.readouterr().err
    assert f"Beginning with {shelf / 'ar'} after step 6: 12,592 parameters taken, 2,080 start anew: " in told
    assert ": decoder.blocks.*.norm_2, decoder.blocks.*.cross_attention\n" in told
    before, after = checkpoint(shelf / "ar").weights, checkpoint(tmp_path / "run").weights
    assert set(before) < set(after)
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight)  # a rate of nearly nothing has hardly moved them
    ours, theirs = (Run.open(folder).tokenizer.backend.to_str() for folder in (tmp_path / "run", shelf / "ar"))
    assert ours == theirs


def test_the_seed_makes_what_starts_anew_and_a_resumed_run_does_not_start_again(shelf, tmp_path):
    corpus, source = shelf / "corpus.jsonl", tmp_path / "ar"
    shutil.copytree(shelf / "ar", source)
    for name in ("one", "other"):
        words = ("--train.start_from", source)
        assert train(corpus, tmp_path / name, *words, train__keep=9) == 0
    shutil.rmtree(source)  # it is needed no more
    assert ltm("train", "--resume", tmp_path / "other" / "checkpoints" / "step-00000004") == 0
    one, other = (checkpoint(tmp_path / name).weights for name in ("one", "other"))
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--decoder.width", "32"], r"blocks.0.* is \(16, 64\) there and \(32, 96\) here.* sizes, --decoder.width 16$"),
        (["--decoder.layers", "1"], r"blocks.1.* does not exist here, and 8 more like it. .*--decoder.layers 2$"),
        (["--decoder.heads", "4"], r"heads is 2 there and 4 here. Give its own sizes, --decoder.heads 2$"),
        (["--decoder.inner", "40"], r"feed_forward.* is .*--decoder.inner null$"),
        (["--data.tokenizer", "TOKENIZER"], "its weights belong to its own tokenizer, and .* is another"),
        (["--train.start_from", "nowhere"], "nowhere is not a run"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_text_is_read(shelf, tmp_path, capsys, words, reason):
    other = tmp_path / "tokenizer.json"
    other.write_text((shelf / "ar" / "tokenizer.json").read_text().replace("<|pad|>", "<|fill|>"))
    words = [str(other) if word == "TOKENIZER" else word for word in words]
    assert later(shelf, tmp_path / "run", *words) == 2
    told = capsys.readouterr().err
    assert re.search(reason, told.strip()), told
    assert "Reading" not in told
    assert not (tmp_path / "run").exists()


def test_thoughts_are_not_taken_away(shelf, tmp_path, capsys):
    corpus = shelf / "corpus.jsonl"
    assert later(shelf, tmp_path / "run") == 0
    words = ("--train.start_from", tmp_path / "run", "--model", "autoregressive")
    assert train(corpus, tmp_path / "back", *words) == 2
    assert "It attends to thoughts: leave out --model autoregressive" in capsys.readouterr().err
