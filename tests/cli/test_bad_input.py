"""Whatever a user gets wrong: exit code 2, one message of what, where and what to do, and nothing left behind."""

import errno
import json
import shutil
from pathlib import Path

import pytest
from runs import TINY, arguments, checkpoint, ltm, train, write_corpus

from ltm_pyro.training import checkpoints

CODE = """
from ltm_pyro import AbstractPrior

class MyPrior(AbstractPrior):
    def __init__(self, z_shape: tuple[int, int, int], rank: int = 2) -> None:
        super().__init__(z_shape)

    def forward(self): ...

class NoPrior: ...
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, corpus):
    """An empty folder to start commands in, with a corpus."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(corpus, "corpus.jsonl")


@pytest.fixture
def refused(capsys):
    """Runs a command and checks that it is refused as it should be; returns the message."""

    def check(*words, code=2):
        before = sorted(Path().rglob("*"))
        assert ltm(*words) == code
        err = capsys.readouterr().err
        (message,) = (line for line in err.splitlines() if line.startswith("ltm: "))
        assert message == err.splitlines()[-1]
        assert "Traceback" not in err
        left = [path for path in sorted(Path().rglob("*")) if path not in before and "__pycache__" not in path.parts]
        assert left == []
        return message

    return check


def tiny(*words, corpus="corpus.jsonl"):
    return ("train", corpus, "--run", "run", *arguments(TINY), *words)


def assert_says(message, *parts):
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in: {message}"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--fast.stps 3", ["--fast.stps", "Did you mean --fast.steps", "ltm train --help"]),
        ("--fast.steps many", ["--fast.steps many: expected a whole number"]),
        ("--fast.tolerance x", ["--fast.tolerance x: expected a number or null"]),
        ("--train.precision fp8", ["--train.precision fp8: expected one of 'no', 'bf16'"]),
        ("--train.trackers foo", ["--train.trackers foo: expected a list, as [a,b]"]),
        ("--train.trackers [foo]", ["foo", "tensorboard"]),
        ("--prior GausianPrior", ["--prior GausianPrior", "Did you mean GaussianPrior", "import path"]),
        ("--guide MeanFieldGide", ["--guide MeanFieldGide", "Did you mean MeanFieldGuide?"]),
        ("--fast.bound ELBOO", ["--fast.bound ELBOO", "Did you mean ELBO?", "ImportanceWeighted"]),
        ("--slow.bound ImportanceWeightd", ["--slow.bound ImportanceWeightd", "Did you mean ImportanceWeighted or "]),
        ("--slow.bound ChiUpper", ["ChiUpper is an upper bound", "Use it in the fast loop"]),
        ("--fast.bound Jackknife", ["Jackknife is an estimate", "fit q to a lower bound"]),
        (
            "--fast.bound ImportanceWeighted --fast.bound.gradient StickingTheLanding",
            ["StickingTheLanding() does not go with ImportanceWeighted", "biased", "DoublyReparameterised()"],
        ),
        (
            "--fast.bound.gradient ScoreFuncton",
            ["there is no such gradient", "Did you mean ScoreFunction?", "DoublyReparameterised"],
        ),
        (
            "--fast.bound KLWeighted --fast.bound.kl_weight CyclicSchedule",
            ["expected a number or a schedule (LinearSchedule, CyclicalSchedule)"],
        ),
        (
            "--fast.bound KLWeighted --fast.bound.kl_weight LinearSchedule --fast.bound.kl_weight.over 9e18",
            ["over=9e+18: expected shares of the run"],
        ),
        ("--slow.bound GaussianPrior", ["--slow.bound GaussianPrior: there is no such bound", "Known: ", "ELBO"]),
        ("--prior nowhere.MyPrior", ["--prior nowhere.MyPrior: No module named 'nowhere'"]),
        ("--prior mine.MyPriorr", ["'MyPriorr'", "Did you mean MyPrior?"]),
        ("--prior mine.NoPrior", ["--prior mine.NoPrior: this is no AbstractPrior", "ltm_pyro.AbstractPrior"]),
        ("--prior broken.Prior", ["broken.py, line 1 does not parse as Python"]),
        (
            "--prior mine.MyPrior --prior.rnk 3",
            ["--prior.rnk: MyPrior takes", "Did you mean --prior.rank?"],
        ),
        ("--prior mine.MyPrior --prior.rank x", ["--prior.rank x: expected a whole number"]),
        ("--slow.bound.prticles 3", ["--slow.bound.prticles: ELBO takes no", "Did you mean --slow.bound.particles?"]),
        ("--fast.bound AbstractBound", ["--fast.bound AbstractBound: this is an abstract class"]),
        (
            "--recipe smal",
            [
                "unknown recipe 'smal': did you mean 'small'?",
                "large, llama-vae, masked-diffusion, medium, optimus, pretrained, small, thoughts, tiny, vae",
            ],
        ),
        ("--config nowhere.yaml", ["--config", "nowhere.yaml"]),
        ("more.txt", ["unrecognized arguments: more.txt"]),
        ("--decoder.width 18", ["width=18 cannot be shared by heads=2", "width=16 would do"]),
        ("--data.length 1", ["length=1", "at least two tokens"]),
        ("--data.vocabulary 100000", ["the text supports a vocabulary of at most", "not 100000", "--data.vocabulary"]),
        ("--data.vocabulary 100", ["a vocabulary of 100 is too small", "258"]),
        ("--data.validation 1.5", ["data.validation=1.5: expected above 0 below 1"]),
        ("--data.tokenizer nothing-here", ["tokenizer nothing-here", "hub", "--data.tokenizer PATH/tokenizer.json"]),
        ("--train.steps 0", ["train.steps=0: expected 1 or more"]),
        ("--train.seed 4294967296", ["train.seed=4294967296: expected 0 or more, up to 4294967295"]),
        ("--slow.optimizer torch.optim.SGD", ["an optimizer cannot be made", "betas"]),
        ("--guide EmptyGuide", ["the guide does not sample the model's site 'z'"]),
    ],
)
def test_arguments(refused, words, parts):
    Path("mine.py").write_text(CODE)
    Path("broken.py").write_text("def f(:\n")
    assert_says(refused(*tiny(*words.split())), *parts)


