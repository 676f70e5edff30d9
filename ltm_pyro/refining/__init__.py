"""Self-refinement: attempts of a run at questions, judged by a checker, from which it learns."""

from ltm_pyro.refining.refine import Refined, refine

__all__ = ["Refined", "refine"]
