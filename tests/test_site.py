"""The documentation site builds without a warning: no broken link, no page that none leads to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_nb")
    pytest.importorskip("furo")
    source = tmp_path_factory.mktemp("site")
    kept = ("docs", "benchmarks", "notebooks", "models", "guides", "ltm_pyro")
    for name in kept:
        if (ROOT / name).exists():
            ignored = shutil.ignore_patterns("_build", "__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, source)
    built = source / "built"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(source / "docs"),
        str(built),
    ]
    result = subprocess.run(command, cwd=source, env={**os.environ}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    return built


def test_every_page_is_built_and_says_something(site):
    for page in (ROOT / "docs").glob("*.md"):
        text = (site / page.with_suffix(".html").name).read_text(encoding="utf-8")
        assert "<h1>" in text
    api = (site / "api.html").read_text(encoding="utf-8")
    for name in ("LatentThoughtModel", "MeanFieldGuide", "ImportanceWeighted", "GaussianPrior", "FastLoop"):
        assert f"{name}</span>" in api


def test_notebooks_stand_with_their_outputs(site):
    for notebook in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        text = (site / "notebooks" / notebook.with_suffix(".html").name).read_text(encoding="utf-8")
        assert "<img" in text
