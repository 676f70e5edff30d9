"""Thoughts given a wanted label r: from a posterior tilted by p(r | z), from candidates, or by Langevin dynamics."""

from ltm_pyro.generation.rewarded.candidates import Rule, candidate_thoughts
from ltm_pyro.generation.rewarded.langevin import langevin_thoughts
from ltm_pyro.generation.rewarded.tilted_fit import tilted_thoughts

__all__ = ["Rule", "candidate_thoughts", "langevin_thoughts", "tilted_thoughts"]
