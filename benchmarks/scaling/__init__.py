"""The cost of a training step against the length of texts: `python -m benchmarks.scaling`."""
