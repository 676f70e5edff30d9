"""The tests that need CUDA, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.finding import Finding, tolerance
from benchmarks.gpu.setting import Setting
from benchmarks.timing.measures import Measure

ROOT = Path(__file__).parents[2]
MARK = "mark.cuda"
ALONE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # these tests need none, and some take seconds to load


def measure(setting: Setting) -> Finding:
    """Numbers of passed and failed tests, of which none may fail; pytest's own report is printed."""
    if not setting.on_cuda:
        return Finding(skipped=[f"{len(files_with_mark())} files have tests marked `cuda`: there is no CUDA device"])
    return outcome_of(["-m", "cuda", *map(str, files_with_mark())])


def files_with_mark() -> list[Path]:
    """The files with such tests."""
    return [path for path in sorted(ROOT.glob("tests/**/test_*.py")) if MARK in path.read_text(encoding="utf-8")]


def outcome_of(arguments: Sequence[str]) -> Finding:
    """Outcome of pytest.

    Args:
        arguments: of pytest.

    Raises:
        RuntimeError: no test ran.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr).strip()}")
        suites = list(ElementTree.parse(report).iter("testsuite"))
    names = ("tests", "failures", "errors", "skipped")
    count = {name: sum(int(suite.get(name, 0)) for suite in suites) for name in names}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    if failed:
        print(done.stdout, file=sys.stderr)
    return Finding(
        [
            Measure("passed", (passed,), 1, unit="tests"),
            tolerance("failed", failed, 0, "tests"),
            Measure("skipped", (count["skipped"],), unit="tests"),
        ]
    )
