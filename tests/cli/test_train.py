"""`ltm train` reads its arguments from anywhere, and what it wrote down repeats it."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from runs import TINY, arguments, checkpoint, ltm, metrics, train

from ltm_pyro.cli.run_arguments import _parser
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.run import Run


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def weights(folder):
    return checkpoint(folder).weights


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def printed(capsys, *words):
    """The output of --print_config, as a dictionary."""
    capsys.readouterr()
    assert ltm("train", *words, "--print_config") == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_a_runs_configuration_repeats_it(corpus, trained):
    assert ltm("train", "--config", trained / "config.yaml", "--run", "again") == 0
    assert equal(weights(trained), weights("again"))
    assert metrics(trained) == metrics("again")
    assert (trained / "config.yaml").read_text() == Path("again/config.yaml").read_text()
    assert (trained / "samples/prior-1.txt").read_text() == Path("again/samples/prior-1.txt").read_text()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_arguments_override_a_configuration_wherever_they_stand(trained, capsys, place):
    words = ["other.txt", "--train.seed=1"]
    for config in (["--config", trained / "config.yaml"], [f"--config={trained / 'config.yaml'}"]):
        found = printed(capsys, *words[:place], *config, *words[place:])
        assert (found["corpus"], found["train"]["seed"]) == ("other.txt", 1)
        assert found["decoder"]["width"] == 16  # the file's


def test_print_config_says_everything_and_does_nothing(capsys):
    config = printed(capsys, "some.txt")
    assert config.keys() >= {"corpus", "model", "data", "decoder", "prior", "guide", "fast", "slow", "train"}
    assert config["corpus"] == "some.txt"
    assert config["prior"]["class_path"].endswith("GaussianPrior")
    assert list(Path().iterdir()) == []


def test_the_recipe_tiny_is_the_default_and_others_are_named(capsys):
    assert printed(capsys)["decoder"]["width"] == 96
    assert printed(capsys, "--recipe", "tiny")["decoder"]["width"] == 96
    medium = printed(capsys, "--recipe=medium")
    assert (medium["decoder"]["width"], medium["decoder"]["layers"], medium["fast"]["steps"]) == (512, 6, 16)


def test_without_a_single_word_the_default_run_is_started(monkeypatch):
    started = []
    monkeypatch.setattr("ltm_pyro.cli.train.start", lambda folder, config, *_: started.append((folder, config)) or 0)
    assert ltm("train") == 0
    ((folder, config),) = started
    assert folder.match("runs/sotu-tiny-*")
    assert config.decoder.width == 96


@pytest.mark.parametrize("form", [["--slow.bound", "Renyi"], ["--slow.bound=Renyi"], ["--config", "part.yaml"]])
def test_a_bound_that_is_named_has_its_own_defaults(capsys, form):
    Path("part.yaml").write_text("slow:\n  bound:\n    class_path: Renyi\n")
    bound = printed(capsys, *form)["slow"]["bound"]
    assert bound["class_path"].endswith("Renyi")
    assert bound["init_args"]["particles"] == 8  # not the one of the ELBO that stood there
    assert printed(capsys)["slow"]["bound"]["class_path"].endswith("ELBO")


def test_the_gradients_of_both_rates_are_chosen_apart(corpus, capsys):
    words = ["--fast.bound", "ImportanceWeighted", "--fast.bound.gradient", "DoublyReparameterised"]
    words += ["--slow.bound", "Renyi", "--slow.bound.alpha", "0.3", "--slow.bound.gradient", "VIMCO"]
    assert train(corpus, "run", *words) == 0
    components = Run.open("run").load()
    assert repr(components.fast.bound) == "ImportanceWeighted(particles=8, gradient=DoublyReparameterised())"
    assert repr(components.slow.bound) == "Renyi(alpha=0.3, particles=8, gradient=VIMCO())"
    assert [record["step"] for record in metrics("run") if "elbo" in record] == [1, 2, 3, 4, 5, 6]


def test_help_calls_nothing_required_that_has_a_default(capsys):
    with pytest.raises(SystemExit):
        _parser([]).parse_args(["--help"])
    assert "required" not in capsys.readouterr().out


def test_arguments_override_a_recipe_wherever_they_stand(capsys):
    for words in (["--recipe", "large", "--fast.steps", "3"], ["--fast.steps", "3", "--recipe", "large"]):
        config = printed(capsys, *words)
        assert (config["fast"]["steps"], config["decoder"]["layers"]) == (3, 12)


def test_results_go_to_standard_output_and_all_else_beside_it(corpus, capsys):
    assert train(corpus, "run") == 0
    out, err = capsys.readouterr()
    assert "NOT A BOUND" in out
    assert "Sample 1, z from the prior:" in out
    assert Path("run/evaluation/validation.md").read_text().strip() in out
    assert re.search(r"Reading \S*corpus.jsonl \.\.\.\n  training: \d+ sequences, [\d,]+ tokens, [\d,]+ bytes\n", err)
    assert re.search(r"Training [\d,]+ parameters on cpu to step 6; the run is run\n", err)
    assert "Validation after 3 steps:" in err
    assert re.search(r"1/6  \d+ tokens  \S+/s  ELBO -\d\.\d{3}  log-lik -\d\.\d{3}  KL \d\.\d{3} \[\d", err)
    last = r"Everything is in run; the best checkpoint is step-0000000\d\. Next: ltm generate run"
    assert re.fullmatch(last, err.splitlines()[-1])


def test_the_data_are_written_down(corpus, trained):
    data = json.loads((trained / "data.json").read_text())
    assert data["training"]["tokens"] > data["validation"]["tokens"] > 0
    assert len(data["fingerprint"]) == 16


def test_a_run_gets_a_name_of_its_own(corpus):
    assert ltm("train", corpus, *arguments({**TINY, "train.steps": 1})) == 0
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"corpus\.jsonl-tiny-\d{8}-\d{6}", folder.name)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        (None, "sotu"),
        ("some/where/book.txt", "book"),
        ("one.txt,two.txt", "one"),
        ("hf:owner/name:config", "name-config"),
        ("folder/", "folder"),
        ("..", "text"),
    ],
)
def test_a_corpus_gives_its_name(corpus, name):
    assert corpus_name(corpus) == name


def test_the_reference_trains_too(reference):
    steps = [record for record in metrics(reference) if "validation" not in record]
    assert all(record["kl"] == 0 and record["elbo"] == record["log_likelihood"] for record in steps)
    assert metrics(reference)[-1]["validation"].keys() >= {"exact", "predictive", "elbo"}
    assert not any("cross_attention" in name for name in weights(reference))


def test_a_finished_run_that_is_resumed_is_evaluated_again(corpus, capsys):
    assert train(corpus, "run", train__steps=2) == 0
    before = weights("run")
    assert ltm("train", "--resume", "run") == 0
    assert equal(before, weights("run"))
    out, err = capsys.readouterr()
    assert "run has taken all 2 steps and is evaluated again." in err
    assert out.count("NOT A BOUND") == 2  # of the run, and of the run that was resumed


def test_of_a_small_run_one_table_is_shown(corpus, capsys):
    assert train(corpus, "run", train__steps=2, train__evaluate_every=1) == 0
    out, err = capsys.readouterr()
    assert err.count("Validation after") == 1  # after the first step: what follows the last one is the table
    assert out.count("NOT A BOUND") == 1


def test_a_run_that_is_too_short_says_so(corpus, capsys):
    late = "{class_path: ltm_pyro.LinearSchedule, init_args: {delay: 3, steps: 4}}"
    words = ["--fast.bound", "KLWeighted", "--fast.bound.kl_weight", late, "--slow.warmup", "9"]
    assert train(corpus, "run", *words, train__steps=2) == 0
    err = capsys.readouterr().err
    assert "KLWeighted does not reach the end" in err
    assert "slow.warmup=9 is as long as the run of 2 slow steps: the learning rate only comes to 22%" in err


@pytest.mark.parametrize(("saved", "remark"), [(5, "trained with 5 threads, and is resumed with"), (None, ""), (0, "")])
def test_a_resume_with_another_number_of_threads_says_so(run, capsys, monkeypatch, saved, remark):
    """None: a checkpoint that does not say; 0 stands for as many as now."""
    load = Checkpoints.load

    def loaded(checkpoints, *args):
        found = load(checkpoints, *args)
        assert found.state["threads"] == torch.get_num_threads()
        if saved is None:
            del found.state["threads"]
        found.state.update({"threads": saved} if saved else {})
        return found

    monkeypatch.setattr(Checkpoints, "load", loaded)
    assert ltm("train", "--resume", run / "checkpoints/step-00000004") == 0
    err = capsys.readouterr().err
    assert ("OMP_NUM_THREADS=5 gives equal bits" in err) == bool(remark)
    assert remark in err


def test_a_damaged_last_checkpoint_names_another_to_go_on_from(corpus, capsys):
    assert train(corpus, "run") == 0
    before, logged = weights("run"), metrics("run")
    damaged = Path("run/checkpoints/step-00000006/model.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert ltm("train", "--resume", "run") == 2
    good = re.search(r"Use (run/checkpoints/step-\d+) instead", capsys.readouterr().err)[1]
    assert ltm("train", "--resume", good) == 0
    assert equal(before, weights("run"))
    assert metrics("run") == logged
