"""The parts of a benchmark: rounds, ratios, records."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.scaling.__main__ import exponent
from benchmarks.timing import records
from benchmarks.timing.measures import Measure, rate, times_as_fast
from benchmarks.timing.rounds import alternate
from benchmarks.timing.sizes import Sizes
from benchmarks.tokens.__main__ import PLAIN, cheapest
from benchmarks.tokens.candidates import Candidate, Option
from benchmarks.training.products import flops_of_fast_step, flops_of_reading, flops_of_slow_step, flops_of_step


def test_contestants_take_turns_at_being_first_and_warming_up_does_not_count():
    order = []
    seconds = alternate({name: lambda name=name: order.append(name) for name in "abc"}, rounds=3, warmup=2)
    assert "".join(order) == "abcbcacababcbca"
    assert {name: len(column) for name, column in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_ratio_is_taken_round_by_round():
    measure = times_as_fast("ours / (a)", [2.0, 9.0, 4.0], [1.0, 3.0, 4.0], target=1.9)
    assert measure.rounds == (2.0, 3.0, 1.0)
    assert measure.line() == "ours / (a): 2 times (1 to 3); target at least 1.9: reached"
    assert rate("a", 10, [2.0, 5.0]).rounds == (5.0, 2.0)


@pytest.mark.parametrize(("least", "reached"), [(True, False), (False, True)])
def test_a_target_has_a_side(least, reached):
    assert Measure("x", (1.0, 2.0, 2.5), 2.1, least).reached is reached
    assert ("MISSED" in Measure("x", (2.0,), 2.1, least).line()) is not reached
    assert Measure("x", (2.0,)).reached is None


def test_the_power_of_t_is_the_slope_of_logarithms():
    assert exponent([16, 32, 64], [3 * n**1.25 for n in (16, 32, 64)]) == pytest.approx(1.25)


def test_the_cheapest_steps_that_reach_the_bound_win():
    option = Option("an option", {}, (0, 1, 2, 3))
    candidates = [Candidate(option, steps) for steps in option.steps]
    bound = {PLAIN: torch.full((2,), -2.5)}
    for candidate, value in zip(candidates, (-1.0, -2.6, -2.4, -2.3), strict=True):
        bound[candidate.name] = torch.full((2,), value)
    noisy = bound | {candidates[2].name: torch.tensor([-2.0, -2.8])}  # no further above than chance may put it
    seconds = {candidate.name: [1.0 + candidate.steps] for candidate in candidates}
    assert cheapest(candidates, bound, seconds) == {"an option": candidates[2]}
    assert cheapest(candidates, noisy, seconds) == {"an option": candidates[3]}


def test_products_are_those_that_a_counter_sees_but_for_attention():
    """With a window of one token and without depth, attention is next to nothing: the rest is counted by torch."""
    sizes = Sizes(vocabulary=64, width=32, layers=3, heads=2, thoughts=1, window=1, length=64, batch=2)
    decoder, x = sizes.decoder(), sizes.texts()
    z = torch.randn(2, *decoder.z_shape)
    head = 2 * sizes.tokens * sizes.width * sizes.vocabulary
    with FlopCounterMode(display=False) as counter:
        decoder(decoder.inputs(x), z).sum().backward()
    counted = counter.get_total_flops() + 3 * head
    assert flops_of_slow_step(sizes) == pytest.approx(counted, rel=0.05)
    decoder.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        prefix = decoder.prefix_states(decoder.inputs(x))
    assert flops_of_reading(sizes) == pytest.approx(counter.get_total_flops(), rel=0.05)
    with FlopCounterMode(display=False) as counter:
        decoder.hidden_states(prefix, z.requires_grad_()).sum().backward()
    assert flops_of_fast_step(sizes) == pytest.approx(counter.get_total_flops() + 2 * head, rel=0.05)
    whole = flops_of_step(sizes._replace(fast_steps=5))
    assert whole == flops_of_reading(sizes) + 5 * flops_of_fast_step(sizes) + flops_of_slow_step(sizes)


def test_a_record_names_no_place(tmp_path):
    words = ["--quick", "--out", str(tmp_path), f"--run={tmp_path}", "--rounds", "2"]
    told = records.provenance("gpu", words)
    assert told["command"][-3:] == ["--quick", "--rounds", "2"]
    path = records.save(tmp_path, "gpu", words, [Measure("x", (math.pi,))])
    text = path.read_text(encoding="utf-8")
    assert "3.14159" in text
    assert str(tmp_path) not in text


def test_a_measure_is_read_as_it_was_recorded():
    measure = Measure("ours / (a)", (2.0, 1.0, 4.0), target=3.0, least=False, unit="times")
    assert Measure.of_record(measure.record()) == measure