def corpora():
    """Contents of a file that are no text, and the message about each."""
    yield "missing", None, ["there is no file or folder", "Near names", "corpus.jsonl"]
    yield "empty", b"", ["holds no text: it is empty"]
    yield "blank", b" \n\n \n", ["holds no text"]
    yield "latin-1", "some text, caf\xe9".encode("latin-1"), ["not UTF-8: byte 14 is 0xe9", "iconv"]
    yield "nul", b"some\0text", ["NUL byte at byte 4", "tr -d"]
    yield "utf-16", "text".encode("utf-16"), ["UTF-16", "iconv"]
    yield "tiny", b"a", ["too few to hold out", "Give more text"]


@pytest.mark.parametrize(("content", "parts"), [pytest.param(*case[1:], id=case[0]) for case in corpora()])
def test_corpora_that_are_no_text(refused, content, parts):
    if content is not None:
        Path("corpus.txt").write_bytes(content)
    message = refused(*tiny(corpus="corpus.txt"))
    assert_says(message, *parts)
    assert "corpus" in message


def test_a_file_of_an_unknown_kind(refused):
    Path("corpus.docx").write_bytes(b"text")
    assert_says(refused(*tiny(corpus="corpus.docx")), "corpus.docx has an unknown extension", ".txt", "cp ")


def test_a_field_that_is_not_there(refused):
    Path("corpus.jsonl").write_text(json.dumps({"body": "text " * 50}))
    assert_says(refused(*tiny()), "no field 'text'", "body", "--data.field NAME")


def test_a_hub_without_a_network_fails_fast(refused):
    message = refused(*tiny(corpus="hf:nobody/nothing"))
    assert_says(message, "tried to load nobody/nothing", "Check the name and the network", "local file")


PLAIN = b"to be or not to be, that is the question. " * 80


