"""Benchmarks of others on a run."""
