"""Weights are compared with their model before they are read, and hold finite numbers."""

import math
import struct

import pytest
import torch
from torch import nn

from ltm_pyro.errors import InputError
from ltm_pyro.training.checkpoints import Checkpoints, step_named
from ltm_pyro.training.state_files import read_header, read_tensors, write_tensors


@pytest.fixture
def model():
    return nn.Linear(3, 2)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def load(checkpoints, model):
    return checkpoints.load_weights(checkpoints.latest(), parameters=dict(model.named_parameters()))


def test_a_models_own_weights_are_read(checkpoints, model):
    checkpoints.save(1, model.state_dict(), {})
    assert load(checkpoints, model).keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: {"wieght": w["weight"], "bias": w["bias"]}, "it has no weight"),
        (lambda w: {**w, "weight": w["weight"].T}, r"weight has shape \(3, 2\) in the file and \(2, 3\) in the model"),
        (lambda w: {**w, "bias": w["bias"].double()}, "bias has type torch.float64 in the file"),
        (lambda w: {**w, "bias": w["bias"].int()}, "bias has type torch.int32 in the file"),
        (lambda w: {}, "it has no weight"),
    ],
)
def test_other_weights_are_refused_by_their_header(checkpoints, model, change, says, monkeypatch):
    checkpoints.save(1, model.state_dict(), {})
    checkpoints.save(2, change(dict(model.state_dict())), {})
    monkeypatch.setattr("ltm_pyro.training.checkpoints.read_tensors", None)  # no tensor is read
    with pytest.raises(
        InputError, match=rf"does not hold the weights of this run's model: {says}.*Use .*step-00000001"
    ):
        load(checkpoints, model)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weights_that_are_not_finite_are_refused_by_name(checkpoints, model, name, value):
    checkpoints.save(1, model.state_dict(), {})
    with torch.no_grad():
        model.get_parameter(name).view(-1)[1] = value
    checkpoints.save(2, model.state_dict(), {})
    with pytest.raises(InputError, match=f"{name} holds 1 numbers of .* not finite .*Use .*step-00000001 instead"):
        load(checkpoints, model)


def test_a_buffer_may_hold_infinities_but_no_nan(checkpoints, model):
    model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    checkpoints.save(1, model.state_dict(), {})
    assert load(checkpoints, model)["mask"][1] == -math.inf
    model.mask[0] = math.nan
    checkpoints.save(2, model.state_dict(), {})
    with pytest.raises(InputError, match="mask holds 1 numbers"):
        load(checkpoints, model)


@pytest.mark.parametrize("size", [2**63, 2**40, 10**9])
def test_a_header_without_end_is_refused(tmp_path, size):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.ones(2)})
    path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
    for read in (read_tensors, read_header):
        with pytest.raises(InputError, match=r"its header would be .* bytes long"):
            read(path)


def test_a_header_tells_what_was_written(tmp_path):
    path = tmp_path / "a.safetensors"
    weight = torch.ones(2, 3, dtype=torch.bfloat16)
    tensors = {
        "a": weight,
        "tied": weight,
        "c": torch.ones(4, dtype=torch.complex128),
        "n": torch.ones((), dtype=torch.int64),
    }
    write_tensors(path, tensors)
    header = read_header(path)
    assert {name: (entry.dtype, entry.shape) for name, entry in header.items()} == {
        name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()
    }


@pytest.mark.parametrize(
    ("text", "step"), [("7", 7), ("00000007", 7), ("²", None), ("٣", None), ("-1", None), ("", None)]
)
def test_a_step_is_named_by_plain_digits(text, step):
    assert step_named(text) == step
    assert step_named("9" * 5000) is None
