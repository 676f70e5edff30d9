"""Nested state comes back from disk as it was, bit for bit."""

import errno
import json
import math
import random
import struct

import pytest
import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training import state_files
from ltm_pyro.training.state_files import load_state, read_tensors, save_state, write_tensors

DTYPES = sorted(state_files._WRITABLE, key=str)


def round_trip(folder, state):
    save_state(folder, "state", state)
    return load_state(folder, "state")


def same(a, b):
    """Equal in type, structure and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and [type(k) for k in a] == [type(k) for k in b] and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bits(a) == bits(b)
    return struct.pack("<d", a) == struct.pack("<d", b) if isinstance(a, float) else a == b


def bits(tensor):
    flat = tensor.resolve_conj().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).tolist())


def test_the_comparison_can_fail():
    assert not same({"a": (1,)}, {"a": [1]})
    assert not same({1: 0}, {"1": 0})
    assert not same(0.0, -0.0)
    assert not same(1, True)
    assert not same(torch.zeros(1), torch.zeros(1, dtype=torch.float64))


def test_every_plain_value_comes_back(tmp_path):
    negative_nan = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]
    state = {
        "values": [None, True, False, 0, 1, -(2**70), "", "é\n\ud800", 0.1, -0.0, 5e-324, 1e308],
        "not in JSON": (math.nan, negative_nan, math.inf, -math.inf),
        "nested": {0: (1, [2, (3,)], {}), "0": [], 7: ()},
        "looks like a reference": {"tensor": "state['values']", "float": "x", "dict": [], "tuple": 1},
    }
    assert same(round_trip(tmp_path, state), state)


def test_random_floats_keep_their_bits(tmp_path):
    generator = random.Random(0)
    state = {"x": [struct.unpack(">d", generator.randbytes(8))[0] for _ in range(2000)]}
    assert same(round_trip(tmp_path, state), state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)], ids=str)
def test_every_dtype_and_shape_comes_back(tmp_path, dtype, shape):
    state = {"x": torch.arange(math.prod(shape)).reshape(shape).add(1).to(dtype)}
    assert same(round_trip(tmp_path, state), state)


def test_bits_of_odd_tensor_values_come_back(tmp_path):
    state = {"x": torch.tensor([math.nan, -math.nan, math.inf, -0.0, 1e-45]), "rng": torch.get_rng_state()}
    assert same(round_trip(tmp_path, state), state)


def test_views_overlaps_and_conjugates_come_back(tmp_path):
    x, c = torch.arange(12.0), torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex128)
    state = {
        "whole": x, "slice": x[2:7], "overlap": x[5:], "strided": x[::3], "expanded": x[:1].expand(4),
        "transposed": x.reshape(3, 4).T, "conjugate": c.conj(), "plain": c, "imag": c.conj().imag,
        "same bytes": x.view(torch.int32),
    }  # fmt: skip
    assert same(round_trip(tmp_path, state), {k: v.resolve_conj().resolve_neg() for k, v in state.items()})


def test_one_tensor_under_two_names_is_stored_once_and_is_one_again(tmp_path):
    x = torch.randn(1000)
    loaded = round_trip(tmp_path, {"a": x, "b": [x], "c": x.clone()})
    assert loaded["a"] is loaded["b"][0]
    assert loaded["a"] is not loaded["c"]
    assert (tmp_path / "state.safetensors").stat().st_size < 2 * 4000 + 1000


def test_loaded_tensors_are_aligned_as_torch_aligns(tmp_path):
    loaded = round_trip(tmp_path, {"a": torch.zeros(3), "b": torch.zeros(5, dtype=torch.uint8), "c": torch.zeros(7)})
    assert all(tensor.data_ptr() % 64 == 0 for tensor in loaded.values())


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adam])
def test_an_optimizer_goes_on_bit_for_bit(tmp_path, kind):
    def run(parameter, optimizer, schedule, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            (parameter.sin() ** 2).sum().backward()
            optimizer.step()
            schedule.step()

    def start(value):
        parameter = torch.nn.Parameter(value.clone())
        optimizer = kind([parameter], lr=0.1)
        return parameter, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)

    first = torch.linspace(-1, 1, 17)
    uninterrupted, resumed = start(first), start(first)
    run(*uninterrupted, steps=20)
    run(*resumed, steps=9)
    saved = {"optimizer": resumed[1].state_dict(), "schedule": resumed[2].state_dict()}
    loaded = round_trip(tmp_path, saved)
    resumed = start(resumed[0].detach())
    resumed[1].load_state_dict(loaded["optimizer"])
    resumed[2].load_state_dict(loaded["schedule"])
    run(*resumed, steps=11)
    assert bits(resumed[0].detach()) == bits(uninterrupted[0].detach())


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [0, {"b": object()}]}, r"state\['a'\]\[1\]\['b'\] is a builtins.object"),
        ({"a": {1, 2}}, r"state\['a'\] is a builtins.set"),
        ({"a": torch.float32}, r"state\['a'\] is a torch.dtype"),
        ({"a": {(1, 2): 0}}, r"state\['a'\] has the key \(1, 2\)"),
        ({"a": {True: 0}}, r"state\['a'\] has the key True"),
        ({"a": {3: torch.zeros(2).to_sparse()}}, r"state\['a'\]\[3\] is a Tensor of torch.float32, torch.sparse_coo"),
        ({"a": torch.zeros(2, device="meta")}, r"state\['a'\].*on meta"),
    ],
)
def test_what_cannot_be_saved_is_named(tmp_path, state, where):
    with pytest.raises(TypeError, match=where):
        save_state(tmp_path, "state", state)


def test_nothing_is_pickled_and_the_json_is_strict(tmp_path):
    paths = save_state(tmp_path, "state", {"x": math.nan, "y": torch.zeros(1)})
    assert [path.name for path in paths] == ["state.safetensors", "state.json"]

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(paths[1].read_text(), parse_constant=refuse)


def test_equal_states_give_equal_files(tmp_path):
    x = torch.ones(3)
    content = set()
    for _ in range(5):
        content.add(
            tuple(path.read_bytes() for path in save_state(tmp_path, "s", {"b": x, "a": x, "c": torch.zeros(2)}))
        )
    assert len(content) == 1


def test_files_have_the_usual_permissions(tmp_path):
    paths = save_state(tmp_path, "state", {"x": torch.zeros(1)})
    (tmp_path / "usual").touch()
    assert {path.stat().st_mode for path in paths} == {(tmp_path / "usual").stat().st_mode}


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"dict": 3}', b"\xff\xfe", b'{"tensor": "gone"}'])
def test_missing_and_damaged_files_are_named(tmp_path, name, content):
    save_state(tmp_path, "state", {"x": torch.zeros(1)})
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_state(tmp_path, "state")


def test_a_failing_disk_is_an_os_error(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(OSError, match=r"x\.safetensors") as caught:
            write_tensors(tmp_path / "x.safetensors", {"x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG


def test_files_of_others_can_be_read(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.arange(3)}, tmp_path / "x.safetensors", metadata={"format": "pt"})
    assert same(read_tensors(tmp_path / "x.safetensors"), {"x": torch.arange(3)})
