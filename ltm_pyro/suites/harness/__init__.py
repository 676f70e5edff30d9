"""Suite `harness`: tasks of lm-evaluation-harness on a run."""
