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
    components = Run.open(run).load()
    tokens = torch.randint(SIZE.vocabulary, (2, SIZE.length))
    z = torch.randn(2, SIZE.thoughts, SIZE.width)
    ours = components.model.decoder.logits(tokens, z.view(2, *components.model.decoder.z_shape))
    torch.testing.assert_close(ours, reference.logits(tokens, z), atol=1e-4, rtol=1e-4)
    assert components.model.decoder.bos_id == SIZE.vocabulary - 1
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


def saved_with(tmp_path, *special):
    """A tokenizer of the weights' size with these special tokens after its own."""
    made = train_tokenizer(["hello hello hello"], SIZE.vocabulary - len(special))
    made.backend.add_special_tokens(list(special))
    made.save(tmp_path / "tokenizer.json")
    return str(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("special", "options", "begin"),
    [
        (["<|beginoftext|>"], [], SIZE.vocabulary - 1),  # as the authors' code names it
        (["<|of another name|>"], [], SIZE.vocabulary - 1),
        (["<|of another name|>", "<|last|>"], ["--bos_id", str(SIZE.vocabulary - 2)], SIZE.vocabulary - 2),
        (["<s>", "<|second|>"], [], SIZE.vocabulary - 1),  # a usual name, and not the token that begins a text
    ],
)
def test_the_token_that_begins_a_text_may_have_any_name(tmp_path, checkpoint, special, options, begin):
    words = ["import-weights", str(checkpoint), "--run", str(tmp_path / "run"), *options]
    assert main([*words, "--tokenizer", saved_with(tmp_path, *special)]) == 0
    run = Run.open(tmp_path / "run")
    assert run.tokenizer.bos_id == begin
    assert run.load().model.decoder.bos_id == begin


def test_an_ordinary_token_does_not_begin_a_text(tmp_path, checkpoint, capsys):
    train_tokenizer(["hello hello"], SIZE.vocabulary).save(tmp_path / "tokenizer.json")
    words = ["import-weights", str(checkpoint), "--run", str(tmp_path / "run")]
    assert main([*words, "--tokenizer", str(tmp_path / "tokenizer.json")]) == 2
    assert "give the --tokenizer they were trained with" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_messages_name_what_this_command_takes(tmp_path, checkpoint, capsys):
    words = ["import-weights", str(checkpoint), "--run", str(tmp_path / "run")]
    assert main([*words, "--tokenizer", "no-such/tokenizer"]) == 2
    err = capsys.readouterr().err
    assert "give a file: --tokenizer PATH/tokenizer.json" in err
    assert "--data." not in err


@pytest.mark.parametrize("there", ["a run", "a folder", "a link"])
def test_what_exists_is_not_advised_to_go_on(tmp_path, checkpoint, tokenizer, there, capsys):
    folder = tmp_path / "run"
    words = ["import-weights", str(checkpoint), "--run", str(folder), "--tokenizer", str(tokenizer)]
    if there == "a run":
        assert main(words) == 0
    elif there == "a folder":
        folder.mkdir()
        (folder / "notes.txt").touch()
    else:
        folder.symlink_to("nowhere")
    capsys.readouterr()
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "exists: choose another --run, or remove it" in err
    assert "--resume" not in err
