"""Recovery of known densities by priors: `python -m benchmarks.recovery` makes the table; tests share its parts."""
