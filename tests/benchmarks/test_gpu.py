"""The measurements of a GPU, on a CPU: each part's own logic, and what the command does when one fails."""

import json
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import attention, contest, equality, marked, memory, writing
from benchmarks.gpu.child import PARTS, PartError, last_line
from benchmarks.gpu.finding import Finding, table, tolerance
from benchmarks.gpu.noise import NoiseOfTheCPU
from benchmarks.gpu.setting import Setting
from benchmarks.timing.measures import Measure
from benchmarks.timing.sizes import QUICK
from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.banded import band_masks, banded_attention

SETTING = Setting("cpu", QUICK, rounds=2)


@pytest.fixture
def as_cuda(monkeypatch):
    """The CPU takes the part of a GPU."""
    monkeypatch.setattr(Setting, "on_cuda", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)


def by_name(finding):
    return {measure.name: measure for measure in finding.measures}


def test_a_finding_comes_back_from_its_record():
    finding = Finding([tolerance("a", 1.0, 2.0, "nats"), Measure("b", (1.0, 3.0))], ["c"])
    assert Finding.of(json.loads(json.dumps(finding.record()))) == finding
    assert finding.outside == []
    assert [measure.name for measure in Finding([tolerance("a", 3.0, 2.0)]).outside] == ["a"]
    assert "FAILS" in table([tolerance("a", 3.0, 2.0)])
    assert "1 to 3" in table(finding.measures)


def test_noise_is_the_same_for_every_dtype_and_is_counted():
    drawn = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(1)
        with NoiseOfTheCPU() as noise:
            drawn.append(torch.empty(5, dtype=dtype).normal_())
            torch.zeros(3).add_(1)
        assert noise.draws == 1
    assert torch.equal(drawn[0], drawn[1].float())


def test_without_a_gpu_a_step_is_compared_with_float64():
    finding = equality.measure(SETTING)
    assert len(finding.measures) == 3
    assert all(measure.reached for measure in finding.measures)
    assert 0 < finding.measures[0].median < 1e-5
    assert "would be itself" in finding.skipped[0]


@pytest.mark.usefixtures("as_cuda")
def test_on_a_gpu_a_step_is_compared_with_the_cpu():
    found = by_name(equality.measure(SETTING))
    assert found["cpu against the CPU, float32: weights' gradient, relative"].rounds == (0.0,)
    assert len(found) == 6


def test_another_gradient_is_outside_the_tolerance_and_other_noise_is_refused():
    step = equality.step_of(SETTING)
    other = step._replace(gradient=step.gradient * 1.01)
    assert [measure.name for measure in equality.compared("a", step, other).outside] == [
        "a: weights' gradient, relative"
    ]
    with pytest.raises(AssertionError, match="noise was drawn"):
        equality.compared("a", step, step._replace(draws=step.draws + 1))


def test_bf16_is_near_float32_and_not_the_same():
    found = by_name(contest.in_bf16(SETTING))
    apart = found["bf16 against float32: largest difference of the ELBO"]
    assert 0 < apart.median < apart.target
    assert len(found["bf16 / float32"].rounds) == 2


def test_both_ways_to_train_have_the_same_noise(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        "ltm_pyro.models.decoder.Decoder.compile_passes", lambda self: compiled.append(self)
    )  # it has tests of its own
    found = by_name(contest.compiled(SETTING))
    assert len(compiled) == 1
    assert found["compiled against eager: largest difference of the ELBO"].rounds == (0.0,)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_on_a_cpu_attention_is_compared_without_gradients():
    finding = attention.measure(SETTING)
    assert finding.measures[0].reached
    assert "no gradient" in finding.skipped[0]


def test_attention_is_timed_and_compared_with_its_gradients():
    blocks = partial(banded_attention, masks=band_masks(QUICK.length, QUICK.window))
    dense = partial(scaled_dot_product_attention, attn_mask=window_mask(QUICK.length, QUICK.window))
    finding = attention.timed(SETTING, dense, blocks)
    assert len(finding.measures) == 5
    assert finding.outside == []
    wrong = partial(scaled_dot_product_attention, attn_mask=window_mask(QUICK.length, QUICK.window + 1))
    assert len(attention.timed(SETTING, wrong, blocks).outside) == 4


@pytest.mark.parametrize("loop", memory.LOOPS)
def test_peak_memory_on_a_gpu_is_beyond_what_was_there(loop):
    asked = []
    cuda = SimpleNamespace(
        reset_peak_memory_stats=lambda device: asked.append("reset"),
        memory_allocated=lambda device: asked.append("before") or 100,
        max_memory_allocated=lambda device: asked.append("most") or 350,
    )
    assert memory.peak_on_cuda(SETTING, loop, cuda) == 250
    assert asked == ["reset", "before", "most"]


