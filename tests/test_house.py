"""The architecture: who may import whom, what importing costs, and what the code never does."""

import ast
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ltm_pyro"

GROUND = {  # every floor stands on these
    "allocation",
    "device",
    "errors",
    "files",
    "freezing",
    "hub_errors",
    "instances",
    "known_classes",
    "offered",
    "optional",
    "origin",
    "pretrained",
    "ranges",
    "recorded",
    "renamed_members",
    "spinning",
    "tables",
    "token_ids",
    "version",
}
BELOW = {  # floor: the floors below it, from which it may import
    "errors": set(),
    "allocation": set(),
    "device": set(),
    "files": set(),
    "freezing": set(),
    "hub_errors": {"errors"},
    "pretrained": {"allocation", "errors", "files", "hub_errors", "optional"},
    "instances": set(),
    "known_classes": set(),
    "offered": set(),
    "optional": set(),
    "origin": set(),
    "spinning": set(),
    "tables": set(),
    "version": set(),
    "token_ids": set(),
    "ranges": set(),
    "recorded": {"errors", "renamed_members"},
    "renamed_members": {"errors"},
    "bounds": set(),
    "models": set(),
    "guides": set(),
    "data": set(),
    "inference": {"bounds"},
    "generation": {"models", "inference"},
    "contracts": {"inference", "bounds", "models", "guides"},
    "training": {"contracts", "generation", "inference", "bounds", "models", "guides", "data"},
    "evaluation": {"plots", "report", "generation", "inference", "bounds", "models", "guides", "data"},
    "front": {"sharing", "runs", "training", "inference", "models", "guides", "data"},
    "report": set(),
    "export": {"evaluation", "inference", "bounds", "models", "guides", "data"},
    "control": {"evaluation", "training", "inference", "models", "guides", "data"},
    "runs": {
        "control",
        "export",
        "sharing",
        "evaluation",
        "plots",
        "training",
        "generation",
        "inference",
        "bounds",
        "models",
        "guides",
        "data",
    },
    "studies": {
        "runs",
        "evaluation",
        "plots",
        "training",
        "generation",
        "inference",
        "bounds",
        "models",
        "guides",
        "data",
    },
    "suites": {
        "runs",
        "evaluation",
        "plots",
        "training",
        "generation",
        "inference",
        "bounds",
        "models",
        "guides",
        "data",
    },
    "serving": {
        "runs",
        "evaluation",
        "report",
        "training",
        "generation",
        "inference",
        "bounds",
        "models",
        "guides",
        "data",
    },
    "refining": {
        "suites",
        "runs",
        "training",
        "generation",
        "inference",
        "bounds",
        "models",
        "guides",
        "data",
    },
    "sharing": {"training", "generation", "inference", "bounds", "models", "guides", "data"},
    "testing": {"contracts", "inference", "bounds", "models", "guides"},
    "plots": {"generation", "inference", "bounds", "models", "guides", "data"},
}  # and `cli` may import everything
PACKAGES = {  # what the lower floors may import beside the standard library
    "errors": set(),
    "allocation": set(),
    "spinning": set(),
    "files": {"yaml", "pydantic"},
    "freezing": {"torch"},
    "hub_errors": {"huggingface_hub"},
    "pretrained": {"torch", "huggingface_hub"},
    "instances": set(),
    "token_ids": {"torch"},
    "known_classes": set(),
    "offered": set(),
    "optional": {"torch", "zuko"},
    "bounds": {"torch", "pyro"},
    "models": {"torch", "pyro", "jaxtyping"},
    "guides": {"torch", "pyro", "jaxtyping"},
    "inference": {"torch", "pyro"},
    "generation": {"torch", "pyro"},
    "report": {"plotly"},
}
ABSTRACT = {"AbstractNonBound", "AbstractObjective", "Terms"}  # all that inference knows of bounds
HEAVY = [
    "accelerate",
    "charset_normalizer",
    "datasets",
    "huggingface_hub",
    "jsonargparse",
    "matplotlib",
    "pandas",
    "plotly",
    "pyarrow",
    "pydantic",
    "safetensors",
    "starlette",
    "tokenizers",
    "uvicorn",
    "xarray",
    "zuko",
]


def python_files():
    """Every file of the package, the linked folders included."""
    for folder, _, files in os.walk(PACKAGE, followlinks=True):
        yield from (Path(folder) / file for file in files if file.endswith(".py"))


