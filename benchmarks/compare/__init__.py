"""Two results of a benchmark side by side: `python -m benchmarks.compare A.json B.json`."""
