"""Arguments become the objects they name; what cannot be built is refused before any work."""

import pytest
import torch
import yaml
from runs import TINY, arguments

from ltm_pyro import AutoregressiveModel, EmptyGuide, GaussianPrior, ImportanceWeighted, LatentThoughtModel
from ltm_pyro.cli.arguments import parse
from ltm_pyro.errors import InputError
from ltm_pyro.training.blueprint import RECIPES, assemble, check
from ltm_pyro.training.run import run_parser


def parsed(*words, **settings):
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    return run_parser().parse_args([*arguments({**TINY, **changed}), *words])


def built(config, vocabulary=30):
    return assemble(run_parser(), config, vocabulary, begin=1)


def test_sizes_and_settings_arrive_where_they_belong():
    config = parsed("--slow.bound", "ImportanceWeighted", "--slow.bound.particles", "3", "--prior.sigma", "2")
    model, guide, fast, slow = built(config)
    assert isinstance(model, LatentThoughtModel)
    assert model.decoder.z_shape == guide.z_shape == model.prior.z_shape == (2, 2, 16)
    assert (model.decoder.vocabulary, model.decoder.length, model.decoder.begin) == (30, 16, 1)
    assert fast.steps == 2
    assert slow.steps == 6  # the schedule lasts as long as the training
    assert isinstance(slow.bound, ImportanceWeighted)
    assert slow.bound.particles == 3
    assert isinstance(model.prior, GaussianPrior)
    assert model.prior.sigma == 2


def test_the_reference_is_the_same_decoder_without_thoughts():
    model, guide, _, _ = built(parsed("--model", "autoregressive"))
    assert isinstance(model, AutoregressiveModel)
    assert isinstance(guide, EmptyGuide)
    assert model.decoder.z_shape == (2, 0, 16)


def test_weights_go_from_one_blueprint_to_another():
    first, second = built(parsed()), built(parsed())
    assert not torch.equal(first.model.decoder.embedding.weight, second.model.decoder.embedding.weight)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.model.decoder.embedding.weight, second.model.decoder.embedding.weight)
    assert sum(1 for _ in first.global_parameters()) == len(first.state_dict())
    assert first.to("cpu") is first


def test_the_joined_loop_trains_all_global_parameters():
    blueprint = built(parsed())
    assert blueprint.svi().slow.parameters == list(blueprint.global_parameters())


@pytest.mark.parametrize(
    ("name", "millions", "layers", "thoughts", "steps"),
    [("small", 38, 3, 24, 16), ("medium", 51, 6, 24, 16), ("large", 76, 12, 96, 64)],
)
def test_the_recipes_have_the_papers_sizes(name, millions, layers, thoughts, steps):
    config = run_parser().parse_path(RECIPES / f"{name}.yaml")
    with torch.device("meta"):
        blueprint = assemble(run_parser(), config, config.data.vocabulary, begin=0)
    count = sum(parameter.numel() for parameter in blueprint.global_parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.02)
    found_layers, per_layer, width = blueprint.model.decoder.z_shape
    assert (found_layers, found_layers * per_layer, width) == (layers, thoughts, 512)
    assert (blueprint.model.decoder.length, blueprint.model.decoder.window) == (1024, 256)
    assert blueprint.fast.steps == steps
    assert config.data.vocabulary == 50258


def test_every_recipe_is_made_of_arguments():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {"tiny", "small", "medium", "large"}
    for path in RECIPES.glob("*.yaml"):
        assert_within(yaml.safe_load(path.read_text()), run_parser().parse_path(path).as_dict())


def assert_within(part, whole):
    """Every value of nested dictionaries stands in others."""
    for name, value in part.items():
        if isinstance(value, dict):
            assert_within(value, whole[name])
        else:
            assert (list(whole[name]) if isinstance(value, list) else whole[name]) == value


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--decoder.width", "18"], "width=18 cannot be shared by heads=2: .* width=16 would do"),
        (["--data.length", "1"], "length=1"),
        (["--decoder.thoughts", "0"], "--model autoregressive"),
        (["--prior.sigma", "-1"], "sigma=-1.0"),
        (["--prior", "AbstractPrior"], "--prior AbstractPrior: this is an abstract class"),
        (["--slow.bound", "AbstractBound"], "--slow.bound AbstractBound: this is an abstract class"),
        (["--fast.steps", "-1"], "steps=-1"),
        (["--fast.learning_rate", "0"], "learning_rate=0.0"),
        (["--slow.learning_rate", "-1"], "learning_rate=-1.0"),
        (["--slow.optimizer", "torch.optim.SGD"], "an optimizer cannot be made: .*'betas'"),
        (["--slow.betas", "[0.9,2.0]"], "an optimizer cannot be made: Invalid beta"),
        (["--fast.optimizer", "torch.optim.LBFGS", "--fast.optimizer.tolerance_grad", "x"], "tolerance_grad x"),
        (["--train.batch_size", "0"], "train.batch_size=0: expected 1 or more"),
        (["--train.seed", "-1"], "train.seed=-1"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_text_is_read(words, reason):
    with pytest.raises(InputError, match=reason):
        check(run_parser(), parse(run_parser(), [*arguments(TINY), *words]))


def test_what_can_be_built_is_not_refused():
    for words in ("", "--model autoregressive", "--fast.optimizer torch.optim.SGD --fast.optimizer.lr 1"):
        check(run_parser(), parsed(*words.split()))
