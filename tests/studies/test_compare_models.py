"""Courses and budgets, against numbers made by hand."""

import pytest
import torch
from toys import SIZES

from ltm_pyro import ELBO, Decoder, EmptyGuide, FastLoop, InputError, SlowStep
from ltm_pyro.evaluation.flops import spent_flops_per_token
from ltm_pyro.models import AutoregressiveModel
from ltm_pyro.studies.models import TrainingCurve, budget_records, budget_table, budgets_of, training_curve_of, within


def parts():
    torch.manual_seed(0)
    decoder = Decoder(**{**SIZES, "thoughts": 0})
    return AutoregressiveModel(decoder), EmptyGuide(), FastLoop(ELBO(), steps=2), SlowStep(ELBO())


def metrics(speeds=(90.0, 100.0, 900.0), told=True):
    records = []
    for step, speed in enumerate(speeds, 1):
        records.append({"step": step, "tokens": 100 * step, "tokens_per_second": speed})
        bits = {"bits_per_byte": {"exact": 3.0 - step, "predictive": 9.0}} if told else {}
        records.append({"step": step, "validation": {"exact": -5.0, **bits}})
    return records


def course(name, points):
    places = [{"tokens": t, "flops": 2 * t, "hours": t / 360, "bits_per_byte": b} for t, b in points]
    return TrainingCurve(name, "exact", 0.1, 2.0, 3.0, places)


def test_a_course_is_read_from_the_metrics():
    found = training_curve_of("run", metrics(), *parts())
    each = spent_flops_per_token(*parts())
    assert found.number == "exact"
    assert found.tokens_per_second == 100  # the median: one slow and one fast step change nothing
    assert [point["bits_per_byte"] for point in found.points] == [2.0, 1.0, 0.0]
    assert found.points[1] == {"tokens": 200, "flops": 200 * each, "hours": 2 / 3600, "bits_per_byte": 1.0}


@pytest.mark.parametrize(("records", "message"), [(metrics(told=False), "an earlier version"), ([], "train it on")])
def test_a_run_without_a_validation_in_bits_is_refused(records, message):
    with pytest.raises(InputError, match=f"run has no validation in bits per byte to compare: {message}"):
        training_curve_of("run", records, *parts())


def test_a_run_that_nothing_bounds_is_refused_by_name():
    records = metrics()
    for record in records[1::2]:
        record["validation"]["bits_per_byte"] = {"reconstruction": 1.0, "predictive": 2.0}
    with pytest.raises(InputError, match="run has no number to compare: EmptyGuide has no density"):
        training_curve_of("run", records, *parts())


def test_measured_speeds_change_the_hours_alone():
    logged = course("run", [(360, 3), (720, 2)])
    measured = logged.at_speeds([0.2, 0.4, 50.0])
    assert measured.tokens_per_second == 0.4  # one fast round changes nothing
    assert [point["hours"] for point in measured.points] == pytest.approx([0.25, 0.5])
    assert [{**p, "hours": 0} for p in measured.points] == [{**p, "hours": 0} for p in logged.points]
    table = budget_table([measured], 1, "a lathe")
    assert "the median over 3 rounds" in table
    assert "the median over a run's steps" in budget_table([logged], 1, "a lathe")


def test_budgets_are_where_all_stand_and_nothing_is_interpolated():
    slow, fast = course("slow", [(100, 5), (400, 3)]), course("fast", [(50, 6), (200, 4), (1600, 1)])
    budgets = budgets_of([slow, fast], "tokens", 3)
    assert budgets == pytest.approx([100, 200, 400])
    assert [within(slow, "tokens", b)["bits_per_byte"] for b in budgets] == [5, 5, 3]
    assert [within(fast, "tokens", b)["bits_per_byte"] for b in budgets] == [6, 4, 4]
    records = budget_records([slow, fast], 3)
    assert len(records) == 3 * 3 * 2
    for record in records:
        assert record[record["spent"]] <= record["budget"] * (1 + 1e-9)
    for spent in ("tokens", "flops", "hours"):
        own = [record["budget"] for record in records if record["spent"] == spent and record["run"] == "slow"]
        assert own == sorted(own)


def test_runs_that_share_no_budget_are_said_to():
    runs = [course("late", [(500, 1)]), course("early", [(100, 2), (200, 1)])]
    assert budgets_of(runs, "tokens", 3) == []
    assert "at its first validation late had spent more than early ever did" in budget_table(runs, 3, "a lathe")
