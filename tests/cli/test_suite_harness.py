"""`ltm evaluate RUN --suite harness`: tasks of one's own over local files."""

import json
import shutil
from functools import partial

import pytest
from runs import WORDS, ltm, newest

from ltm_pyro.errors import InputError

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


def results_of(run):
    return newest(run / "evaluation", "harness*")


def records(run):
    text = (results_of(run) / "records.csv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(text[0].split(","), line.split(","), strict=True)) for line in text[1:]]


@pytest.mark.filterwarnings("ignore")  # of the harness's own making
def test_its_kinds_of_tasks_run(trained, tasks, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "last_word", "writing", "whole", "--limit", "3") == 0
    shown = capsys.readouterr()
    assert "thoughts fitted on the context, mean over 2 draws" in shown.out
    assert "contexts were too long, and lost their first tokens" in shown.out
    assert "3/3  answers" in shown.err
    found = {(record["task"], record["measure"]): float(record["value"]) for record in records(run)}
    assert found["last_word", "perplexity"] > 1
    assert 0 <= found["last_word", "acc"] <= 1
    assert found["whole", "bits_per_byte"] > 0
    assert ("writing", "exact_match") in found
    made = {path.name for path in results_of(run).iterdir()}
    assert {"harness.json", "table.md", "results.json", "settings.json", "tasks.png"} <= made
    before = json.loads((results_of(run) / "results.json").read_text(encoding="utf-8"))["pieces"]
    words = ("--tasks", "last_word", "writing", "whole", "--limit", "3", "--resume")
    assert evaluate(run, tasks, *words) == 0
    after = json.loads((results_of(run) / "results.json").read_text(encoding="utf-8"))["pieces"]
    assert after == before


@pytest.mark.filterwarnings("ignore")
def test_an_interrupt_leaves_a_table_of_what_has_its_answers(reference, tasks, tmp_path, monkeypatch, capsys):
    from ltm_pyro.suites.harness.continuation import Continuations

    words, score, calls = ("--tasks", "last_word", "writing"), Continuations.score, []

    def interrupted(self, *given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(self, *given)

    run, other = (shutil.copytree(reference, tmp_path / name) for name in ("run", "other"))
    monkeypatch.setattr(Continuations, "score", interrupted)
    assert evaluate(run, tasks, *words) == 130
    monkeypatch.undo()
    shown = capsys.readouterr()
    assert "interrupted: 3 answers are kept; the same command with --resume continues" in shown.err
    assert "Interrupted: only the first questions of each task" in shown.out
    assert "Interrupted" in (results_of(run) / "table.md").read_text(encoding="utf-8")
    partly = records(run)
    assert {(record["task"], record["questions"]) for record in partly} == {("last_word", "3")}
    assert evaluate(other, tasks, "--tasks", "last_word", "--limit", "3") == 0
    assert partly == records(other)
    assert evaluate(run, tasks, *words, "--resume") == 0
    assert {(record["task"], record["questions"]) for record in records(run)} == {("last_word", "5"), ("writing", "5")}
    assert "Interrupted" not in (results_of(run) / "table.md").read_text(encoding="utf-8")


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


def asked(*arguments, kind="loglikelihood"):
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, (*one,), place) for place, one in enumerate(arguments)]


def model_of(run, **settings):
    from ltm_pyro.suites.harness.model import HarnessModel

    return HarnessModel.from_run(run, **{"draws": 2, **settings})


def test_an_autoregressive_runs_continuations_are_its_own_and_greedy_is_what_it_would_write(reference):
    import torch

    model = model_of(reference)
    decoder, encode = model.components.model.decoder, model.tok_encode
    context = encode("war")
    logits, _ = decoder.prefill(torch.tensor([[decoder.bos_id, *context]]), None)
    likeliest = model.run.tokenizer.decode([int(logits.argmax())])
    pairs = [("war", " the"), ("war", likeliest), ("", "war and")]
    found = model.loglikelihood(asked(*pairs), disable_tqdm=True)
    for (before, behind), (nats, greedy) in zip(pairs, found, strict=True):
        x, first = torch.tensor([encode(before) + encode(behind)]), len(encode(before))
        own = decoder.logits(decoder.inputs(x))[0, first:].double().log_softmax(-1)
        assert nats == pytest.approx(own.gather(-1, x[0, first:, None]).sum().item(), abs=1e-5)
        assert greedy == bool((own.argmax(-1) == x[0, first:]).all())
    assert found[1][1]
    assert not all(greedy for _, greedy in found)


