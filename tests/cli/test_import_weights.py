"""`ltm import-weights` makes a run that the other commands take."""

import pytest
import torch
from released_code import SIZES, Reference, liger, saved

from ltm_pyro.cli.main import main
from ltm_pyro.data import train_tokenizer
from ltm_pyro.training.run import Run

SIZE = SIZES[0]._replace(vocabulary=260)  # one more than the tokenizer's: the token that begins a text


@pytest.fixture
def reference():
    return Reference(SIZE)


@pytest.fixture
def checkpoint(tmp_path, reference):
    return saved(tmp_path, reference.weights, liger, model_args=SIZE.stated())


@pytest.fixture
def tokenizer(tmp_path):
    train_tokenizer(["hello hello hello"], SIZE.vocabulary - 1).save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def test_an_imported_run_holds_the_weights_and_is_evaluated(tmp_path, reference, checkpoint, tokenizer, capsys):
    run, text = tmp_path / "run", tmp_path / "text.txt"
    text.write_text("hello, said the other one, hello")
    assert main(["import-weights", str(checkpoint), "--run", str(run), "--tokenizer", str(tokenizer)]) == 0
    blueprint = Run.open(run).load()
    tokens = torch.randint(SIZE.vocabulary, (2, SIZE.length))
    z = torch.randn(2, SIZE.thoughts, SIZE.width)
    ours = blueprint.model.decoder.logits(tokens, z.view(2, *blueprint.model.decoder.z_shape))
    torch.testing.assert_close(ours, reference.logits(tokens, z), atol=1e-4, rtol=1e-4)
    assert blueprint.model.decoder.begin == SIZE.vocabulary - 1
    words = ["evaluate", str(run), str(text), "--draws", "2", "--fast_steps", "2", "--fixed_noise", "false"]
    assert main(words) == 0
    assert "ELBO" in capsys.readouterr().out


def test_a_tokenizer_of_another_size_is_refused(tmp_path, checkpoint, capsys):
    train_tokenizer(["hello"], 258).save(tmp_path / "other.json")
    words = [
        "import-weights",
        str(checkpoint),
        "--run",
        str(tmp_path / "run"),
        "--tokenizer",
        str(tmp_path / "other.json"),
    ]
    assert main(words) == 2
    assert "258 tokens" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_refused(tmp_path, capsys):
    assert main(["import-weights", str(tmp_path / "no.pt")]) == 2
    assert "no.pt" in capsys.readouterr().err
