"""Writing text against recomputing each token: `python -m benchmarks.generation`."""