def test_a_token_that_reaches_across_takes_nothing_from_a_continuation(reference):
    """This tokenizer joins ` t` and `h`: behind the context's own tokens nothing is left to score, which is certain."""
    model = model_of(reference)
    context, behind = "of t", "h"
    assert not model.tok_encode(context + behind)[len(model.tok_encode(context)) :]
    assert model._encode_pair(context, behind) == (model.tok_encode(context), model.tok_encode(behind))
    assert model._encode_pair("of ", "the") == (model.tok_encode("of"), model.tok_encode(" the"))
    ((nats, _),) = model.loglikelihood(asked((context, behind)), disable_tqdm=True)
    assert nats < -0.01


def test_what_is_asked_for_again_is_written_anew_and_the_same_with_the_same_seed(trained):
    settings = {"max_gen_toks": 6, "do_sample": True, "temperature": 1.0}
    requests = asked(*[("the war", settings)] * 5, kind="generate_until")
    texts = model_of(trained).generate_until(requests)
    assert len(set(texts)) > 1
    assert model_of(trained).generate_until(requests) == texts
    assert model_of(trained, seed=1).generate_until(requests) != texts
    once = asked(*[("the war", {"max_gen_toks": 6})] * 2, kind="generate_until")
    assert model_of(trained).generate_until(once[:1]) == model_of(trained).generate_until(once)[:1]


def test_contexts_that_are_too_long_are_counted_and_keep_half(trained):
    model = model_of(trained)  # its texts hold 16 tokens
    told, before = [], model._write
    model._write = lambda tokens, count, *given: told.append((len(tokens), count)) or before(tokens, count, *given)
    long, length = "the people of the union " * 6, model.components.model.decoder.length
    model.generate_until(asked((long, {}), ("war", {"max_gen_toks": 4}), kind="generate_until"))
    assert told == [(length // 2, length // 2), (len(model.tok_encode("war")), 4)]
    assert (model.asked, model.cut) == (2, 1)
    model.loglikelihood(asked((long, " war"), (long, " peace"), ("war", " peace")), disable_tqdm=True)
    assert (model.asked, model.cut) == (5, 3)


@pytest.mark.filterwarnings("ignore")
def test_the_python_call_of_the_docs(trained, tasks):
    import lm_eval
    from lm_eval.tasks import TaskManager

    heard = []
    model = model_of(trained, listener=lambda done, total: heard.append((done, total)))
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    results = lm_eval.simple_evaluate(model, tasks=["last_word"], task_manager=manager, limit=3, bootstrap_iters=10)
    assert results["results"]["last_word"]["perplexity,none"] > 1
    assert heard[-1] == (3, 3)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_task_is_refused(trained, tasks, tmp_path, monkeypatch, capsys):
    from lm_eval.tasks import TaskManager

    few = partial(TaskManager, include_defaults=False)  # all take ten seconds
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda include_path, **_: few(include_path=include_path))
    run = shutil.copytree(trained, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "nothing_like_it") == 2
    assert "--tasks nothing_like_it: lm-evaluation-harness has no such task" in capsys.readouterr().err


def test_every_setting_of_a_task_is_followed_or_refused_before_anything_is_written(trained):
    model = model_of(trained)
    settings = {"max_new_tokens": 6, "do_sample": True, "temperature": 5.0}
    (likeliest, drawn, again) = model.generate_until(
        asked(
            ("the war", {"max_new_tokens": 6}),
            ("the war", settings),
            ("the war", {**settings, "top_k": 1}),
            kind="generate_until",
        )
    )
    assert again == likeliest != drawn
    wrote = []
    model._write = lambda *given: wrote.append(given)
    with pytest.raises(InputError, match="num_beams=4: this setting is not supported"):
        model.generate_until(asked(("war", {}), ("peace", {"num_beams": 4}), kind="generate_until"))
    assert not wrote


@pytest.mark.filterwarnings("ignore")
def test_a_task_with_a_setting_that_is_not_followed_is_refused_in_one_line(trained, tasks, tmp_path, capsys):
    yaml = (tasks / "writing.yaml").read_text(encoding="utf-8")
    (tasks / "writing.yaml").write_text(yaml.replace("max_gen_toks: 6", "max_gen_toks: 6, num_beams: 4"))
    run = shutil.copytree(trained, tmp_path / "run")
    assert evaluate(run, tasks, "--tasks", "writing", "--limit", "2") == 2
    assert "generation_kwargs num_beams=4: this setting is not supported" in capsys.readouterr().err.splitlines()[-1]
