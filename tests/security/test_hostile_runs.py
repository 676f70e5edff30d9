"""A run is data: whatever a stranger writes into one, opening it executes, imports and writes nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs import train, write_corpus
from security.hostile_runs import EVIL, NEED_CONSENT, REFUSED, SHADOWS

CASES = {**NEED_CONSENT, **REFUSED}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Findings of a process in a hostile folder that opened every hostile run."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = write_corpus(folder / "text.jsonl", documents=20)
    assert train(corpus, folder / "mine", train__steps=2, train__evaluate_every=2) == 0
    shutil.copytree(folder / "mine", folder / "run")
    for name in ("evil", *SHADOWS):
        (folder / f"{name}.py").write_text(EVIL)
    (folder / "evil_package").mkdir()
    (folder / "evil_package" / "__init__.py").write_text(EVIL)
    for name in ("decoder.yaml", "more.yaml"):
        (folder / name).write_text("slow:\n  optimizer:\n    class_path: evil.make\n")
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    watched = [sys.executable, Path(__file__).with_name("watched.py")]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(watched, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return {(one["name"], one["door"]): one for one in json.loads(ended.stdout)}


def test_the_watch_notices_what_consent_lets_through(found):
    seen = found["the watch itself", "Run.open"]["seen"]
    assert any(line.startswith("executed ") and line.endswith("evil.py") for line in seen)
    assert "open PWNED" in seen
    assert "made PWNED" in seen


def test_every_kind_was_tried(found):
    assert len(CASES) >= 40
    assert {name for name, _ in found} == {*CASES, "the watch itself"}


@pytest.mark.parametrize("name", CASES)
def test_opening_it_executes_imports_and_writes_nothing(found, name):
    for (kind, door), result in found.items():
        if kind == name:
            assert result["seen"] == [], door


@pytest.mark.parametrize("name", CASES)
def test_the_refusal_is_one_line_that_names_the_file_and_what_is_wrong(found, name):
    needs_consent = name in NEED_CONSENT
    for (kind, door), result in found.items():
        if kind != name:
            continue
        python = door in ("Run.open", "load", "from_pretrained")
        line = result["code"] if python else result["err"].strip()
        assert line.startswith("InputError: " if python else "ltm: "), (door, line)
        assert python or result["code"] == 2
        assert "\n" not in line
        assert "config.yaml" in line, (door, line)
        assert CASES[name][1] in line, (door, line)
        assert ("--trust_code" in line) == needs_consent, (door, line)


def test_every_command_that_opens_a_run_refuses(found):
    doors = {door for name, door in found if name == "a function"}
    assert len(doors) == 24
