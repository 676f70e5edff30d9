"""Generation of text by a trained model."""

from ltm_pyro.generation.answers import Answers
from ltm_pyro.generation.diffusing import write_by_diffusion
from ltm_pyro.generation.interpolation import crossing, great_circle
from ltm_pyro.generation.rethinking import refuse_without_thoughts, rethink
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.speculative import AcceptanceStats, write_speculatively
from ltm_pyro.generation.token_passes import TokenPasses
from ltm_pyro.generation.trace import RULES, Round, Trace
from ltm_pyro.generation.writer import thoughts_from_prior, thoughts_from_prompt, thoughts_from_prompts, write
from ltm_pyro.generation.zero_thoughts import write_at_zero

__all__ = [
    "RULES",
    "AcceptanceStats",
    "Answers",
    "Round",
    "Sampling",
    "TokenPasses",
    "Trace",
    "crossing",
    "great_circle",
    "refuse_without_thoughts",
    "rethink",
    "thoughts_from_prior",
    "thoughts_from_prompt",
    "thoughts_from_prompts",
    "write",
    "write_at_zero",
    "write_by_diffusion",
    "write_speculatively",
]
