"""Figures as files, whatever matplotlib has been told elsewhere."""

import matplotlib
import pytest

from ltm_pyro.plots.saving import save_figure


def test_no_program_is_run_to_set_type(tmp_path, monkeypatch):
    def run(*given, **named):
        pytest.fail("a program was started")

    monkeypatch.setattr("subprocess.Popen", run)
    monkeypatch.setattr("subprocess.check_output", run)
    with matplotlib.rc_context({"text.usetex": True}):
        paths = save_figure(tmp_path / "figure", [lambda axes: axes.set_title("a")], "A caption")
    assert all(path.stat().st_size for path in paths)
