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


@pytest.mark.parametrize(
    ("package", "argument", "name", "title"),
    [
        ("models/priors", "prior", "GumbelPrior", "Adding a prior"),
        ("guides", "guide", "HeavyGuide", "Adding a guide"),
        ("ltm_pyro/bounds", "fast.bound", "SecondELBO", None),
    ],
)
def test_one_line_makes_a_class_known(tmp_path, package, argument, name, title):
    for folder in ("ltm_pyro", "models", "guides"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    module = f"ltm_pyro.{package.removeprefix('ltm_pyro/').replace('/', '.')}.new_one"
    (tmp_path / package / "new_one.py").write_text(section(title) if title else BOUND, encoding="utf-8")
    listing = tmp_path / package / "__init__.py"
    line = f"from {module} import {name} as {name}\n"
    text = listing.read_text(encoding="utf-8")
    listing.write_text(text.replace("from ltm_pyro.offered", f"{line}from ltm_pyro.offered"), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", CODE.format(name=name, argument=argument)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == [f"ltm_pyro.{name}", str(title is not None)], ran.stderr[-2000:]
