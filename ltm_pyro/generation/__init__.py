"""Writing text with a trained model."""

from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.writer import thoughts_from_prior, thoughts_from_prompt, write

__all__ = ["Sampling", "thoughts_from_prior", "thoughts_from_prompt", "write"]
