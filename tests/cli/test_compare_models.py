"""`ltm compare models`: runs of several kinds and tokenizers."""

import json
import statistics

import pytest
from runs import ltm, train, write_corpus

from ltm_pyro.inference import DualRateSVI
from ltm_pyro.plots.saving import KINDS
from ltm_pyro.runs import step_time
from ltm_pyro.runs.speed import measured_speeds
from ltm_pyro.studies.models import study as compare_models
from ltm_pyro.training.run import Run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Runs of three kinds on one corpus, one of them with a tokenizer of its own, and one on other text."""
    shelf = tmp_path_factory.mktemp("models")
    corpus = write_corpus(shelf / "corpus.jsonl", documents=24)
    assert train(corpus, shelf / "ltm") == 0
    assert train(corpus, shelf / "ar", model="autoregressive") == 0
    assert train(corpus, shelf / "mdlm", model="masked-diffusion", data__vocabulary=300) == 0
    assert train(write_corpus(shelf / "other.jsonl", seed=1), shelf / "other", model="autoregressive") == 0
    return shelf


def test_a_table_and_a_figure(shelf, tmp_path, capsys):
    words = ("--out", tmp_path / "out", "--limit", "3", "--draws", "2", "--device_name", "a lathe")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", shelf / "mdlm", *words) == 0
    out = capsys.readouterr().out
    for part in ("At equal tokens seen", "At equal training FLOPs", "At equal hours of training, a lathe"):
        assert part in out
    assert "diffusion ELBO, 2 draws of what is masked" in out
    assert "(not paired)" in out  # another tokenizer
    assert " ± " in next(line for line in out.splitlines() if line.startswith("| ltm") and "draws from q" in line)
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {*(f"budgets.{kind}" for kind in KINDS), "records.csv", "results.json", "settings.json", "table.md"}
    kept = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["pieces"]
    assert set(kept) == {"ar", "ltm", "mdlm"}


def test_an_interrupt_leaves_what_there_is(shelf, tmp_path, monkeypatch, capsys):
    score, calls = compare_models.score_run, []

    def interrupted(*given, **named):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*given, **named)

    monkeypatch.setattr(compare_models, "score_run", interrupted)
    words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", *words) == 130
    assert "1 of 2 runs were scored" in capsys.readouterr().err
    assert "At equal tokens" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


def test_an_interrupt_while_speeds_are_measured_leaves_those_of_the_logs(shelf, tmp_path, monkeypatch, capsys):
    from ltm_pyro.runs import speed as measured_speed

    taken = []

    def take(number):
        taken.append(number)
        if len(taken) > 2 * measured_speed.WARM_UP + 1:  # in the first round
            raise KeyboardInterrupt
        return step_time.TimedStep(1.0, 8)

    monkeypatch.setattr(measured_speed, "timed_steps", lambda config, material: (take, 1))
    words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", *words) == 0
    without = (tmp_path / "out" / "records.csv").read_text(encoding="utf-8")
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", "--measure", "3", *words) == 2
    assert "out holds a comparison with another measure (0, now 3)" in capsys.readouterr().err
    elsewhere = ("--out", tmp_path / "measured", *words[2:])
    assert ltm("compare", "models", shelf / "ar", shelf / "ltm", "--measure", "3", *elsewhere) == 130
    assert "0 of 2 runs were scored" in capsys.readouterr().err
    assert (tmp_path / "measured" / "records.csv").read_text(encoding="utf-8") == without


def test_a_run_without_a_density_is_named_and_the_others_compare_without_it(shelf, tmp_path, capsys):
    assert train(shelf / "corpus.jsonl", tmp_path / "map", guide="MAPGuide") == 0
    why = "map has no number to compare: MAPGuide has no density"
    words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2")
    assert ltm("compare", "models", tmp_path / "map", shelf / "ar", shelf / "ltm", *words) == 0
    assert f"left out: {why}" in capsys.readouterr().err
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert f"## Left out\n\n- {why}" in table
    assert "less ar, bits/byte" in table  # the first that can be compared
    assert not any(line.startswith("| map") for line in table.splitlines())
    kept = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["pieces"]
    assert set(kept) == {"ar", "ltm"}
    assert ltm("compare", "models", tmp_path / "map", "--out", tmp_path / "none") == 2
    told = capsys.readouterr().err
    assert why in told
    assert "Train the run with a guide that has a density" in told
    assert not (tmp_path / "none").exists()


def test_speeds_measured_in_turn_do_not_depend_on_the_log_or_on_what_the_machine_does_beside(
    shelf, tmp_path, monkeypatch, capsys
):
    """By a clock that counts fast loops, on a machine that is three times as slow from some moment on."""
    corpus = shelf / "corpus.jsonl"
    assert train(corpus, tmp_path / "whole") == 0
    assert train(corpus, tmp_path / "halves", train__accumulate=2) == 0  # each slice has a fast loop of its own
    runs = {name: Run.open(tmp_path / name) for name in ("whole", "halves")}
    calls, seconds, fit = [0], [0.0], DualRateSVI.fit

    def counted(svi, *args, **kwargs):
        calls[0] += 1
        seconds[0] += 1.0 if calls[0] <= 15 else 3.0
        fit(svi, *args, **kwargs)

    def ratio(speeds):
        return statistics.median(speeds["whole"]) / statistics.median(speeds["halves"])

    with monkeypatch.context() as patched:
        patched.setattr(DualRateSVI, "fit", counted)
        patched.setattr(step_time.time, "perf_counter", lambda: seconds[0])
        assert ratio(measured_speeds(runs, 6)) == pytest.approx(2)
        calls[0] = 0  # one after the other, the second meets the slow machine
        alone = {name: measured_speeds({name: run}, 6)[name] for name, run in runs.items()}
        assert ratio(alone) > 4
        calls[0] = -1000  # nothing happens; what is written in the log is another clock's
        words = ("--out", tmp_path / "out", "--limit", "2", "--draws", "2", "--measure", "3")
        assert ltm("compare", "models", tmp_path / "whole", tmp_path / "halves", *words) == 0
    assert "the median over 3 rounds" in capsys.readouterr().out
    pieces = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["pieces"]
    found = {name: [r["tokens_per_second"] for r in pieces["measured speed"] if r["run"] == name] for name in runs}
    assert [len(speeds) for speeds in found.values()] == [3, 3]
    assert ratio(found) == pytest.approx(2)


def test_runs_without_thoughts_are_measured_too(shelf):
    speeds = measured_speeds({name: Run.open(shelf / name) for name in ("ar", "mdlm")}, 2)
    assert all(len(own) == 2 and min(own) > 0 for own in speeds.values())


@pytest.mark.parametrize(
    ("names", "message"), [(("ar", "other"), "hold out different texts"), (("ar", "ar"), "a run is named twice")]
)
def test_what_cannot_be_compared_is_refused(shelf, tmp_path, names, message, capsys):
    assert ltm("compare", "models", *(shelf / name for name in names), "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
