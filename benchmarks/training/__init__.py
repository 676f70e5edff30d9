"""Training against a plain loop, the leanest loop, and the machine's peak: `python -m benchmarks.training`."""
