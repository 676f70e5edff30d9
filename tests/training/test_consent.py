"""The classes that a file of arguments may reach, and the memory of runs that were made here."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from torch.optim import Optimizer

import ltm_pyro
from ltm_pyro.bounds import AbstractGradient, AbstractObjective
from ltm_pyro.errors import InputError
from ltm_pyro.guides import AbstractGuide
from ltm_pyro.known_classes import classes_named, known_class
from ltm_pyro.models import AbstractPrior, GaussianPrior
from ltm_pyro.training import own_runs
from ltm_pyro.training.build import RECIPES
from ltm_pyro.training.class_paths import DEEPEST, LARGEST, NamedClass, checked_arguments
from ltm_pyro.training.consent import consented
from ltm_pyro.training.run import run_parser

REACH = {
    "data": {"cache": "/somewhere/else", "length": 8},
    "train": {"trackers": ["wandb"], "project": "theirs", "run_name": "best", "steps": 3},
    "guide": {"class_path": "ltm_pyro.MemoryGuide", "init_args": {"path": "/somewhere", "capacity": 3}},
}
NAMED = {"prior": {"class_path": "my_code.Prior"}, "slow": {"optimizer": "my_code.Optimizer"}}


@pytest.fixture(scope="module")
def parser():
    return run_parser()


@pytest.fixture
def file(tmp_path):
    """A file of arguments that reach beyond a run's folder."""
    path = tmp_path / "run" / "config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(REACH))
    return path


def test_a_strangers_file_says_neither_where_to_write_nor_to_whom_to_report(parser, file):
    found = consented(parser, REACH, file)
    assert found.values == {
        "data": {"length": 8},
        "train": {"steps": 3},
        "guide": {"class_path": "ltm_pyro.MemoryGuide", "init_args": {"capacity": 3}},
    }
    assert all(
        name in found.remark
        for name in ("data.cache /somewhere/else", "wandb", "theirs", "best", "guide.path /somewhere")
    )
    assert consented(parser, REACH, file, trust_code=True).values == REACH
    own_runs.remember(file)
    assert consented(parser, REACH, file) == (REACH, [], True, "")


def test_what_is_remembered_is_a_file_at_its_place_as_it_was(file):
    assert own_runs.code_folder(file) is None
    own_runs.remember(file)
    assert own_runs.code_folder(file) == str(Path.cwd())
    moved = shutil.copytree(file.parent, file.parent.with_name("moved"))
    assert own_runs.code_folder(moved / file.name) is None
    file.write_text(file.read_text() + "#")
    assert own_runs.code_folder(file) is None


def test_a_damaged_record_is_none(file):
    own_runs.remember(file)
    for text in ("", "[]", "{", "null"):
        own_runs._record(file).write_text(text)
        assert own_runs.code_folder(file) is None


def test_classes_of_others_are_listed_by_their_arguments(parser):
    assert checked_arguments(parser, NAMED).foreign == [
        NamedClass("prior", "my_code.Prior"),
        NamedClass("slow.optimizer", "my_code.Optimizer"),
    ]


def nested(depth):
    return {"unheard": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize("given", [{"unheard": list(range(LARGEST))}, nested(DEEPEST + 1), nested(500)])
def test_arguments_are_no_more_and_no_deeper_than_a_run_has(parser, given):
    with pytest.raises(InputError, match=f"at most {LARGEST} arguments, nested {DEEPEST} deep"):
        checked_arguments(parser, given)
    checked_arguments(parser, nested(DEEPEST))


PLACES = {AbstractPrior: "prior", AbstractGuide: "guide", AbstractObjective: "slow.bound", Optimizer: "fast.optimizer"}
OURS = [cls for name in ltm_pyro.__all__ if isinstance(cls := getattr(ltm_pyro, name), type)]
OPTIMIZERS = [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.Muon]


@pytest.mark.parametrize("cls", [*OURS, *OPTIMIZERS], ids=lambda cls: cls.__name__)
def test_every_class_of_ours_is_named_as_before(parser, cls):
    paths = (f"ltm_pyro.{cls.__name__}" if cls in OURS else f"torch.optim.{cls.__name__}", cls.__name__)
    for base, place in PLACES.items():
        for path in paths if issubclass(cls, base) else ():
            for spec in ({"class_path": path}, path):
                assert checked_arguments(parser, {place: spec}).foreign == []
    for gradient in paths if issubclass(cls, AbstractGradient) else ():
        bound = {"class_path": "ltm_pyro.ImportanceWeighted", "init_args": {"gradient": {"class_path": gradient}}}
        assert checked_arguments(parser, {"fast": {"bound": bound}}).foreign == []


@pytest.mark.parametrize(
    ("guide", "arguments"),
    [
        ("FlowGuide", {"base": "LowRankGuide", "options": {"rank": 2}}),
        ("FlowGuide", {"base": "ltm_pyro.guides.LowRankGuide"}),
        ("AutoGuideAdapter", {"autoguide": "AutoNormalMessenger", "options": {"init_scale": 0.1}}),
        ("AutoGuideAdapter", {"autoguide": "pyro.infer.autoguide.AutoDelta"}),
        ("MemoryGuide", {"guide": {"class_path": "ltm_pyro.SemiAmortisedGuide", "init_args": {"through": "own"}}}),
        ("AmortisedGuide", {"encoder": {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2}}}),
    ],
)
def test_guides_within_guides_are_named_as_before(parser, guide, arguments):
    given = {"guide": {"class_path": f"ltm_pyro.{guide}", "init_args": arguments}}
    assert checked_arguments(parser, given) == (given, [])


def test_recipes_and_what_a_run_writes_pass(parser):
    for recipe in RECIPES.glob("*.yaml"):
        assert checked_arguments(parser, yaml.safe_load(recipe.read_text())).foreign == []
    whole = yaml.safe_load(parser.dump(parser.get_defaults(), skip_unset=False))
    assert checked_arguments(parser, whole) == (whole, [])


def test_a_known_class_is_one_of_the_kind_that_ours_define():
    assert known_class("ltm_pyro.GaussianPrior", (AbstractPrior,)) is GaussianPrior
    assert known_class("ltm_pyro.models.GaussianPrior", (AbstractPrior,)) is GaussianPrior
    for path in (
        "ltm_pyro.MeanFieldGuide",
        "ltm_pyro.revive",
        "ltm_pyro.training.run.Path",
        "torch.os.system",
        "os.system",
    ):
        assert known_class(path, (AbstractPrior,)) is None

    class GaussianPrior_(GaussianPrior):
        pass

    GaussianPrior_.__module__ = "ltm_pyro_more"
    assert GaussianPrior_ in classes_named("GaussianPrior_", (AbstractPrior,))
    assert known_class("ltm_pyro_more.GaussianPrior_", (AbstractPrior,)) is None
