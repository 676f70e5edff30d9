"""`ltm evaluate RUN --suite generation` on tiny runs."""

import json
import shutil

import pytest
from runs import ltm, train

from ltm_pyro.suites.generation import measure
from ltm_pyro.suites.generation import suite as text_quality
from ltm_pyro.suites.generation import texts as quality_texts
from ltm_pyro.suites.generation.texts import INTERPOLATED, PROMPTED, REAL, REAL_REST, UNPROMPTED, QualityTexts


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def evaluate(run, *words):
    return ltm(
        "evaluate", run, "--suite", "generation", "--limit", "6", "--prompt_tokens", "4", "--batch_size", "4", *words
    )


def results(run):
    return json.loads((run / "evaluation/generation-limit-6/results.json").read_text(encoding="utf-8"))["pieces"]


def test_every_kind_is_written_and_measured(run, capsys):
    assert evaluate(run) == 0
    out = capsys.readouterr().out
    found = results(run)
    assert set(found) == {REAL, REAL_REST, UNPROMPTED, PROMPTED, INTERPOLATED}
    assert {len(own) for own in found.values()} == {6}
    assert [record["prompt"] for record in found[PROMPTED]] == [record["prompt"] for record in found[REAL_REST]]
    assert "No generative perplexity: give --judge" in out
    made = {path.name for path in (run / "evaluation/generation-limit-6").iterdir()}
    assert {"table.md", "records.csv", "text-quality.png", "written-no-prompt.txt", "held-out-text.txt"} <= made


def test_an_interrupted_evaluation_goes_on_with_the_same_texts(run, tmp_path, monkeypatch, capsys):
    whole = shutil.copytree(run, tmp_path / "whole")
    assert evaluate(whole) == 0
    texts, calls = quality_texts.whole_texts, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return texts(*given)

    monkeypatch.setattr(quality_texts, "whole_texts", interrupted)
    assert evaluate(run) == 130
    assert "the texts so far are measured" in capsys.readouterr().err
    assert len(results(run)[PROMPTED]) == 4
    assert evaluate(run, "--resume") == 0
    assert results(run) == results(whole)


def test_an_interrupted_judge_leaves_what_it_has_done(run, monkeypatch, capsys):
    calls = []

    def judged(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(text_quality, "measure", judged)
    assert evaluate(run) == 130
    out, err = capsys.readouterr()
    assert "measures the rest, and generates no text again" in err
    assert f"Not measured, since interrupted: {INTERPOLATED}; {REAL_REST}; {PROMPTED}." in out
    table = (run / "evaluation/generation-limit-6/table.md").read_text(encoding="utf-8")
    assert f"| {UNPROMPTED} " in table
    assert f"| {PROMPTED} " not in table
    texts = results(run)
    monkeypatch.setattr(QualityTexts, "_written", None)  # nothing is written again
    monkeypatch.setattr(text_quality, "measure", measure)
    assert evaluate(run, "--resume") == 0
    assert results(run) == texts
    assert f"| {PROMPTED} " in capsys.readouterr().out


def test_text_behind_a_prompt_is_compared_with_text_behind_a_prompt(run, monkeypatch):
    given = {}

    def noted(samples, others, *more):
        given[samples[0].prompt != ""] = others
        return measure(samples, others, *more)

    monkeypatch.setattr(text_quality, "measure", noted)
    assert evaluate(run) == 0
    assert [len(others) for others in given.values()] == [6, 6]
    assert all(whole.endswith(rest) and whole != rest for whole, rest in zip(given[False], given[True], strict=True))
    own = {record["text"] for record in results(run)[REAL]}
    assert not own & set(given[False])


def test_codes_between_two_texts_are_codes(tmp_path, corpus):
    prior = (
        "--prior",
        "CodebookPrior",
        "--prior.codes",
        "4",
        "--guide",
        "StraightThroughGuide",
        "--fast.bound",
        "ELBO",
    )
    assert train(corpus, tmp_path / "codes", *prior) == 0
    assert evaluate(tmp_path / "codes") == 0
    assert len(results(tmp_path / "codes")[INTERPOLATED]) == 6


def test_models_without_thoughts(reference, tmp_path, corpus, capsys):
    copy = shutil.copytree(reference, tmp_path / "reference")
    assert evaluate(copy) == 0
    assert INTERPOLATED not in results(copy)
    assert "this model has no thoughts" in capsys.readouterr().out
    assert train(corpus, tmp_path / "mdlm", model="masked-diffusion") == 0
    assert evaluate(tmp_path / "mdlm", "--steps", "3") == 0
    assert len(results(tmp_path / "mdlm")[PROMPTED]) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--steps", "3"), "only masked diffusion generates in steps"),
        (("--tokens", "3"), "expected more than the prompt's 4, and at most the 16"),
        (("--limit", "1"), "--limit 1: expected 2 or more"),
        (("--limit", "0"), "--limit 0: expected 2 or more"),
        (("--samples", "8"), "--samples is --limit now"),
        (("--judge", "nowhere"), "nowhere cannot be loaded as a judge"),
        (("--embedder", "nowhere"), "nowhere cannot be loaded as an embedder"),
    ],
)
def test_bad_input_gets_one_clear_error(run, words, message, capsys):
    assert evaluate(run, *words) == 2
    assert message in capsys.readouterr().err
