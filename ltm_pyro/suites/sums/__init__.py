"""Sums with carries, written as chains of steps: a task that a small model can learn, and its checker."""

from ltm_pyro.suites.sums.files import write_sums
from ltm_pyro.suites.sums.problem import SumProblem, draw_problems, is_right, read_question, right_steps

__all__ = ["SumProblem", "draw_problems", "is_right", "read_question", "right_steps", "write_sums"]
