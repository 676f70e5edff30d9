"""The commands let waiting threads sleep soon, unless their user has said how to wait."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ltm_pyro import spinning

AS_SCRIPT = ["-c", "import sys; from ltm_pyro.cli.main import main; sys.exit(main())"]


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not loaded torch, and whose user has said nothing."""
    monkeypatch.setattr(spinning, "sys", SimpleNamespace(modules={}))
    monkeypatch.setattr(spinning, "os", SimpleNamespace(environ={}))
    return spinning.os.environ


def test_it_is_asked_once(fresh):
    assert spinning.spin_briefly()
    assert fresh == {"GOMP_SPINCOUNT": "30000"}
    assert not spinning.spin_briefly()


SAID = [{"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "passive"}]


@pytest.mark.parametrize("said", SAID)
def test_what_the_user_has_said_stands(fresh, said):
    fresh.update(said)
    assert not spinning.spin_briefly()
    assert fresh == said


def test_a_process_that_has_torch_is_left_alone(fresh):
    spinning.sys.modules["torch"] = object()
    assert not spinning.spin_briefly()
    assert fresh == {}


@pytest.mark.parametrize("entry", [["-m", "ltm_pyro.cli.main"], AS_SCRIPT], ids=["module", "script"])
def test_torch_is_loaded_with_it(entry):
    """The runtime itself says what it has read, when it is loaded."""
    own = {name: value for name, value in os.environ.items() if name not in spinning.SAID_BY_USER}
    env = {**own, "OMP_NUM_THREADS": "1", "OMP_DISPLAY_ENV": "VERBOSE"}
    command = [sys.executable, *entry, "plot", "nowhere"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "nowhere is not a run" in result.stderr
    if "GOMP_SPINCOUNT" not in result.stderr:
        pytest.skip("this build of torch has another OpenMP runtime")
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\w+)'", result.stderr)) == {"30000"}


def test_importing_the_library_loads_no_torch_and_finds_every_part():
    code = (
        "import sys, ltm_pyro\n"
        "before = 'torch' in sys.modules\n"
        "ltm_pyro.InputError\n"
        "print(before, 'torch' in sys.modules, ltm_pyro.bounds.ELBO is ltm_pyro.ELBO, hasattr(ltm_pyro, 'nothing'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["False", "False", "True", "False"], result.stderr
