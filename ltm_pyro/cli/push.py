"""`ltm push`."""

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import show
from ltm_pyro.runs.push import push

main = Command(push, "ltm push", show, device=False)
