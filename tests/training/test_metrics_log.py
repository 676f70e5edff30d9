"""The log keeps every bit, and a resumed run's file equals an uninterrupted one's."""

import errno
import json
import math
import os
import random
import struct
from pathlib import Path

import pytest
import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training.metrics_log import MetricsLog


@pytest.fixture
def log(tmp_path):
    return MetricsLog(tmp_path / "run" / "metrics.jsonl")


def fill(log, first, last):
    for step in range(first, last + 1):
        log.append({"step": step, "loss": math.sqrt(step), "kl_per_layer": [0.1 * step, math.inf]})


def test_records_come_back_exactly(log):
    generator = random.Random(0)
    floats = [struct.unpack(">d", generator.randbytes(8))[0] for _ in range(500)]
    record = {
        "step": 1,
        "x": [x for x in floats if x == x],
        "word": "é\n",
        "none": None,
        "on": True,
        "in": {"a": (1, 2)},
    }
    log.append(record)
    assert log.read() == [record | {"in": {"a": [1, 2]}}]


def test_nan_and_infinities_are_strict_json_and_come_back(log):
    log.append({"loss": math.nan, "kl": [math.inf, {"a": -math.inf}]})

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(log.path.read_text(), parse_constant=refuse)
    (record,) = log.read()
    assert math.isnan(record["loss"])
    assert record["kl"] == [math.inf, {"a": -math.inf}]


def test_each_record_is_a_line_and_on_file_at_once(log):
    for count in range(1, 4):
        log.append({"step": count, "text": "two\nlines"})
        assert len(log.path.read_text().splitlines()) == count


def test_a_log_that_is_not_there_is_empty(log):
    log.truncate_after(3)
    assert log.read() == []
    assert not log.path.exists()


@pytest.mark.parametrize("value", [torch.tensor(1.0), object(), {1, 2}, b"x"])
def test_a_value_json_does_not_have_is_named_and_nothing_is_written(log, value):
    with pytest.raises(TypeError, match=r"record\['a'\]\[1\]\['loss'\] is a"):
        log.append({"a": [0, {"loss": value}]})
    assert not log.path.exists()


@pytest.mark.parametrize("saved", [0, 1, 7, 10])
def test_a_resumed_log_equals_an_uninterrupted_one(tmp_path, saved):
    whole, resumed = MetricsLog(tmp_path / "whole.jsonl"), MetricsLog(tmp_path / "resumed.jsonl")
    fill(whole, 1, 12)
    fill(resumed, 1, 10)
    MetricsLog(resumed.path).truncate_after(saved)
    fill(resumed, saved + 1, 12)
    assert resumed.path.read_bytes() == whole.path.read_bytes()


def test_cut_anywhere_the_resumed_log_equals_an_uninterrupted_one(tmp_path):
    whole, cut = MetricsLog(tmp_path / "whole.jsonl"), MetricsLog(tmp_path / "cut.jsonl")
    fill(whole, 1, 2)
    saved_size = whole.path.stat().st_size  # a checkpoint of step 2 follows its records
    fill(whole, 3, 4)
    content = whole.path.read_bytes()
    for size in range(saved_size - 1, len(content)):  # the byte before is the newline of step 2
        cut.path.write_bytes(content[:size])
        assert [record["step"] for record in cut.read()][:2] == [1, 2]
        cut.truncate_after(2)
        fill(cut, 3, 4)
        assert cut.path.read_bytes() == content


def test_records_without_a_step_stay(log):
    log.append({"note": "started"})
    fill(log, 1, 3)
    log.truncate_after(1)
    assert [record.get("step") for record in log.read()] == [None, 1]


@pytest.mark.parametrize("line", ["{", "3", '{"step": 1}{"step": 2}'])
def test_a_broken_line_in_the_middle_is_named(log, line):
    fill(log, 1, 1)
    with log.path.open("a") as file:
        file.write(line + "\n")
    fill(log, 2, 2)
    before = log.path.read_bytes()
    for use in (log.read, lambda: log.truncate_after(1)):
        with pytest.raises(InputError, match=r"metrics\.jsonl, line 2 cannot be read: .*Delete that line"):
            use()
    assert log.path.read_bytes() == before


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failed_truncation_leaves_the_log_whole(log, monkeypatch, broken):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill(log, 1, 5)
    before = log.path.read_bytes()
    monkeypatch.setattr(os, broken, full)
    with pytest.raises(InputError, match=r"metrics\.jsonl cannot be written: No space left on device"):
        log.truncate_after(2)
    assert log.path.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
def test_a_full_disk_is_named():
    with pytest.raises(InputError, match=r"/dev/full cannot be written: No space left on device"):
        MetricsLog("/dev/full").append({"step": 1})
