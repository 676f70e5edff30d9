"""The documentation is true: its examples run, its tables say what the classes do."""

import inspect
import re
from pathlib import Path

import pytest
import torch
from matplotlib import rc_context

import ltm_pyro
from ltm_pyro import (
    ELBO,
    AbstractGradient,
    AbstractObjective,
    Decoder,
    FastLoop,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    LatentThoughtModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.testing import check_bound, check_decoder, check_guide, check_prior
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.own_classes import check_own_classes

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def python_blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md"]
BLOCKS = [(path, number, code) for path in PAGES for number, code in enumerate(python_blocks(path))]


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{path.stem} {number}" for path, number, _ in BLOCKS])
def test_every_example_runs(block):
    with rc_context():  # an example may set a style
        exec(block[2], {"__name__": "docs"})


PRINTED = re.compile(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", re.DOTALL)
SHOWN = [(path, code, text) for path in PAGES for code, text in PRINTED.findall(path.read_text(encoding="utf-8"))]
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def same_but_for_digits(one, two):
    """Texts whose numbers are within a tenth of each other's."""
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (one, two)]
    return NUMBER.sub("0", one) == NUMBER.sub("0", two) and numbers[0] == pytest.approx(numbers[1], rel=0.1)


@pytest.mark.parametrize("shown", SHOWN, ids=[f"{path.stem} {at}" for at, (path, _, _) in enumerate(SHOWN)])
def test_an_example_prints_what_stands_below_it(shown, capsys):
    exec(shown[1], {"__name__": "docs"})
    printed = capsys.readouterr().out
    assert same_but_for_digits(printed, shown[2]), printed


def test_another_print_would_be_noticed():
    assert len(SHOWN) >= 3
    assert same_but_for_digits("integrates to 3.47 within 15", "integrates to 3.48 within 15")
    assert not same_but_for_digits("integrates to 3.47 within 15", "integrates to 8.02 within 15")
    assert not same_but_for_digits("integrates to 3.47", "adds up to 3.47")


def test_messages_of_the_checks_are_quoted_as_they_are():
    """Each row of the tables with the head `message` is in the source of the checks, but for what varies."""
    folders = [ROOT / "ltm_pyro" / name for name in ("testing", "contracts")]
    sources = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py"))
    sources = re.sub(r'"\n\s*f?"', "", sources)  # texts that go on in the next line
    sources = sources.replace("{name}", "value(log_w)")
    tables = (DOCS / "testing.md").read_text(encoding="utf-8").split("| message | look at |\n| --- | --- |\n")[1:]
    quoted = [row.strip("| ").split(" | ")[0] for table in tables for row in table.split("\n\n")[0].splitlines()]
    assert len(quoted) >= 12
    for message in quoted:
        words = ".*?".join(re.escape(part) for part in message.split("…"))
        assert re.search(words, sources), message


def concrete(base):
    return [
        cls
        for cls in (getattr(ltm_pyro, name) for name in ltm_pyro.__all__)
        if inspect.isclass(cls) and issubclass(cls, base) and not inspect.isabstract(cls)
    ]


def test_the_table_of_pairs_is_what_is_refused_and_what_is_not():
    text = (DOCS / "bounds.md").read_text(encoding="utf-8").split("<!-- pairs -->\n")[1].split("\n\n")[0]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
    told = {(row[0], gradient): cell == "yes" for row in rows for gradient, cell in zip(head[1:], row[1:], strict=True)}
    found = {}
    for objective in concrete(AbstractObjective):
        for gradient in concrete(AbstractGradient):
            try:
                objective(particles=8, gradient=gradient())
            except (InputError, TypeError):  # TypeError: it takes no gradient
                found[objective.__name__, gradient.__name__] = gradient.__name__ == "Reparameterised"
            else:
                found[objective.__name__, gradient.__name__] = True
    assert told == found


def test_the_bound_of_the_example_is_one():
    space = {"__name__": "docs"}
    exec(python_blocks(DOCS / "bounds.md")[-1], space)
    bound = space["LeaveOneOut"](4)
    toy = LinearGaussian()
    torch.testing.assert_close(bound.terms(toy, toy.exact_guide(), toy.x).bound, toy.evidence(toy.x))
    log_w = torch.randn(4, 3, dtype=torch.float64)
    by_hand = [torch.cat([log_w[:s], log_w[s + 1 :]]).exp().mean(0).log() for s in range(4)]
    torch.testing.assert_close(bound.value(log_w), torch.stack(by_hand).mean(0))
    assert not torch.allclose(bound.value(log_w), ImportanceWeighted(4).value(log_w))


def test_the_prior_of_the_example_is_one():
    space = {"__name__": "docs"}
    exec(python_blocks(ROOT / "CONTRIBUTING.md")[0], space)
    prior = space["GumbelPrior"]((1, 1, 2), scale=0.5).double()
    z = torch.linspace(-6, 12, 2001, dtype=torch.float64)
    density = prior().log_prob(torch.cartesian_prod(z[::10], z[::10]).view(-1, 1, 1, 2)).exp()
    assert density.sum() * (18 / 200) ** 2 == pytest.approx(1.0, abs=1e-3)
    toy = LinearGaussian(z_shape=(1, 1, 2))
    toy.prior = prior
    guide = MeanFieldGuide((1, 1, 2))
    guide.start(toy.x, prior=prior())
    terms = ELBO(4).terms(toy, guide, toy.x)
    assert terms.bound.isfinite().all()


def test_the_guide_of_the_example_is_one():
    space = {"__name__": "docs"}
    exec(python_blocks(ROOT / "CONTRIBUTING.md")[1], space)
    toy = LinearGaussian().float()
    toy.x = toy.x.float()
    guide = space["HeavyGuide"](toy.z_shape)
    FastLoop(ELBO(), steps=0).fit(toy, guide, toy.x)
    cold = ELBO(2000).terms(toy, guide, toy.x).bound
    FastLoop(ELBO(8), steps=100, learning_rate=0.2).fit(toy, guide, toy.x)
    fitted = ELBO(2000).terms(toy, guide, toy.x).bound
    toy = toy.double()
    assert (fitted - cold).min() > 2
    assert (toy.evidence(toy.x) - fitted).min() > -0.1


def test_the_decoder_of_the_example_is_one():
    space = {"__name__": "docs"}
    exec(python_blocks(ROOT / "CONTRIBUTING.md")[2], space)
    decoder = space["GRUDecoder"](20, length=9, bos_id=3, width=8, thoughts=2)
    check_decoder(decoder)
    check_decoder(space["GRUDecoder"](20, length=9, thoughts=0))
    x, z = torch.randint(20, (2, 9)), torch.randn(2, 2, 1, 2, 8)
    assert not torch.allclose(decoder.token_log_prob(x, z[0]), decoder.token_log_prob(x, z[1]))


def classes_of(code):
    """The classes that an example defines, by name."""
    space = {"__name__": "docs"}
    exec(code, space)
    return {name: value for name, value in space.items() if inspect.isclass(value) and value.__module__ == "docs"}


def cell_with(name):
    """The imports of the twelfth notebook, and the cell that defines a class."""
    cells = (ROOT / "notebooks" / "12_your_own_classes.py").read_text(encoding="utf-8").split("# %%")
    imports = next(cell for cell in cells if "from ltm_pyro import" in cell).split("plt.rcParams")[0]
    cell = next(cell for cell in cells if f"class {name}(" in cell and "HEAD =" not in cell)
    return imports.partition("\n")[2] + "\n" + cell.partition("\n")[2].split("\ncheck_")[0]


def examples_of_contributing():
    prior, guide = python_blocks(ROOT / "CONTRIBUTING.md")[:2]
    bound = python_blocks(DOCS / "bounds.md")[-1]
    return classes_of(prior)["GumbelPrior"], classes_of(guide)["HeavyGuide"], classes_of(bound)["LeaveOneOut"]


def examples_of_the_notebook():
    return [classes_of(cell_with(name))[name] for name in ("LogisticPrior", "OneFactorGuide", "Halves")]


def test_the_examples_keep_their_contracts_as_they_stand():
    prior, guide, bound = examples_of_contributing()
    check_prior(prior)
    check_guide(guide)
    check_bound(bound(4))


@pytest.mark.parametrize("examples", [examples_of_contributing, examples_of_the_notebook])
def test_the_examples_train_on_token_ids(examples):
    prior, guide, bound = examples()
    decoder = Decoder(vocabulary=9, width=8, layers=1, heads=2, thoughts=2, length=6)
    model = LatentThoughtModel(prior(decoder.z_shape), decoder)
    components = RunComponents(model, guide(decoder.z_shape), FastLoop(bound(4), steps=1), SlowStep(bound(4)))
    check_own_classes(components, 6)
    assert components.svi().step(torch.randint(9, (3, 6))).elbo.isfinite().all()


def test_the_guide_that_mixes_texts_is_refused_before_training_too():
    code = next(code for code in python_blocks(DOCS / "testing.md") if "class Centred" in code).split("\ntry:")[0]
    decoder = Decoder(vocabulary=2, width=8, layers=1, heads=2, thoughts=2, length=6)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), classes_of(code)["Centred"]
    components = RunComponents(model, guide(decoder.z_shape), FastLoop(ELBO(), 1), SlowStep(ELBO()))
    with pytest.raises(InputError, match="batch mates"):
        check_own_classes(components, 6)
