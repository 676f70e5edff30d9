"""`ltm import-weights`."""

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.import_weights import import_weights

main = Command(import_weights, "ltm import-weights", lambda run: None, device=False)
