"""Every figure takes data and an Axes and returns it; all of them are public."""

import importlib
import inspect
import pkgutil

import pytest

from ltm_pyro import plots

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
