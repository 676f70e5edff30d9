"""Arguments become the objects they name; what cannot be built is refused before any work."""

import pytest
import torch
import yaml
from runs import TINY, arguments

from ltm_pyro import AutoregressiveModel, EmptyGuide, GaussianPrior, ImportanceWeighted, LatentThoughtModel
from ltm_pyro.cli.arguments import parse
from ltm_pyro.errors import InputError
from ltm_pyro.studies.defaults import default_guides
from ltm_pyro.training.build import RECIPES, build, fingerprint, validate
from ltm_pyro.training.dry_run import dry_run
from ltm_pyro.training.run import run_parser
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer


def parsed(*words, **settings):
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    return run_parser().parse_args([*arguments({**TINY, **changed}), *words])


def built(config, vocabulary=30):
    return build(run_parser(), config, StandInTokenizer(vocabulary, bos_id=1))


def test_sizes_and_settings_arrive_where_they_belong():
    config = parsed("--slow.bound", "ImportanceWeighted", "--slow.bound.particles", "3", "--prior.sigma", "2")
    model, guide, fast, slow = built(config)
    assert isinstance(model, LatentThoughtModel)
    assert model.decoder.z_shape == guide.z_shape == model.prior.z_shape == (2, 2, 16)
    assert (model.decoder.vocabulary, model.decoder.length, model.decoder.bos_id) == (30, 16, 1)
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


def test_weights_go_from_one_set_of_objects_to_another():
    first, second = built(parsed()), built(parsed())
    assert not torch.equal(first.model.decoder.embedding.weight, second.model.decoder.embedding.weight)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.model.decoder.embedding.weight, second.model.decoder.embedding.weight)
    assert sum(1 for _ in first.global_parameters()) == len(first.state_dict())
    assert first.to("cpu") is first


def test_the_joined_loop_trains_all_global_parameters():
    components = built(parsed())
    assert components.svi().slow.parameters == list(components.global_parameters())


@pytest.mark.parametrize(
    ("name", "millions", "layers", "thoughts", "steps"),
    [("small", 38, 3, 24, 16), ("medium", 51, 6, 24, 16), ("large", 76, 12, 96, 64)],
)
def test_the_recipes_have_the_papers_sizes(name, millions, layers, thoughts, steps):
    config = run_parser().parse_path(RECIPES / f"{name}.yaml")
    with torch.device("meta"):
        components = build(run_parser(), config, StandInTokenizer(config.data.vocabulary))
    count = sum(parameter.numel() for parameter in components.global_parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.02)
    found_layers, per_layer, width = components.model.decoder.z_shape
    assert (found_layers, found_layers * per_layer, width) == (layers, thoughts, 512)
    assert (components.model.decoder.length, components.model.decoder.window) == (1024, 256)
    assert components.fast.steps == steps
    assert config.data.vocabulary == 50258


