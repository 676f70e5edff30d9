"""Executes a command on a mutant in a forked process, and judges the result."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from benchmarks.mutations.mutants import Mutant

SECONDS, BYTES = 60, 4 * 2**30
PATIENCE = 5  # wall-clock limit over the CPU limit, since other processes may use the processor
SECRET = "secret"


class Verdict(NamedTuple):
    """Result of a command: exit code (negative for a signal), seconds, output, and its fault."""

    name: str
    words: str
    code: int
    seconds: float
    out: str
    err: str
    fault: str


def judge(mutant: Mutant, shelf: Path, place: Path) -> Verdict:
    """Copy the folder `shelf` (`run`, `corpus.jsonl`) to `place`, damage the copy, and run the command there."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(shelf, place)
    mutant.damage(place)
    began = time.monotonic()
    status = _wait(_fork(mutant, place))
    out, err = ((place / name).read_text(encoding="utf-8", errors="replace") for name in (".out", ".err"))
    code = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    fault = _fault(mutant, code, out, err) or _leak(place)
    return Verdict(mutant.name, " ".join(mutant.words)[:100], code, seconds, out, err, fault)


def _fork(mutant: Mutant, place: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _carry_out(mutant, place)
    return child


def _carry_out(mutant: Mutant, place: Path) -> None:
    """Run the command in the child process; does not return."""
    code = 70
    try:
        os.chdir(place)
        for name, handle in ((".out", 1), (".err", 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), handle)
        # Tests may have replaced the parent's streams; the judge reads these files.
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        limit = _occupied() + BYTES  # the child inherits the parent's address space
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(PATIENCE * SECONDS)
        import torch

        from ltm_pyro.cli.main import main

        torch.set_num_threads(1)  # the parent's threads do not exist in the child
        code = main(list(mutant.words))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _occupied() -> int:
    """Size of this process's address space, bytes; 0 if the system does not report it."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 0


def _wait(child: int) -> int:
    return os.waitpid(child, 0)[1]


def _fault(mutant: Mutant, code: int, out: str, err: str) -> str:
    """Fault of a result; empty if there is none."""
    if code < 0:
        return "it hangs" if -code in (signal.SIGALRM, signal.SIGPROF) else f"killed by signal {-code}"
    if "Traceback" in err or "panicked at" in err:
        return "a traceback"
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if code == 2 and sum(line.startswith("ltm: ") for line in err.splitlines()) != 1:
        return "exit code 2 without one line that says why"
    if code == 2 and not err.splitlines()[-1].startswith("ltm: "):
        return "something stands below the line that says why"
    if code == 0 and mutant.bears:
        return "exit code 0, although what it needs was damaged"
    if code == 0 and re.search(r"(?<![\w.])(nan|inf)(?![\w.])", out):
        return "nan in a table"
    return ""


def _leak(place: Path) -> str:
    elsewhere, copy = place / "elsewhere", place / "copy"
    if elsewhere.exists() and elsewhere.read_text() != SECRET:
        return "it wrote through a link"
    sent = [path for path in copy.rglob("*") if path.is_file()] if copy.exists() else []
    return "it would send what a link leads to" if any(path.read_bytes() == SECRET.encode() for path in sent) else ""
