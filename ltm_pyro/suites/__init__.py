"""Suites of standard benchmarks, evaluated on a run."""
