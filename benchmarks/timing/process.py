"""The answer of a measured process: the JSON in the last line that it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def answer_of(arguments: Sequence[str], name: str) -> Any:
    """Run Python with these arguments in the project's root, and read its answer.

    Raises:
        SystemExit: if the process fails, with its name, its exit status and its errors.
    """
    command = [sys.executable, *arguments]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{name}: the measured process ended with {process.returncode}\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])