def floor_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree):
    """(module, name) of every import anywhere in a file, those for type checkers and in functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, alias.name) for alias in node.names)


def faults(source, floor):
    """Imports of a file on a floor that it should not have."""
    for module, name in imports(ast.parse(source)):
        parts = f"{module}.{name}".strip(".").split(".")
        if module.startswith("."):
            yield f"relative import of {module}"
        elif parts[0] == "ltm_pyro":
            target = parts[1] if len(parts) > 1 else "__init__"
            if target not in {floor, *GROUND, *BELOW[floor]}:
                yield f"{floor} imports {module} ({name})"
            elif floor == "inference" and target == "bounds" and name not in ABSTRACT:
                yield f"inference knows a concrete bound: {name}"
        elif floor in PACKAGES and parts[0] not in sys.stdlib_module_names | PACKAGES[floor]:
            yield f"{floor} imports {parts[0]}"


def calls(tree):
    """The dotted name of everything that is called."""
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def every_file(*, but=()):
    paths = [path for path in sorted(python_files()) if floor_of(path) not in but]
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(PACKAGE)) for path in paths])


@every_file(but={"__init__", "cli"})
def test_imports_run_one_way(path):
    assert list(faults(path.read_text(encoding="utf-8"), floor_of(path))) == []


@pytest.mark.parametrize(
    ("floor", "source"),
    [
        ("models", "from ltm_pyro.guides import MeanFieldGuide"),
        ("models", "def f():\n    import numpy"),
        ("guides", "from ltm_pyro import models"),
        ("bounds", "from ltm_pyro.inference import FastLoop"),
        ("inference", "from ltm_pyro.bounds import ELBO"),
        ("inference", "import ltm_pyro"),
        ("inference", "from ltm_pyro.models import Decoder"),
        ("data", "from ltm_pyro.models import Decoder"),
        ("training", "from ltm_pyro.cli import main"),
        ("generation", "from ltm_pyro.training import run"),
        ("models", "from ..guides import MeanFieldGuide"),
        ("runs", "from ltm_pyro.cli.main import main"),
        ("sharing", "from ltm_pyro.runs import pull"),
        ("studies", "from ltm_pyro.suites.gsm8k import table"),
        ("suites", "from ltm_pyro.studies import runner"),
        ("evaluation", "from ltm_pyro.runs.loading import load"),
        ("front", "from ltm_pyro.cli.main import main"),
    ],
)
def test_an_import_the_other_way_would_be_noticed(floor, source):
    assert len(list(faults(source, floor))) == 1


def imported_files(sources):
    """Modules that each module imports, anywhere in it, among those given; a package's `__init__` is no target.

    Args:
        sources: each module's text by its name.
    """
    graph = {}
    for module, source in sources.items():
        pairs = imports(ast.parse(source))
        graph[module] = {t for pair in pairs for t in (".".join(pair), pair[0]) if t in sources} - {module}
    return graph


def circles(graph):
    """Sets of modules each of which leads to all others of its set."""
    reached = {}
    for start in graph:
        seen, ahead = set(), list(graph[start])
        while ahead:
            module = ahead.pop()
            if module not in seen:
                seen.add(module)
                ahead += graph[module]
        reached[start] = seen
    found = [{start, *(m for m in seen if start in reached[m])} for start, seen in reached.items() if start in seen]
    return [circle for place, circle in enumerate(found) if circle not in found[:place]]


def test_no_imports_go_in_a_circle():
    """Those for type checkers and in functions are seen too."""
    paths = [path for path in python_files() if path.name != "__init__.py"]
    found = circles(imported_files({module_of(path): path.read_text(encoding="utf-8") for path in paths}))
    assert found == []


def test_a_circle_would_be_noticed():
    sources = {
        "p.a": "from p.b import B",
        "p.b": "def f():\n    from p import c",
        "p.c": "import p.a",
        "p.d": "import p.a",
    }
    assert circles(imported_files(sources)) == [{"p.a", "p.b", "p.c"}]


def test_all_floors_were_seen():
    seen = {floor_of(path) for path in python_files()}
    assert {"models", "guides", "bounds", "inference", "errors"} <= seen
    assert seen <= {"__init__", "cli", *BELOW}


def test_models_and_guides_live_at_the_top_and_are_linked():
    for name in ("models", "guides"):
        link = PACKAGE / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / name
        assert not Path(os.readlink(link)).is_absolute()


@pytest.mark.parametrize("name", ["models", "guides"])
def test_a_bare_name_is_refused_with_the_remedy(name):
    result = run_python(f"import {name}")
    assert result.returncode == 1
    assert f"ImportError: this package was imported as '{name}': import it as ltm_pyro.{name}" in result.stderr


def test_importing_the_library_imports_nothing_heavy_and_sets_nothing():
    code = (
        "import sys, torch, pyro\n"
        "before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().sum().item()\n"
        "import ltm_pyro\n"
        "after = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().sum().item()\n"
        f"print([name for name in {HEAVY} if name in sys.modules], before == after)"
    )
    result = run_python(code)
    assert result.stdout.strip() == "[] True", result.stderr


def test_all_that_is_offered_exists():
    for name in ("ltm_pyro", *(f"ltm_pyro.{part}" for part in ("models", "guides", "bounds", "inference"))):
        module = importlib.import_module(name)
        assert sorted(module.__all__) == sorted(set(module.__all__))
        assert all(hasattr(module, offered) for offered in module.__all__)


@every_file()
def test_pyros_parameter_store_and_pickle_are_not_used(path):
    source = path.read_text(encoding="utf-8")
    named = {*calls(ast.parse(source)), *(name for pair in imports(ast.parse(source)) for name in pair)}
    avoided = {
        "pyro.param",
        "pyro.module",
        "PyroModule",
        "PyroParam",
        "PyroOptim",
        "SVI",
        "pyro.infer.SVI",
        "pickle",
        "cPickle",
        "torch.save",
    }
    assert not named & avoided
    loads = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    loads = [ast.unparse(node) for node in loads if ast.unparse(node.func) == "torch.load"]
    assert all("weights_only=True" in load for load in loads)


@every_file(but={"cli"})
def test_the_library_does_not_print(path):
    """Output of runs and studies goes through one file."""
    assert path == PACKAGE / "runs" / "console.py" or "print" not in calls(ast.parse(path.read_text(encoding="utf-8")))


def words_of_a_command_line(source):
    """Arguments that are named as words of a command line are."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.arg in ("words", "argv"):
            yield node.arg


