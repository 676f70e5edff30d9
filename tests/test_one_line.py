"""A new class is one file and one line in the `__init__.py` of its package: all doors know it then."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
import ltm_pyro
from ltm_pyro import {name}
from ltm_pyro.studies.defaults import default_guides, default_priors
from ltm_pyro.training.run import run_parser

assert "{name}" in ltm_pyro.__all__ and "{name}" in dir(ltm_pyro)
config = run_parser().parse_args(["--{argument}", "{name}"])
print(config["{argument}"].class_path, "{name}" in [*default_priors(), *default_guides(False)])
"""
BOUND = '''
"""A bound."""

from ltm_pyro.bounds.elbo import ELBO


class SecondELBO(ELBO):
    """The ELBO again."""
'''


def section(title):
    """The class that CONTRIBUTING.md shows in a section."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


NEW = {
    "GumbelPrior": ("models/priors", "prior", "Adding a prior"),
    "HeavyGuide": ("guides", "guide", "Adding a guide"),
    "SecondELBO": ("ltm_pyro/bounds", "fast.bound", None),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """All that a process finds of the new classes, a line of each, in a copy of the library with their files."""
    copy = tmp_path_factory.mktemp("library")
    for folder in ("ltm_pyro", "models", "guides"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (package, _, title) in NEW.items():
        module = f"ltm_pyro.{package.removeprefix('ltm_pyro/').replace('/', '.')}.new_one"
        (copy / package / "new_one.py").write_text(section(title) if title else BOUND, encoding="utf-8")
        listing = copy / package / "__init__.py"
        line = f"from {module} import {name} as {name}\n"
        text = listing.read_text(encoding="utf-8")
        listing.write_text(text.replace("from ltm_pyro.offered", f"{line}from ltm_pyro.offered"), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", "".join(CODE.format(name=name, argument=NEW[name][1]) for name in NEW)],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.splitlines(), ran.stderr[-2000:]


@pytest.mark.parametrize("name", NEW)
def test_one_line_makes_a_class_known(found, name):
    lines, told = found
    assert len(lines) == len(NEW), told
    assert lines[list(NEW).index(name)].split() == [f"ltm_pyro.{name}", str(NEW[name][2] is not None)]
