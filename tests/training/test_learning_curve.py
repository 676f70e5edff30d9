"""A curve is the log's numbers: means of training steps, validations as they are, seconds without them."""

import pytest

from ltm_pyro.training.learning_curve import learning_curve


def step(number, elbo, **others):
    return {"step": number, "tokens": 100 * number, "elbo": elbo, "kl": 0.5, "tokens_per_second": 50.0, **others}


def test_training_points_are_means_that_stand_at_their_last_step():
    curve = learning_curve([step(n, -float(n)) for n in range(1, 6)], points=2)
    assert [(p["steps"], p["tokens"], p["seconds"]) for p in curve] == [(3, 300, 6.0), (5, 500, 10.0)]
    assert [p["elbo"] for p in curve] == [-2.0, -4.5]


def test_a_validation_stands_where_it_was_measured_and_gives_the_kl_back():
    records = [step(1, -3.0), {"step": 1, "validation": {"elbo": -2.0, "kl": 0.3, "kl_per_layer": [0.1, 0.2]}}]
    _, point = learning_curve([*records, step(2, -1.0)], points=9)[:2]
    assert point["part"] == "validation"
    assert (point["steps"], point["seconds"]) == (1, 2.0)
    assert point["log_likelihood"] == pytest.approx(-1.7)
    assert point["kl_layer_2"] == 0.2


def test_an_exact_likelihood_is_its_own():
    records = [step(1, -3.0), {"step": 1, "validation": {"exact": -2.0, "elbo": -2.0, "kl": None, "kl_per_layer": []}}]
    assert learning_curve(records)[1]["log_likelihood"] == -2.0


def test_what_is_missing_or_infinite_is_left_out_of_the_mean():
    curve = learning_curve([step(1, -1.0), step(2, float("-inf")), step(3, -3.0)], points=1)
    assert curve[0]["elbo"] == -2.0
