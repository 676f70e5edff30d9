"""Speed of generation, compared with recomputation for each token: `python -m benchmarks.generation`."""
