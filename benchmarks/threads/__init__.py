"""How long waiting threads spin, and what it costs: `python -m benchmarks.threads`."""
