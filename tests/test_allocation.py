"""Freed memory stays with the process that asks for that."""

import subprocess
import sys

import pytest

FREED = """
import resource, sys
from ltm_pyro.allocation import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
blocks = [bytearray(2**20) for _ in range(64)]
del blocks
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    blocks = [bytearray(b"1" * 2**20) for _ in range(8)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", FREED, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_pages_do_not_go_back_and_forth():
    assert faults("keep") < faults("leave") / 4