@every_file(but={"cli"})
def test_words_of_a_command_line_stay_in_cli(path):
    assert list(words_of_a_command_line(path.read_text(encoding="utf-8"))) == []


def test_words_of_a_command_line_would_be_noticed():
    assert len(list(words_of_a_command_line("def f(words): pass"))) == 1


ASKED = ("model", "guide", "prior", "optimizer", "posterior")


def probes(source):
    """Questions whether a guide, a model or a prior has a member, and arguments of any type in their place."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            if ast.unparse(node.args[0]).split(".")[-1] in ASKED:
                yield ast.unparse(node)
        elif isinstance(node, ast.arg) and node.arg in ASKED and "Any" in ast.unparse(node.annotation or node):
            yield f"{node.arg}: Any"


@pytest.mark.parametrize("path", sorted((PACKAGE / "inference").glob("*.py")), ids=lambda path: path.stem)
def test_inference_asks_of_models_and_guides_what_their_contracts_say(path):
    """Defaults are in `contracts.py` alone."""
    assert list(probes(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "needs_unrolled = getattr(guide, 'needs_unrolled', False)",
        "def f(self):\n    if hasattr(self.guide, 'backward_guide'):\n        pass",
        "prior = getattr(fit.model, 'prior', None)",
        "def f(guide: Any):\n    pass",
    ],
)
def test_a_probe_would_be_noticed(source):
    assert len(list(probes(source))) == 1


@every_file(but={"cli", "training"})
def test_parsers_of_arguments_are_made_in_cli_alone(path):
    """Training has the parser of a run's configuration; what reads a command line stands in cli."""
    named = {name for pair in imports(ast.parse(path.read_text(encoding="utf-8"))) for name in pair}
    assert not named & {"argparse", "ArgumentParser"}


DOORS = [path for folder in ("benchmarks", "notebooks", "docs") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", DOORS, ids=[str(path.relative_to(ROOT)) for path in DOORS])
def test_only_main_is_imported_from_cli(path):
    """Benchmarks, notebooks and documents use the library; who starts commands starts `main`."""
    named = {module for module, _ in imports(ast.parse(path.read_text(encoding="utf-8"))) if ".cli" in module}
    assert named <= {"ltm_pyro.cli.main"}


def has_example(path):
    return ">>>" in path.read_text(encoding="utf-8")


EXAMPLES = sorted(filter(has_example, python_files()))


@pytest.mark.parametrize("path", EXAMPLES, ids=[module_of(path) for path in EXAMPLES])
def test_the_examples_in_the_docstrings_run(path):
    module = importlib.import_module(module_of(path))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0