def accepted():
    yield "byte-order mark", b"\xef\xbb\xbf" + PLAIN
    yield "CRLF", PLAIN.replace(b". ", b".\r\n")
    yield "one long line without a space", b"ab" * 500_000


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in accepted()])
@pytest.mark.parametrize("mode", ["windows", "documents"])
def test_odd_text_is_accepted(content, mode, tmp_path):
    Path("corpus.txt").write_bytes(content)
    settings = {"data__vocabulary": 260, "train__steps": 1, "fast__steps": 1, "train__draws": 1}
    assert train("corpus.txt", "run", data__mode=mode, **settings) == 0
    saved = json.loads(Path("run/data.json").read_text())
    if mode == "windows":  # nothing is cut off, and neither mark nor carriage return is counted
        text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        assert saved["training"]["bytes"] + saved["validation"]["bytes"] == len(text)


def test_documents_that_are_cut_off_are_counted(capsys):
    assert train("corpus.jsonl", "run", data__mode="documents", train__steps=1) == 0
    assert "documents cut off at 16 tokens" in capsys.readouterr().err


def test_a_run_that_is_there(refused, trained):
    shutil.copytree(trained, "run")
    assert_says(refused(*tiny()), "run exists", "choose another --run", "ltm train --resume run")


def test_a_folder_that_cannot_be_written(refused):
    Path("file").touch()
    assert_says(refused(*tiny("--run", "file/run")), "file/run cannot be made: Not a directory", "--run")


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_at_a_checkpoint(monkeypatch, capsys):
    write = checkpoints.write_tensors

    def full_from_step_4_on(path, tensors):
        return no_space() if "00000004" in str(path) else write(path, tensors)

    with monkeypatch.context() as full:
        full.setattr(checkpoints, "write_tensors", full_from_step_4_on)
        assert train("corpus.jsonl", "run") == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert_says(message, "step 4 could not be written", "No space left", "step-00000003, is intact", "then resume")
    assert checkpoint("run").step == 3
    assert ltm("train", "--resume", "run") == 0


def test_a_disk_that_is_full_at_the_first_file(refused, monkeypatch):
    monkeypatch.setattr(Path, "write_text", no_space)
    assert_says(refused(*tiny()), "run cannot be made: No space left on device")


@pytest.fixture
def run(trained):
    """A copy of a trained run, to be damaged."""
    shutil.copytree(trained, "run")
    return Path("run")


@pytest.mark.parametrize("words", [["evaluate"], ["generate"], ["train", "--resume"]])
class TestDamagedRuns:
    def test_none_at_all(self, refused, run, words):
        assert_says(refused(*words, "rum"), "rum is not a run", "config.yaml", "Runs beside it: run")

    def test_no_checkpoint(self, refused, run, words):
        shutil.rmtree(run / "checkpoints")
        assert_says(refused(*words, "run"), "run has no checkpoint", "reached step 6", "restore them from a copy")

    def test_a_configuration_that_does_not_parse(self, refused, run, words):
        (run / "config.yaml").write_text("train: [")
        assert_says(refused(*words, "run"), "config.yaml cannot be read", "Restore it from a copy")

    def test_a_tokenizer_that_does_not_parse(self, refused, run, words):
        (run / "tokenizer.json").write_text("{}")
        assert_says(refused(*words, "run"), "tokenizer.json does not parse")

    def test_weights_of_another_configuration(self, refused, run, words):
        config = run / "config.yaml"
        config.write_text(config.read_text().replace("width: 16", "width: 32"))
        assert_says(refused(*words, "run"), "another configuration", "fingerprint")

    @pytest.mark.parametrize("how", ["cut", "flipped"])
    def test_weights_that_are_damaged(self, refused, run, words, how):
        for path in run.glob("checkpoints/*/model.safetensors"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content[:-100] if how == "cut" else content)
        assert_says(refused(*words, "run"), "model.safetensors")