def test_peak_memory_is_set_against_the_plain_loop(monkeypatch):
    peaks = {"plain": 100, "ours": 25, "recompute": 20}
    monkeypatch.setattr(memory, "_bytes", lambda setting, loop: peaks[loop])
    assert by_name(memory.measure(SETTING))["ours / plain"].median == 0.25


def test_writing_has_a_ratio_for_one_text_and_for_several():
    assert {"ours / recomputing, batch 1", "ours / recomputing, batch 16"} <= set(by_name(writing.measure(SETTING)))


def test_marked_tests_are_counted_and_a_failure_is_told(tmp_path, capsys):
    (tmp_path / "test_these.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 1 == 2\ndef test_c(): pytest.skip('no')\n"
    )
    finding = marked.outcome_of(["-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)])
    assert [measure.rounds for measure in finding.measures] == [(1,), (1,), (1,)]
    assert [measure.name for measure in finding.outside] == ["failed"]
    assert "assert 1 == 2" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="no-such-option"):
        marked.outcome_of(["--no-such-option", "-c", "/dev/null", str(tmp_path)])


def test_files_with_marked_tests_are_found():
    assert "test_dual_rate.py" in {path.name for path in marked.files_with_mark()}
    assert marked.measure(SETTING).skipped


def test_a_part_that_fails_says_why():
    with pytest.raises(PartError, match=r"(?s)ended with 1: .*ZeroDivisionError"):
        last_line([sys.executable, "-c", "print(1); 1 / 0"], 60)
    assert last_line([sys.executable, "-c", "print(1); print(2)"], 60) == "2"
    cache = last_line([sys.executable, "-c", "import os; print(os.environ['TORCHINDUCTOR_CACHE_DIR'])"], 60)
    assert not Path(cache).exists()  # half a kernel of a part that was stopped is not left to the next
    with pytest.raises(PartError, match="printed nothing"):
        last_line([sys.executable, "-c", ""], 60)


def test_a_part_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path):
    child = f"import time\nwhile True: open({str(tmp_path / 'alive')!r}, 'w').close(); time.sleep(0.05)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(PartError, match="stopped after 3 seconds"):
        last_line([sys.executable, "-c", parent], 3)
    (tmp_path / "alive").unlink(missing_ok=True)
    time.sleep(0.5)
    assert not (tmp_path / "alive").exists()


def test_shares_of_the_time_leave_some_of_eight_minutes():
    assert set(command.SECONDS) == set(PARTS)
    assert command.PATIENCE["cuda"] == 1
    assert sum(command.SECONDS.values()) <= 8 * 60 - 10


def found_or_failed(name, setting, threads, seconds):
    if name == "compiled":
        raise PartError("no compiler")
    if name == "equality":
        return Finding([tolerance("difference", 2.0, 1.0)])
    return Finding(skipped=["no device"]) if name == "tests" else Finding([Measure("speed", (1.0, 2.0))], ["half"])


def test_all_parts_are_told_and_saved_and_a_failure_is_the_exit_status(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "measured", found_or_failed)
    assert command.main(["--quick", "--device", "cpu", "--out", str(tmp_path)]) == 1
    record = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    endings = {name: part["ending"] for name, part in record["parts"].items()}
    assert endings == dict.fromkeys(PARTS, "done") | {"tests": "skipped", "compiled": "failed", "equality": "failed"}
    assert record["environment"]["device"] == "cpu"
    assert {"commit", "versions", "sizes"} <= set(record)
    assert {measure["name"] for measure in record["measures"]} >= {"equality: difference", "writing: speed"}
    printed = capsys.readouterr().out
    for words in ("FAILED: no compiler", "outside the tolerance: difference", "skipped: no device", "| speed"):
        assert words in printed
    assert command.main(["--quick", "--device", "cpu", "--parts", "bf16", "tests", "--out", str(tmp_path)]) == 0


def test_a_part_runs_in_a_process_of_its_own(tmp_path, capsys):
    words = ["--quick", "--device", "cpu", "--threads", "1", "--parts", "attention", "--out", str(tmp_path)]
    assert command.main(words) == 0
    assert "FlexAttention against blocks: largest difference" in capsys.readouterr().out


def test_the_environment_names_a_gpu(monkeypatch):
    gpu = SimpleNamespace(name="A GPU", total_memory=8e9, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    told = command.environment(torch.device("cuda"))
    assert told["name"] == "A GPU"
    assert told["capability"] == "9.0"
