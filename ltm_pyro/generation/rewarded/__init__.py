"""Thoughts given a wanted label r: from a posterior tilted by p(r | z), from candidates, or by Langevin dynamics."""

from ltm_pyro.generation.rewarded.candidates import Rule as Rule
from ltm_pyro.generation.rewarded.candidates import candidate_thoughts as candidate_thoughts
from ltm_pyro.generation.rewarded.langevin import langevin_thoughts as langevin_thoughts
from ltm_pyro.generation.rewarded.tilted_fit import tilted_thoughts as tilted_thoughts
