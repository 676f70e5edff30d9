"""`ltm serve`."""

from ltm_pyro.cli.command import Command
from ltm_pyro.serving.serve import serve

main = Command(serve, "ltm serve")
