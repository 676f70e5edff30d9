"""Generation of text by a trained model."""

from ltm_pyro.generation.diffusing import write_by_diffusion
from ltm_pyro.generation.interpolation import crossing, great_circle
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.speculative import AcceptanceStats, write_speculatively
from ltm_pyro.generation.writer import thoughts_from_prior, thoughts_from_prompt, thoughts_from_prompts, write

__all__ = [
    "AcceptanceStats",
    "Sampling",
    "crossing",
    "great_circle",
    "thoughts_from_prior",
    "thoughts_from_prompt",
    "thoughts_from_prompts",
    "write",
    "write_by_diffusion",
    "write_speculatively",
]