def test_every_recipe_is_made_of_arguments():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {
        "tiny",
        "small",
        "medium",
        "large",
        "thoughts",
        "vae",
        "masked-diffusion",
        "pretrained",
        "llama-vae",
        "optimus",
    }
    for path in RECIPES.glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        encoder = settings.get("guide", {}).get("init_args", {}).get("encoder")
        if encoder is not None:  # whose name is the user's to give
            encoder.setdefault("init_args", {})["name"] = "an-encoder"
        assert_within(settings, run_parser(settings).parse_object(settings).as_dict())


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
        (["--slow.observer", "Nothing"], "--slow.observer Nothing: there is no such observer. Known: GradientAverage;"),
        (["--fast.steps", "-1"], "steps=-1"),
        (["--fast.learning_rate", "0"], "learning_rate=0.0"),
        (["--slow.learning_rate", "-1"], "learning_rate=-1.0"),
        (["--slow.optimizer", "torch.optim.SGD"], "an optimizer cannot be made: .*'betas'"),
        (["--slow.betas", "[0.9,2.0]"], "betas=\\(0.9, 2.0\\): expected from 0 below 1"),
        (["--fast.optimizer", "torch.optim.LBFGS", "--fast.optimizer.tolerance_grad", "x"], "tolerance_grad x"),
        (["--fast.optimizer", "torch.optim.LBFGS"], "LBFGS cannot step from gradients alone: .*closure"),
        (["--fast.optimizer", "torch.optim.SparseAdam"], "SparseAdam cannot step from gradients alone"),
        (["--train.batch_size", "0"], "train.batch_size=0: expected 1 or more"),
        (["--train.seed", "-1"], "train.seed=-1"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_text_is_read(words, reason):
    with pytest.raises(InputError, match=reason):
        validate(run_parser(), parse(run_parser(), [*arguments(TINY), *words]))


def without_eps(*words):
    """A tiny run's arguments, but that of its optimizer, which another one would not take."""
    tiny = {name: value for name, value in TINY.items() if not name.startswith("fast.optimizer")}
    return parse(run_parser(), [*arguments(tiny), *words])


NATURAL = ["--fast.optimizer", "ltm_pyro.NaturalGradient"]
MEMORY = ["--guide", "MemoryGuide", "--guide.guide"]
SMALL = ["--guide.guide.width", "16", "--guide.guide.heads", "2"]


@pytest.mark.parametrize(
    "name",
    ["LowRankGuide", "MatrixNormalGuide", "LayerChainedGuide", "LaplaceGuide", "MAPGuide", "AutoGuideAdapter"],
)
def test_a_family_without_a_natural_gradient_is_refused_before_any_text_is_read(name):
    with pytest.raises(InputError, match=r"^[A-Za-z]+ has no natural gradient in closed form: choose another fast.opt"):
        validate(run_parser(), without_eps("--guide", name, *NATURAL))
    with pytest.raises(InputError, match=f"^{name} has no natural"):
        validate(run_parser(), without_eps(*MEMORY, name, *NATURAL))


@pytest.mark.parametrize(
    "words",
    [
        ["--guide", "FullCovarianceGuide"],
        ["--guide", "FixedVarianceGuide"],
        ["--guide", "SemiAmortisedGuide", "--guide.width", "16"],
        ["--guide", "FlowGuide", "--guide.hidden", "8"],
        ["--guide", "LangevinGuide"],  # it moves in a way of its own
        ["--guide", "AmortisedGuide", "--guide.width", "16"],  # nothing moves
        [*MEMORY, "MeanFieldGuide"],
    ],
)
def test_a_family_with_one_is_not(words):
    validate(run_parser(), without_eps(*words, *NATURAL))


def test_a_memory_of_nothing_is_refused_before_any_text_is_read():
    with pytest.raises(InputError, match=r"^AmortisedGuide has no local parameters, .* use it without MemoryGuide$"):
        validate(run_parser(), parsed(*MEMORY, "AmortisedGuide", *SMALL))
    validate(run_parser(), parsed(*MEMORY, "SemiAmortisedGuide", *SMALL))


def test_what_pyro_refuses_an_autoguide_is_refused_before_any_text_is_read():
    with pytest.raises(InputError, match=r"AutoNormal cannot be made for the site `z`: .*wide"):
        validate(run_parser(), parsed("--guide", "AutoGuideAdapter", "--guide.options", '{"wide": 1}'))


def test_a_check_leaves_a_guide_as_it_was_made():
    """Laplace's has a density until a batch begins."""
    state = torch.get_rng_state()
    components = built(parsed("--guide", "LaplaceGuide"))
    after = torch.get_rng_state()
    dry_run(components, 16)
    assert torch.equal(torch.get_rng_state(), after)
    assert not torch.equal(state, after)
    assert components.guide.rows is None
    assert validate(run_parser(), parsed("--guide", "LaplaceGuide")).guide.has_density


@pytest.mark.parametrize("guide", [*default_guides(discrete=False), "AutoGuideAdapter", "MemoryGuide"])
def test_no_guide_is_refused(guide):
    validate(run_parser(), parsed("--guide", guide))


@pytest.mark.parametrize("guide", [*default_guides(discrete=True), "CategoricalGuide"])
def test_no_guide_of_codes_is_refused(guide):
    words = ["--prior", "CodebookPrior", "--guide", guide]
    validate(run_parser(), parsed(*words, "--fast.bound", "KLWeighted", "--slow.bound", "KLWeighted"))


def test_relaxed_codes_are_refused_by_a_bound_before_any_text_is_read():
    words = ["--prior", "CodebookPrior", "--guide", "GumbelSoftmaxGuide", "--fast.bound", "KLWeighted"]
    with pytest.raises(InputError, match=r"ELBO does not go with GumbelCategorical .* KLWeighted"):
        validate(run_parser(), parsed(*words))
    dry_run(built(parsed(*words)), 16, learns=False)


def test_tables_fit_codes_by_a_gradient_that_needs_no_path():
    words = ["--prior", "CodebookPrior", "--guide", "CategoricalGuide", "--fast.bound", "KLWeighted"]
    pathless = ["--fast.bound.particles", "4", "--fast.bound.gradient", "ScoreFunction"]
    bound = built(parsed(*words, *pathless)).with_fast_steps(3).fast.bound
    assert repr(bound) == "ELBO(particles=4, gradient=ScoreFunction())"
    assert repr(built(parsed(*words, *pathless[:2])).with_fast_steps(3).fast.bound) == "ELBO(particles=1)"


def test_what_can_be_built_is_not_refused():
    for words in ("", "--model autoregressive", "--fast.optimizer torch.optim.SGD --fast.optimizer.lr 1"):
        validate(run_parser(), parsed(*words.split()))


def test_a_run_is_known_by_what_shapes_its_weights(tmp_path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")

    def known(**settings):
        return fingerprint(parsed(**settings), tokenizer)

    assert known() == known(decoder__recompute=True) == known(fast__steps=5, train__steps=9)
    assert known() == known(decoder__initial_scale=0.1)
    assert len({known(), known(decoder__width=32), known(decoder__thoughts=1), known(data__length=18)}) == 4
    assert known() != known(decoder__inner=48)
    older = parsed()  # written when there was no such choice
    for name in ("inner", "initial_scale"):
        older.decoder.pop(name)
    assert fingerprint(older, tokenizer) == known()
    before = known()
    tokenizer.write_text("{ }")
    assert known() != before
