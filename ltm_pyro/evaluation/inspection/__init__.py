"""Inspection of thoughts: KL of each thought, reconstruction by layers, and nearest texts."""

from ltm_pyro.evaluation.inspection.details import Details, look_closer
from ltm_pyro.evaluation.inspection.inspector import Inspection, Inspector
from ltm_pyro.evaluation.inspection.markdown import inspection_markdown
from ltm_pyro.evaluation.inspection.posteriors import Posteriors

__all__ = ["Details", "Inspection", "Inspector", "Posteriors", "inspection_markdown", "look_closer"]
