"""`ltm evaluate RUN --suite harness`: tasks of one's own over local files."""

import json
import shutil

import pytest
from runs import WORDS, ltm

pytest.importorskip("lm_eval")

LAST_WORD = """
task: last_word
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{{{text.split(' ')[:-1]|join(' ')}}}}"
doc_to_target: "{{{{' '+text.split(' ')[-1]}}}}"
metric_list:
  - {{metric: perplexity, aggregation: perplexity, higher_is_better: false}}
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
WRITING = """
task: writing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text.split(' ')[0]}}}}"
doc_to_target: "{{{{text}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
WHOLE = """
task: whole
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - {{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}}
"""


@pytest.fixture
def tasks(tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"text": " ".join(WORDS[place : place + 4])} for place in range(5)]
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for name, text in {"last_word": LAST_WORD, "writing": WRITING, "whole": WHOLE}.items():
        (folder / f"{name}.yaml").write_text(text.format(path=folder / "texts.jsonl"), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def evaluate(run, tasks, *words):
    return ltm("evaluate", run, "--suite", "harness", "--include_path", tasks, "--draws", "2", *words)


def records(run):
    text = (run / "evaluation/harness/records.csv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(text[0].split(","), line.split(","), strict=True)) for line in text[1:]]


@pytest.mark.filterwarnings("ignore")  # of the harness's own making
def test_its_kinds_of_tasks_run(trained, tasks, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "last_word", "writing", "whole", "--limit", "3") == 0
    assert "thoughts fitted on what stands before, mean over 2 draws" in capsys.readouterr().out
    found = {(record["task"], record["measure"]): float(record["value"]) for record in records(run)}
    assert found["last_word", "perplexity"] > 1
    assert 0 <= found["last_word", "acc"] <= 1
    assert found["whole", "bits_per_byte"] > 0
    assert ("writing", "exact_match") in found
    made = {path.name for path in (run / "evaluation/harness").iterdir()}
    assert {"harness.json", "table.md", "results.json", "settings.json", "tasks.png"} <= made
    before = json.loads((run / "evaluation/harness/results.json").read_text(encoding="utf-8"))["pieces"]
    words = ("--tasks", "last_word", "writing", "whole", "--limit", "3", "--resume")
    assert evaluate(run, tasks, *words) == 0
    after = json.loads((run / "evaluation/harness/results.json").read_text(encoding="utf-8"))["pieces"]
    assert after == before


@pytest.mark.filterwarnings("ignore")
def test_an_autoregressive_runs_numbers_are_its_own(reference, tasks, tmp_path):
    from ltm_pyro.training.run import Run

    run = shutil.copytree(reference, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "whole") == 0
    (record,) = records(run)
    model, tokenizer = Run.open(run).load().model, Run.open(run).tokenizer
    import torch

    nats = size = 0.0
    for place in range(5):
        text = " ".join(WORDS[place : place + 4])
        x = torch.tensor([tokenizer.encode(text).tolist()])
        previous = None
        for begun in range(0, x.shape[1], model.decoder.length):
            piece = x[:, begun : begun + model.decoder.length]
            nats -= model.decoder.token_log_prob(piece, None, previous).sum().item()
            previous = piece[:, -1]
        size += len(text.encode())
    assert float(record["value"]) == pytest.approx(nats / size / 0.6931471805599453, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_task_is_refused(trained, tasks, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "nothing_like_it") == 2
    assert "--tasks nothing_like_it: lm-evaluation-harness has no such task" in capsys.readouterr().err
