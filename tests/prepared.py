"""A clean process that has imported what most tests' processes import, and forks one for each command.

A process that is forked from a test's own (`tests/forked.py`) has all that tests have changed in it; one that is forked
from here has only imported modules.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time

IMPORTED = (
    "torch._dynamo",
    "pyro.infer",
    "matplotlib.pyplot",
    "ipykernel.kernelapp",
    "ltm_pyro.inference",
    "ltm_pyro.data",
)


def _carry_out(module, arguments, folder, environment):
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment, JPY_PARENT_PID=str(os.getppid()))
    sys.argv = [module, *arguments]
    sys.path.insert(0, folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class Prepared:
    """A stand-in for `subprocess.Popen` of `python -m MODULE ARGUMENT ...`, in a session of its own.

    Args:
        command: of the process; what stands before `-m` is not looked at.
        env: of the process; the test's if None.
        cwd: the folder that it starts in; the test's if None.
    """

    stdin = stdout = stderr = None

    def __init__(self, command, env=None, cwd=None, **_):
        words = list(map(str, command))
        module, *arguments = words[words.index("-m") + 1 :]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED))
        given = (module, arguments, str(cwd or os.getcwd()), dict(os.environ if env is None else env))
        self.args = words
        self._process = context.Process(target=_carry_out, args=given, daemon=True)
        self._process.start()
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