def test_resuming_takes_nothing_else(refused, run):
    message = refused("train", "--resume", "run", "--train.batch_size", "9")
    assert_says(message, "leave out --train.batch_size 9", "--config run/config.yaml")
    assert_says(refused("train", "corpus.jsonl", "--resume=run"), "leave out corpus.jsonl")
    assert_says(refused("train", "--resume"), "--resume", "expected one argument")


def test_resuming_on_a_corpus_that_has_changed(refused, tmp_path):
    assert train("corpus.jsonl", "run", train__steps=2) == 0
    write_corpus(Path("corpus.jsonl"), seed=5)
    assert_says(refused("train", "--resume", "run"), "corpus of run has changed", "Restore the text")
    Path("corpus.jsonl").unlink()
    assert_says(refused("train", "--resume", "run"), "there is no file or folder corpus.jsonl")


def test_resuming_without_a_record_of_the_data(refused, run):
    (run / "data.json").write_text("{")
    assert_says(refused("train", "--resume", "run"), "data.json cannot be read", "Restore it")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("evaluate", ["run"]),
        ("evaluate RUN nowhere.txt", ["there is no file or folder nowhere.txt"]),
        ("evaluate RUN --limit 0", ["--limit 0: expected 1 or more"]),
        ("evaluate RUN --draws 0", ["--draws 0: expected 1 or more"]),
        ("evaluate RUN --fast_steps -1", ["--fast_steps -1: expected 0 or more"]),
        ("evaluate RUN --batch_size 0", ["--batch_size 0"]),
        ("evaluate RUN --seed -1", ["--seed -1"]),
        ("evaluate RUN --drws 3", ["--drws", "Did you mean --draws?"]),
        ("evaluate RUN --checkpoint 7", ["no checkpoint '7'", "best, latest or a step of"]),
        ("evaluate RUN --baseline nowhere", ["nowhere is not a run"]),
        ("generate RUN --temperature -1", ["temperature=-1.0: expected 0"]),
        ("generate RUN --temperature hot", ["--temperature hot: expected a number"]),
        ("generate RUN --temperature nan", ["--temperature nan"]),
        ("generate RUN --top_p 0", ["top_p=0.0: expected a probability above 0"]),
        ("generate RUN --top_p 1.5", ["top_p=1.5"]),
        ("generate RUN --top_k -1", ["--top_k -1: expected 0 or more"]),
        ("generate RUN --topp 0.5", ["Did you mean --top_p"]),
        ("generate RUN --samples 0", ["--samples 0: expected 1 or more"]),
        ("generate RUN --tokens 0", ["--tokens 0: expected 1 or more"]),
        ("generate RUN --tokens 17", ["texts of this run have at most 16", "--tokens"]),
        ("generate RUN --seed 9999999999999", ["--seed 9999999999999: expected 4294967295 or less"]),
        ("generate RUN --seed -1", ["--seed -1: expected 0 or more"]),
        ("generate RUN --checkpoint last", ["no checkpoint 'last'"]),
    ],
)
def test_using_a_run(refused, trained, words, parts):
    words = [str(trained) if word == "RUN" else word for word in words.split()]
    assert_says(refused(*words), *parts)


def test_a_prompt_that_is_too_long_or_no_text(refused, trained, capsys):
    message = refused("generate", trained, "--prompt", "the people " * 20)
    assert_says(message, "the prompt has 161 tokens", "have at most 16", "Shorten the prompt")
    assert_says(refused("generate", trained, "--prompt", "caf\udce9"), "not UTF-8 at character 3")


def test_tables_of_two_texts_are_not_put_side_by_side(refused, trained, tmp_path):
    assert train("corpus.jsonl", "other", train__seed=3, train__steps=1) == 0
    message = refused("evaluate", trained, "--baseline", "other")
    assert_says(message, "hold out different texts", "name a corpus that neither has seen")


def test_a_table_that_cannot_be_written(run, refused):
    (run / "evaluation" / "validation-limit-1.md").mkdir()
    message = refused("evaluate", "run", "--limit", "1", code=1)
    assert_says(message, "validation-limit-1.md cannot be written", "Is a directory")
