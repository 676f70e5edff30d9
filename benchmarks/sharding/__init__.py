"""Traffic and memory of sharded training: `python -m benchmarks.sharding`."""
