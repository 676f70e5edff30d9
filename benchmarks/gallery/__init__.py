"""Figures of the documentation, drawn again from committed records: `python -m benchmarks.gallery`."""
