"""Methods of inference-time computation, one a file, and their comparison at equal decoder passes.

A method takes a `Solver`, prompts of equal length and budgets, and returns an `Answered` for each budget. A suite needs
prompts and a function that reads the answer of a text.
"""

from ltm_pyro.suites.methods.answered import Answered
from ltm_pyro.suites.methods.batches import alike
from ltm_pyro.suites.methods.best_of import best_of
from ltm_pyro.suites.methods.comparison import compare
from ltm_pyro.suites.methods.greedy import greedy
from ltm_pyro.suites.methods.one_fit import one_fit
from ltm_pyro.suites.methods.rethinking import rethinking
from ltm_pyro.suites.methods.solver import Solver
from ltm_pyro.suites.methods.table import method_records, methods_table
from ltm_pyro.suites.methods.vote import vote

__all__ = [
    "Answered",
    "Solver",
    "alike",
    "best_of",
    "compare",
    "greedy",
    "method_records",
    "methods_table",
    "one_fit",
    "rethinking",
    "vote",
]
