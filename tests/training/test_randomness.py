"""A restored generator draws what it would have drawn."""

import random

import numpy as np
import pytest
import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training.randomness import random_state, restore_random_state, seed_everything
from ltm_pyro.training.state_files import load_state, save_state


def draw():
    return (
        torch.randn(17).tolist(),  # an odd number, so that torch's own spare normal draw is in play
        torch.randn(()).item(),
        np.random.standard_normal(3).tolist(),  # noqa: NPY002
        np.random.randint(0, 1000, 5).tolist(),  # noqa: NPY002
        random.gauss(0, 1),
        random.random(),
    )


@pytest.fixture(autouse=True)
def _unchanged_outside():
    before = random_state()
    yield
    restore_random_state(before)


def test_one_seed_gives_one_sequence_and_another_gives_another():
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("drawn", range(4))
def test_restored_from_disk_the_draws_go_on(tmp_path, drawn):
    seed_everything(0)
    for _ in range(drawn):
        draw()
    save_state(tmp_path, "random", random_state())
    expected = [draw() for _ in range(3)]
    seed_everything(99)
    restore_random_state(load_state(tmp_path, "random"))
    assert [draw() for _ in range(3)] == expected


def test_taking_the_state_draws_nothing():
    seed_everything(0)
    expected = draw()
    seed_everything(0)
    random_state()
    assert draw() == expected


def test_another_bit_generator_of_numpy_is_kept_too(tmp_path):
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(5))
        save_state(tmp_path, "random", random_state())
        expected = draw()
        restore_random_state(load_state(tmp_path, "random"))
        assert draw() == expected
    finally:
        np.random.set_bit_generator(before)


def test_states_of_devices_that_are_not_here_are_left_out():
    state = random_state()
    expected = draw()
    state["cuda"] = state["cuda"] + [torch.zeros(16, dtype=torch.uint8)]
    restore_random_state(state)
    assert draw() == expected


@pytest.mark.cuda
def test_restored_cuda_draws_go_on(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    seed_everything(0)
    torch.randn(5, device="cuda")
    save_state(tmp_path, "random", random_state())
    expected = torch.randn(5, device="cuda").tolist()
    restore_random_state(load_state(tmp_path, "random"))
    assert torch.randn(5, device="cuda").tolist() == expected


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError, match=rf"seed is {seed}; expected 0 <= seed < 2\*\*32"):
        seed_everything(seed)
