"""A process that a test would start anew and wait for its imports: it is forked from the test's own instead."""

import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress

import torch._dynamo  # every process that makes an optimizer imports it, and most children do


class Forked:
    """A stand-in for `subprocess.Popen` of `python -c CODE ARGUMENT ...`, whose child has all that the test has
    imported.

    Args:
        command: of the process; its first two words are not looked at.
        stdin: `subprocess.PIPE`, or that of the test.
        stdout, stderr: files.
        env: of the process; the test's if None.
        start_new_session: as of `Popen`.
    """

    def __init__(self, command, stdin=None, stdout=None, stderr=None, env=None, start_new_session=False):
        self.args, self.returncode, self.stdin = list(map(str, command)), None, None
        ours = None
        if stdin == subprocess.PIPE:
            theirs, ours = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            if ours is not None:
                os.close(theirs)
                self.stdin = os.fdopen(ours, "w")
            return
        try:
            if start_new_session:
                os.setsid()
            if ours is not None:
                os.close(ours)
                os.dup2(theirs, 0)
                sys.stdin = os.fdopen(0)
            for number, file in ((1, stdout), (2, stderr)):
                if file is not None:
                    os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
            if env is not None:
                os.environ.clear()
                os.environ.update(env)
            code = _carry_out(*self.args[2:])
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(BaseException):
                    stream.flush()
            os._exit(code)

    def poll(self):
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=None):
        began = time.monotonic()
        while self.poll() is None:
            if timeout is not None and time.monotonic() - began > timeout:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return self.returncode

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _carry_out(code, *arguments):
    """The exit code that `python -c CODE ARGUMENT ...` ends with."""
    torch.set_num_threads(1)  # the others of the process that was forked are not here
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else bool(end.code)
    return 0
