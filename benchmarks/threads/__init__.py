"""Cost of spinning threads: `python -m benchmarks.threads`."""
