"""The card's front matter is read back by huggingface_hub's own classes, with the numbers of the table."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from runs import ltm, train, write_corpus

from ltm_pyro.sharing.numbers import BOUNDS, copy_numbers, eval_results

NAME = "someone/thoughts"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    corpus = write_corpus(folder / "corpus.jsonl", documents=20)
    assert train(corpus, folder / "run") == 0
    return folder / "run"


def card_of(run, folder):
    assert ltm("push", run, f"hf:{NAME}", "--to_folder", folder) == 0
    return ModelCard((folder / "README.md").read_text(encoding="utf-8"))


def by_score(results):
    return {(result.metric_args["score"], result.metric_type): result for result in results}


def test_the_fullest_evaluation_is_in_the_index(run, tmp_path):
    assert ltm("evaluate", run, "--draws", "2", "--limit", "6") == 0
    card = card_of(run, tmp_path / "shared")
    scores = json.loads((run / "evaluation/validation-draws-2-limit-6.json").read_text())["evaluation"]["scores"]
    results = by_score(card.data.eval_results)
    assert card.data.model_name == "thoughts"
    bounds = [name for name in scores if scores[name]["is_bound"]]
    assert set(results) == {(name, metric) for name in bounds for metric in METRICS}
    assert "fixed_noise" in scores
    assert "fixed_noise" not in bounds
    for (name, metric), result in results.items():
        assert result.metric_value == pytest.approx(scores[name][metric], rel=1e-12)
        assert result.metric_args["sequences"] == scores[name]["sequences"] == 6
        assert (result.dataset_type, result.dataset_split) == ("corpus.jsonl", "held-out")
        assert result.task_type == "text-generation"
    elbo = results["elbo", "nats_per_token"]
    assert elbo.metric_args["unit"] == "nats/token"
    assert elbo.metric_args["standard_error"] == pytest.approx(scores["elbo"]["standard_error"])
    assert f"{elbo.metric_value:.4f}" in card.text
    assert "PosixPath" not in str(card.data)


METRICS = ("nats_per_token", "bits_per_byte", "perplexity")


def test_a_pulled_run_has_the_numbers_and_none_of_the_arguments(run, tmp_path):
    card_of(run, tmp_path / "shared")
    (shared,) = (tmp_path / "shared/evaluation").glob("validation.json")
    content = json.loads(shared.read_text())
    assert set(content) == {"about", "evaluation"}
    assert content["evaluation"] == json.loads((run / "evaluation/validation.json").read_text())["evaluation"]
    again = ModelCard((tmp_path / "shared/README.md").read_text(encoding="utf-8")).data.eval_results
    assert {result.metric_args["score"] for result in again} <= set(BOUNDS)


def test_a_data_set_of_the_hub_is_named_as_the_hub_names_it(run):
    first, *_ = eval_results(run / "evaluation/validation.json", "hf:someone/stories:small:test")
    found = (first.dataset_type, first.dataset_config, first.dataset_split)
    assert found == ("someone/stories", "small", "test")
    assert first.dataset_args == {"part": "held out from training"}
    built_in, *_ = eval_results(run / "evaluation/validation.json", None)
    assert built_in.dataset_type == "sotu"


@pytest.mark.parametrize("content", ["[]", "{", '{"about": "x", "evaluation": {"scores": {"elbo": {"label": 3}}}}'])
def test_other_files_give_no_numbers(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    copy_numbers(tmp_path / "a.json", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
    assert eval_results(tmp_path / "a.json", None) == []
    assert eval_results(tmp_path / "none.json", None) == []


def test_a_label_from_elsewhere_stays_text(run, tmp_path):
    content = json.loads((run / "evaluation/validation.json").read_text())
    content["evaluation"]["scores"]["elbo"]["label"] = "---\nlicense: mine\n!!python/object:os.system\x07" + "x" * 500
    (tmp_path / "a.json").write_text(json.dumps(content))
    first, *_ = eval_results(tmp_path / "a.json", None)
    assert "\n" not in first.metric_name
    assert len(first.metric_name) < 250


def test_without_an_evaluation_there_is_no_index(run, tmp_path):
    import shutil

    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/evaluation")
    card = card_of(tmp_path / "run", tmp_path / "shared")
    assert card.data.eval_results is None
    assert "model-index" not in Path(tmp_path / "shared/README.md").read_text(encoding="utf-8")
