"""Fewer and cheaper fast steps to the same bound: `python -m benchmarks.tokens`."""
