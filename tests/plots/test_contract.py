"""Every figure takes data and an Axes and returns it; all of them are public, and have a caption and no title."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from ltm_pyro import plots
from ltm_pyro.plots.costs import HIGHER, LOWER

FIGURES = Path(__file__).parents[2] / "docs" / "figures.md"

FUNCTIONS = {
    f"{module.name}.{name}": function
    for module in pkgutil.iter_modules(plots.__path__)
    for name, function in vars(importlib.import_module(f"ltm_pyro.plots.{module.name}")).items()
    if name.startswith("plot_") and function.__module__ == f"ltm_pyro.plots.{module.name}"
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_figure_takes_an_axes_returns_it_and_is_public(name):
    signature = inspect.signature(FUNCTIONS[name])
    assert signature.parameters["axes"].annotation == "Axes"
    assert signature.return_annotation == "Axes"  # mypy holds the body to it
    assert getattr(plots, name.partition(".")[2]) is FUNCTIONS[name]
    assert name.partition(".")[2] in plots.__all__


def test_every_figure_has_a_caption_with_bars_and_sign():
    assert set(plots.CAPTIONS) == {name for name in plots.__all__ if name.startswith("plot_")}
    for name, caption in plots.CAPTIONS.items():
        assert caption.endswith("."), name
        if name not in ("plot_law", "plot_ranks"):  # a band, and what chance allows
            assert "rror" in caption or "Bars" in caption, name
        if "ELBO" in caption or "cost" in caption.lower() or "log p(x" in caption:
            assert LOWER in caption, name
        assert not (LOWER in caption and HIGHER in caption), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_figure_has_a_title(name):
    assert "title(" not in inspect.getsource(FUNCTIONS[name])


def test_the_documentation_lists_all_figures():
    text = FIGURES.read_text(encoding="utf-8")
    assert [name for name in plots.CAPTIONS if f"`{name}`" not in text] == []
