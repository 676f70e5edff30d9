"""A clean process that has imported what most tests' processes import, and forks one for each command.

A process that is forked from a test's own (`tests/forked.py`) has all that tests have changed in it, and none can be
forked while other threads run. One that is forked from here has only imported modules.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.reduction import DupFd

import torch

IMPORTED = (
    "torch._dynamo",
    "matplotlib.pyplot",
    "ipykernel.kernelapp",
    "pytest",
    "ltm_pyro.cli.train",
    "ltm_pyro.runs.session",
    "ltm_pyro.studies.job",
)


def _carry_out(command, streams, folder, environment):
    """Carry out `python COMMAND` in a session of its own."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment, JPY_PARENT_PID=str(os.getppid()))
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", 1)))
    for number, stream in streams.items():
        os.dup2(stream.detach(), number)
    sys.stdin = os.fdopen(os.dup(0))
    added = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [folder, *(place for place in added if place and place not in sys.path)]
    how, what, *arguments = command
    sys.argv = [what if how == "-m" else how, *arguments]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


class Prepared:
    """A stand-in for `subprocess.Popen` of `python -m MODULE ARGUMENT ...` or `python -c CODE ARGUMENT ...`, which
    begins in a session of its own.

    Args:
        command: of the process; what stands before `-m` or `-c` is not looked at.
        stdin: `subprocess.PIPE`, or that of the test.
        stdout, stderr: files, or those of the test.
        env: of the process; the test's if None.
        cwd: the folder that it starts in; the test's if None.
    """

    def __init__(self, command, stdin=None, stdout=None, stderr=None, env=None, cwd=None, **_):
        self.args = list(map(str, command))
        self.stdin, self.stdout, self.stderr, theirs = None, None, None, None
        files = {number: file.fileno() for number, file in ((1, stdout), (2, stderr)) if hasattr(file, "fileno")}
        if stdin == subprocess.PIPE:
            theirs, ours = os.pipe()
            files[0], self.stdin = theirs, os.fdopen(ours, "w")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED))
        given = (
            self.args[min(at for at, word in enumerate(self.args) if word in ("-m", "-c")) :],
            {number: Inherited(file) for number, file in files.items()},
            str(cwd or os.getcwd()),
            dict(os.environ if env is None else env),
        )
        self._process = context.Process(target=_carry_out, args=given, daemon=True)
        self._process.start()
        if theirs is not None:
            os.close(theirs)
        self.pid = self._process.pid
        while self.poll() is None and not self._has_its_session():  # a signal to its group would reach ours
            time.sleep(0.001)

    def _has_its_session(self):
        try:
            return os.getpgid(self.pid) == self.pid
        except ProcessLookupError:
            return False

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def ran(count, command, folder, **environment):
    """Processes of one command that have ended, as those of one machine that a launcher starts together.

    Args:
        count: of processes.
        command: as for `Prepared`.
        folder: that they start in.
        environment: of each, beside the test's and what a launcher tells.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    with ExitStack() as files:
        streams = [[files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2)] for _ in range(count)]
        processes = []
        for rank, (out, err) in enumerate(streams):
            own = os.environ | {name: str(value) for name, value in {**told, **environment}.items()}
            own |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(Prepared(command, stdout=out, stderr=err, cwd=folder, env=own))
        ended = []
        for process, written in zip(processes, streams, strict=True):
            process.wait(120)
            texts = [file.seek(0) or file.read() for file in written]
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, *texts))
    return ended


class Inherited:
    """A file that a process to come receives when it is pickled for it, as an object whose `detach()` is a number."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return _as_it_is, (DupFd(self.number),)


def _as_it_is(received):
    return received
