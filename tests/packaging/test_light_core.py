"""The light core: models, guides, bounds and inference run without the packages that runs and the command need."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
ROOT = Path(__file__).parents[2]
CORE = {"torch", "pyro-ppl", "numpy", "jaxtyping", "typing_extensions"}
MODULES = {"pyyaml": "yaml", "charset-normalizer": "charset_normalizer"}
STEP = """
import sys
for name in {without}:
    sys.modules[name] = None  # an import of it fails
import torch
from ltm_pyro import ELBO, Decoder, DualRateSVI, FastLoop, GaussianPrior, ImportanceWeighted, LatentThoughtModel
from ltm_pyro import MeanFieldGuide, SlowStep
decoder = Decoder(vocabulary=11, width=8, layers=1, thoughts=2, window=4, length=6)
model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
svi = DualRateSVI(
    model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), steps=2), SlowStep(ImportanceWeighted(2))
)
print(svi.step(torch.zeros(3, 6, dtype=torch.long), torch.ones(3, 6, dtype=torch.bool)).elbo.shape)
"""


def others():
    """Modules of all dependencies but those of the core."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w.-]+", one)[0] for one in project["dependencies"]}
    assert names > CORE
    return sorted(MODULES.get(name, name) for name in names - CORE)


def stepped(without):
    program = STEP.format(without=without)
    return subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True)


def test_a_step_needs_only_the_core():
    done = stepped(others())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([3])"


def test_a_missing_package_of_the_core_would_be_noticed():
    assert "jaxtyping" in stepped(["jaxtyping"]).stderr
