"""Priors that learn known densities: `python -m benchmarks.recovery` makes the table, the tests use the same pieces."""
