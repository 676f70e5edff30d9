"""What sharding holds and sends: `python -m benchmarks.sharding`."""
