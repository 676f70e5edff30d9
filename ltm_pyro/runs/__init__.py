"""Runs from Python: configuration, training, loading, scoring and writing."""
