"""`ltm evaluate` prints a run's numbers, keeps them, and repeats them."""

import json
import shutil
from pathlib import Path

import pytest
from runs import ltm, newest, train

FEW = ("--draws", "2", "--limit", "3")


pytestmark = pytest.mark.usefixtures("here")


def saved(run, name="validation"):
    """The results of this text that were written last."""
    return json.loads(newest(run / "evaluation", f"{name}*.json").read_text())


def test_the_table_is_printed_and_kept(run, capsys):
    assert ltm("evaluate", "run", *FEW) == 0
    out, err = capsys.readouterr()
    name = "validation-draws-2-limit-3"
    assert out == (run / "evaluation" / f"{name}.md").read_text()
    assert err.splitlines()[-1] == f"Saved as run/evaluation/{name}.json and {name}.md"
    assert "Scored: held-out text, all 4 documents; weights after step" in out
    content = saved(run)
    assert content["evaluation"]["scores"]["elbo"]["sequences"] == 3
    assert content["options"]["draws"] == 2
    assert content["options"]["limit"] == 3
    assert "baseline" not in content


def test_equal_seeds_print_equal_numbers(run, capsys):
    outputs = []
    for seed in (0, 0, 1):
        assert ltm("evaluate", "run", *FEW, "--seed", seed) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]


def test_it_repeats_the_table_that_training_ended_with(run, capsys):
    before = json.loads((run / "evaluation/validation.json").read_text())["evaluation"]
    assert ltm("evaluate", "run", "--draws", "2", "--limit", "4") == 0
    assert saved(run)["evaluation"] == before


def test_other_text_is_scored_with_the_runs_tokenizer(run, capsys):
    Path("other text.txt").write_text("people of the congress, peace and war. " * 5)
    assert ltm("evaluate", "run", "other text.txt", *FEW[:2]) == 0
    scores = saved(run, "other-text")["evaluation"]["scores"]
    assert scores["elbo"]["bytes"] == len(Path("other text.txt").read_bytes())


def test_a_column_of_a_table_is_scored(run):
    Path("rows.csv").write_text("title,body\none,people of the congress\ntwo,peace and war\n")
    assert ltm("evaluate", "run", "rows.csv", "--data.field", "body", *FEW[:2]) == 0
    assert saved(run, "rows.csv")["evaluation"]["scores"]["elbo"]["bytes"] == len("people of the congresspeace and war")


def test_the_reference_stands_in_the_same_table(run, reference, capsys):
    assert ltm("evaluate", "run", "--baseline", reference, *FEW) == 0
    out = capsys.readouterr().out
    assert "| baseline: exact log-likelihood (no latents)" in out
    assert "This model - baseline, whole text: " in out
    assert "exact" in saved(run)["baseline"]["scores"]


def test_the_reference_alone_has_exact_numbers(reference, capsys):
    shutil.copytree(reference, "reference")
    assert ltm("evaluate", "reference", *FEW) == 0
    out = capsys.readouterr().out
    assert "exact log-likelihood" in out
    assert "NOT A BOUND" not in out


def test_the_fast_loop_and_the_protocol_are_options(run, capsys):
    assert ltm("evaluate", "run", *FEW, "--fast_steps", "0", "--fixed_noise", "false") == 0
    assert "NOT A BOUND" not in capsys.readouterr().out
    assert saved(run)["evaluation"]["kl_per_token"] == 0  # q stayed at the prior


def test_an_earlier_checkpoint_has_other_numbers(run, capsys):
    for step in ("4", "6"):
        assert ltm("evaluate", "run", *FEW, "--checkpoint", step) == 0
    first, second = capsys.readouterr().out.split("| ELBO")[1:]
    assert first != second


def test_what_has_no_number_is_null(run, capsys):
    assert ltm("evaluate", "run", "--limit", "1", "--draws", "1") == 0
    assert saved(run)["evaluation"]["scores"]["elbo"]["standard_error"] is None
    assert "nan" not in capsys.readouterr().out


def test_runs_cut_in_documents_are_evaluated_so(corpus):
    assert train(corpus, "documents", data__mode="documents", train__steps=1) == 0
    scores = saved(Path("documents"))["evaluation"]["scores"]
    assert scores["elbo"]["tokens"] <= scores["elbo"]["sequences"] * 16


def test_it_says_how_q_was_fitted_and_whether_it_has_converged(run, capsys):
    assert ltm("evaluate", "run", *FEW, "--fast_steps", "3", "--fixed_noise", "false") == 0
    told = capsys.readouterr().out
    assert "fitted in 3 fast steps of NaturalGradient, and 6 steps take " in told
    assert "tolerance 0.003" in told
    assert ("Give --fast_steps 48" in told) is ("q has not converged" in told)
