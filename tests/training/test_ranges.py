"""Every number that a run can be given has a range, and what is outside it is refused by name, at every door."""

import dataclasses
import inspect
import math
import re

import pytest
import torch
from runs import ltm

import ltm_pyro
from ltm_pyro import (
    AbstractGuide,
    AbstractPrior,
    Decoder,
    FastLoop,
    InputError,
    MeanFieldGuide,
    NaturalGradient,
    SlowStep,
)
from ltm_pyro.bounds import AbstractGradient, AbstractObjective, AbstractSchedule
from ltm_pyro.ranges import LARGEST, Range, bounded, whole
from ltm_pyro.training.settings import DataSettings, TrainSettings

Z_SHAPE = (2, 2, 8)
BASES = (AbstractPrior, AbstractGuide, AbstractObjective, AbstractGradient, AbstractSchedule)
FURTHER = [Decoder, FastLoop, SlowStep, NaturalGradient, DataSettings, TrainSettings]
OUTSIDE = {"particles": "-1", "seed": "2**32"}


def classes():
    """All that the command line builds, by name or by signature."""
    offered = (getattr(ltm_pyro, name) for name in ltm_pyro.__all__)
    named = [c for c in offered if inspect.isclass(c) and issubclass(c, BASES) and not inspect.isabstract(c)]
    return [*named, *FURTHER]


def needed(cls):
    """The arguments without which it cannot be made."""
    if issubclass(cls, AbstractPrior | AbstractGuide):
        return {"z_shape": Z_SHAPE}
    if issubclass(cls, NaturalGradient):
        guide = MeanFieldGuide(Z_SHAPE)
        guide.start(torch.zeros(1, 4, dtype=torch.long))
        return {"params": guide.local_parameters()}
    if cls is Decoder:
        return {"vocabulary": 10, "width": 8, "layers": 1, "heads": 2, "thoughts": 2, "length": 6}
    return {"bound": ltm_pyro.ELBO()} if cls in (FastLoop, SlowStep) else {}


def numeric(cls):
    """Its arguments that are numbers, or may be."""
    for parameter in inspect.signature(cls).parameters.values():
        if re.search(r"\b(int|float)\b", str(parameter.annotation)) and parameter.name != "z_shape":
            yield parameter.name


def ranges_of(cls):
    """Declared ranges of a class, beside its constructor or that of a base class which it hands the argument on to."""
    found = {}
    for base in reversed(cls.__mro__):
        found |= getattr(base.__dict__.get("__init__"), "ranges", {})
        if dataclasses.is_dataclass(base):
            found |= base.ranges
    return found


def outside(limits):
    """Numbers that a range refuses."""
    yield from (math.nan, math.inf, -math.inf)
    if limits.least > -math.inf:
        yield limits.least if limits.without_least else limits.least - 1
    if limits.most < math.inf:
        yield limits.most if limits.without_most else limits.most + 1
        yield 10**30


CASES = [(cls, name) for cls in classes() for name in numeric(cls)]


def test_the_walk_finds_what_it_is_for():
    names = {f"{cls.__name__}.{name}" for cls, name in CASES}
    assert names >= {
        "SlowStep.clip",
        "Decoder.width",
        "TrainSettings.seed",
        "KLWeighted.kl_weight",
        "SVGDGuide.particles",
    }
    assert len(names) > 100


@pytest.mark.parametrize(("cls", "name"), CASES, ids=[f"{cls.__name__}.{name}" for cls, name in CASES])
def test_every_number_has_a_range_and_keeps_to_it(cls, name):
    limits = ranges_of(cls).get(name)
    assert limits is not None, f"declare it: @bounded({name}=...) at the constructor of {cls.__name__}"
    for number in outside(limits):
        value = (number, 0.9) if name == "betas" else number
        with pytest.raises(InputError, match=name):
            cls(**{**needed(cls), name: value})


def test_a_class_without_a_range_would_be_noticed():
    class Forgetful(ltm_pyro.ELBO):
        def __init__(self, particles: int = 1, width: int = 3) -> None:
            super().__init__(particles)

    assert list(numeric(Forgetful)) == ["particles", "width"]
    assert "particles" in ranges_of(Forgetful)
    assert "width" not in ranges_of(Forgetful)


def test_a_constructors_own_reason_comes_first_and_its_crash_last():
    class Careful:
        @bounded(size=whole(2), pair=Range(0, 1))
        def __init__(self, size: int, pair=(0.5, 0.5)) -> None:
            if size == 1:
                raise InputError("size=1: one would be alone")
            1 / size

    with pytest.raises(InputError, match="alone"):
        Careful(1)
    with pytest.raises(InputError, match="size=0: expected 2 or more, up to 2147483647"):
        Careful(0)
    with pytest.raises(InputError, match=r"pair=\(0.5, 2\): expected from 0 up to 1"):
        Careful(3, pair=(0.5, 2))
    Careful(3, pair=None)


@pytest.mark.parametrize(
    "words",
    [
        "--slow.clip -1",
        "--slow.warmup -1",
        "--slow.weight_decay -0.1",
        "--slow.learning_rate nan",
        "--slow.betas [0.9,1.5]",
        "--slow.final_fraction 2",
        "--fast.learning_rate 1e400",
        "--fast.patience 0",
        "--decoder.window 0",
        "--decoder.thoughts -1",
        "--decoder.thought_scale -1",
        "--thought_width 0",
        "--data.seed -1",
        "--data.validation nan",
        "--train.seed 9223372036854775808",
        "--train.evaluate_fast_steps -1",
        "--train.save_every 0",
        "--prior.sigma inf",
    ],
)
def test_the_command_line_refuses_them_before_any_text_is_read(capsys, words):
    assert ltm("train", "nowhere.txt", "--run", "nowhere", *words.split()) == 2
    message = capsys.readouterr().err
    name = words.split()[0].rsplit(".", 1)[-1].removeprefix("--")
    assert re.search(rf"^ltm: .*\b{name}\b.*: expected", message), message
    assert "nowhere.txt" not in message


def test_the_largest_is_a_size_like_any_other():
    assert whole(1).holds(LARGEST)
    assert not whole(1).holds(LARGEST + 1)
    assert not whole(1).holds(math.nan)
