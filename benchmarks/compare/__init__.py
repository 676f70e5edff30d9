"""Comparison of two results of a benchmark: `python -m benchmarks.compare A.json B.json`."""
